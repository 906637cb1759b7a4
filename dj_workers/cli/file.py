"""`dj-worker.toml`: the options of `dj-worker run` in a file.

The command line wins over the environment (`DJ_WORKER_PROCESSES`), that over the file, that over defaults.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import click

from dj_workers.cli.exit_codes import UsageMistakeError

NAME = "dj-worker.toml"
_LIKENESS = 0.8


def environment(name: str) -> str:
    """Return the variable of an option."""
    return f"DJ_WORKER_{name.upper().replace('-', '_')}"


def mistaken_variables(command: click.Command) -> dict[str, str]:
    """Return variables that look like those of an option and are none, with what may be meant.

    Others are left alone: Kubernetes sets some that begin alike for a Service of this name.
    """
    start = environment("")
    known = [written_name(parameter).upper().replace("-", "_") for parameter in command.params]
    unknown = [name.removeprefix(start) for name in os.environ if name.startswith(start)]
    close = {name: difflib.get_close_matches(name, known, 1, _LIKENESS) for name in unknown}
    return {start + name: start + found[0] for name, found in close.items() if found and found[0] != name}


def options_file(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Have a file's values as the defaults of a command; without a path, `dj-worker.toml` of this folder.

    Raises
    ------
    UsageMistakeError
        Where it cannot be read, or names no option.
    """
    if path is None:
        path = Path(NAME)
        if not path.exists():
            return None
    context.default_map = {**(context.default_map or {}), **read(path, context.command)}
    return path


def default_modules() -> list[str]:
    """Return the pipelines that the environment or the file of this folder names."""
    if text := os.environ.get(environment("modules")):
        return text.split()
    if not Path(NAME).exists():
        return []
    try:
        found = tomllib.loads(Path(NAME).read_text(encoding="utf-8")).get("modules", [])
    except (OSError, ValueError) as e:
        raise UsageMistakeError(f"{NAME} cannot be read: {e}.") from e
    return [str(name) for name in (found if isinstance(found, list) else [found])]


def read(path: Path, command: click.Command) -> dict[str, Any]:
    """Return the values of a file by the names of a command's parameters."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise UsageMistakeError(f"{path} cannot be read: {e.strerror}.") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise UsageMistakeError(f"{path} is not valid TOML: {e}.") from e
    known = {written_name(p): p for p in command.params if p.expose_value}
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = key.replace("_", "-")
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"do you mean {close[0]}?" if close else f"there are: {', '.join(sorted(known))}."
            raise UsageMistakeError(f"{path}: there is no option {key!r}; {hint}")
        parameter = known[name]
        assert parameter.name is not None
        values[parameter.name] = _fitting(path, key, value, parameter)
    return values


def written_name(parameter: click.Parameter) -> str:
    """Return what a user writes for an option: queue, where the parameter is `queues`."""
    return parameter.opts[0].lstrip("-")


def _fitting(path: Path, key: str, value: Any, parameter: click.Parameter) -> Any:
    """Return a value as the parameter takes it: a list where it may be given several times, else one."""
    if isinstance(value, dict):
        raise UsageMistakeError(f"{path}: {key} is a value, not a table of values.")
    if parameter.multiple or parameter.nargs == -1:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list):
        raise UsageMistakeError(f"{path}: {key} takes one value, not a list.")
    is_flag = isinstance(parameter.type, click.types.BoolParamType)
    is_whole = isinstance(parameter.type, click.types.IntParamType)
    if (isinstance(value, bool) and not is_flag) or (isinstance(value, float) and is_whole):
        wanted = "a whole number" if is_whole else "a number" if _is_number(parameter) else "a text"
        raise UsageMistakeError(f"{path}: {key} is {wanted}, not {json.dumps(value)}.")
    return value


def _is_number(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, click.types.FloatParamType)


config = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=environment("config"),
    is_eager=True,
    expose_value=False,
    callback=options_file,
    metavar="FILE",
    help=f"Take the options from this TOML file; by default {NAME} in the current folder.",
)
