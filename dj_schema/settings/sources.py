"""Where settings come from: environment variables, `.secrets/`, `datajoint.json`.

Each reader returns what it was given, unchecked, with its origin; `Config` checks and applies it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from dj_schema.errors import ConfigError
from dj_schema.settings.problems import unknown_setting

FILE_NAME = "datajoint.json"
SECRETS_NAME = ".secrets"
MAPPING_VALUED = (".use_tls", ".options", "celery.queues", "jobs.resources")
STORE_SECTIONS = ("stores", "object_storage")
SHORT_VARIABLES = {
    "DJ_HOST": "database.host",
    "DJ_PORT": "database.port",
    "DJ_USER": "database.user",
    "DJ_PASS": "database.password",
    "DJ_BACKEND": "database.backend",
    "DJ_TLS": "database.use_tls",
    "DJ_USE_TLS": "database.use_tls",
    "DJ_EMBEDDED_PATH": "database.embedded_path",
    "DJ_LOG_LEVEL": "loglevel",
}
MISTAKEN = {"DJ_PASSWORD": "DJ_PASS", "DJ_USERNAME": "DJ_USER", "DJ_HOSTNAME": "DJ_HOST"}


class Layer(IntEnum):
    """The later wins (how-to/configure-database.md, on precedence)."""

    DEFAULT = 0
    FILE = 1
    SECRETS = 2
    ENVIRONMENT = 3
    PROGRAM = 4
    OVERRIDE = 5


@dataclass(frozen=True)
class Source:
    """Where a value was set, in the words that `source_of` and errors show."""

    layer: Layer
    label: str


DEFAULT = Source(Layer.DEFAULT, "default")
PROGRAM = Source(Layer.PROGRAM, "set in the program")
OVERRIDE = Source(Layer.OVERRIDE, "set by override()")
CALL = Source(Layer.PROGRAM, "given in the call")


@dataclass(frozen=True)
class Given:
    """One setting as found, before it is checked."""

    key: str
    value: object
    source: Source

    def __repr__(self) -> str:
        return f"Given({self.key!r}, {self.source.label})"


def project_folder(start: Path, home: Path) -> Path | None:
    """Return the nearest folder, from `start` upwards, that holds `datajoint.json`, else `.secrets/`.

    The search ends at the root of a git checkout and at `home`, so that no file of another project is used.
    """
    folders: list[Path] = []
    for folder in (start, *start.parents):
        folders.append(folder)
        if folder == home or (folder / ".git").exists():
            break
    for marker in (FILE_NAME, SECRETS_NAME):
        for folder in folders:
            if os.path.lexists(folder / marker):  # a link whose target is gone is told of when it is read
                return folder
    return None


def read_file(path: Path, layer: Layer = Layer.FILE) -> list[Given]:
    """Return what a JSON file says; keys may be dotted, nested, or both."""
    try:
        content = json.loads(_text(path), object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not valid JSON: line {error.lineno}: {error.msg}.") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply.") from None
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold one JSON object of settings, not {type(content).__name__}.")
    return [Given(key, value, Source(layer, str(path))) for key, value in content.items()]


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twin, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twin!r} is there twice; keep one")
    return found


def read_secrets(folder: Path, sections: Iterable[str]) -> list[Given]:
    """Return `.secrets/datajoint.json`, then the files named after a setting, which win over it.

    A file whose name does not begin with one of `sections` belongs to another program and is not read.
    """
    found: list[Given] = []
    if not folder.is_dir():
        return found
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}.") from error
    if FILE_NAME in names:
        found += read_file(folder / FILE_NAME, Layer.SECRETS)
    first_names = {*sections, *STORE_SECTIONS}
    for name in names:
        path = folder / name
        if name.partition(".")[0] not in first_names or path.is_dir():
            continue
        text = _text(path).rstrip("\r\n")
        if text:
            value = _parsed(name, text, where=str(path))
            found.append(Given(name, value, Source(Layer.SECRETS, str(path))))
    return found


def read_environment(
    environ: Mapping[str, str], keys: Iterable[str], store_names: Iterable[str], store_options: Iterable[str]
) -> list[Given]:
    """Return the settings among the variables that begin with `DJ_`.

    ``database.host`` is ``DJ_HOST`` or ``DJ_DATABASE_HOST``, and so on for every setting. An empty variable
    counts as not set. A variable that begins with a section's name and names no setting is an error, and so
    is one of `MISTAKEN` where the right one is not set; any other is not ours.
    """
    keys = list(keys)
    variables = {f"DJ_{key.upper().replace('.', '_')}": key for key in keys} | SHORT_VARIABLES
    sections = {key.partition(".")[0] for key in keys if "." in key} | set(STORE_SECTIONS)
    prefixes = tuple(f"DJ_{section.upper()}_" for section in sections)
    options = sorted({*store_options}, key=len, reverse=True)
    found: dict[str, Given] = {}
    for variable in sorted(environ):
        text = environ[variable]
        name = variable.upper()
        if not name.startswith("DJ_") or not text:
            continue
        key = variables.get(name) or _store_key(name, store_names, options)
        if key is None:
            if name.startswith(prefixes):
                known = [*variables, *(f"DJ_STORES_<NAME>_{option.upper()}" for option in options)]
                raise unknown_setting(name, known, where="environment variable")
            continue
        origin = Source(Layer.ENVIRONMENT, f"environment variable {variable}")
        given = Given(key, _parsed(key, text, where=variable), origin)
        earlier = found.setdefault(key, given)
        if earlier.value != given.value:
            raise ConfigError(f"{earlier.source.label} and {variable} differ about {key}; keep one.")
    for name, meant in MISTAKEN.items():
        if environ.get(name) and SHORT_VARIABLES[meant] not in found:
            raise unknown_setting(name, [meant], where="environment variable")
    return list(found.values())


def _store_key(name: str, store_names: Iterable[str], options: list[str]) -> str | None:
    """``DJ_STORES_RAW_DATA_BUCKET`` -> ``stores.raw_data.bucket``; the spelling of a known store is kept."""
    if name == "DJ_STORES_DEFAULT":
        return "stores.default"
    for option in options:
        if name == f"DJ_OBJECT_STORAGE_{option.upper()}":
            return f"object_storage.{option}"
        tail = f"_{option.upper()}"
        store = name.removeprefix("DJ_STORES_").removesuffix(tail)
        if name == f"DJ_STORES_{store}{tail}" and store:
            spelled = {known.upper(): known for known in store_names}
            return f"stores.{spelled.get(store, store.lower())}.{option}"
    return None


def _parsed(key: str, text: str, *, where: str) -> object:
    """Options that are a mapping are written as JSON; all else is text, which the setting's type reads."""
    if not (key.endswith(MAPPING_VALUED) and text.lstrip().startswith("{")):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"Setting {key} ({where}) is not valid JSON: {error.msg}.") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors of Windows begin a file with a mark
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}).") from None
