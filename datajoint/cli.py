"""The commands `dj` and `datajoint`: a Python shell with ``dj`` imported and a server at hand."""

from __future__ import annotations

import code
from importlib.util import find_spec
from keyword import iskeyword
from typing import Any

import click

import datajoint as dj

_BANNER = "DataJoint {} REPL\nType 'dj.' and press Tab for available functions.\n"


@click.command(context_settings={"help_option_names": ["--help"]})
@click.option("--host", metavar="HOST[:PORT]", help="Database server.")
@click.option("-u", "--user", help="Database user.")
@click.option("-p", "--password", help="Database password; DJ_PASS keeps it out of the list of processes.")
@click.option(
    "-s",
    "--schemas",
    multiple=True,
    metavar="SCHEMA:NAME",
    help="Open SCHEMA as the module NAME; repeatable.",
)
@click.version_option(dj.__version__, prog_name="DataJoint", message="%(prog)s %(version)s")
def cli(host: str | None, user: str | None, password: str | None, schemas: tuple[str, ...]) -> None:
    """Open a Python shell with DataJoint."""
    names = [_schema_and_name(item) for item in schemas]
    if len({name for _, name in names}) != len(names):
        raise click.UsageError("--schemas gives one name to two schemas; choose another for one of them.")
    try:
        _set_credentials(host, user, password)
        modules = {name: dj.virtual_schema(schema) for schema, name in names}
    except dj.DataJointError as e:
        raise click.ClickException(str(e)) from e
    banner = _BANNER.format(dj.__version__)
    if names:
        loaded = "\n".join(f"  {name} -> {schema}" for schema, name in names)
        banner += f"\nLoaded schemas:\n{loaded}\n"
    _interact({"dj": dj, **modules}, banner)


def _set_credentials(host: str | None, user: str | None, password: str | None) -> None:
    """Let what the command line says win over all other settings."""
    if host is not None:
        name, port = _host_and_port(host)
        dj.config["database.host"] = name
        if port is not None:
            dj.config["database.port"] = port
    if user is not None:
        dj.config["database.user"] = user
    if password is not None:
        dj.config["database.password"] = password


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Read ``host``, ``host:port`` or ``[::1]:port``; more than one colon without brackets is an address."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        return text.strip("[]"), None
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--host is HOST or HOST:PORT, not {text!r}.")
    return host.strip("[]"), int(port)


def _schema_and_name(text: str) -> tuple[str, str]:
    schema, colon, name = text.rpartition(":")
    schema = schema if colon else name
    if not schema or not name.isidentifier() or iskeyword(name) or name == "dj":
        raise click.UsageError(f"--schemas is SCHEMA:NAME, where NAME is a name for Python, not {text!r}.")
    return schema, name


def _interact(names: dict[str, Any], banner: str) -> None:
    if find_spec("readline") is not None:  # not on Windows
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")
    code.interact(banner=banner, local=names, exitmsg="")


if __name__ == "__main__":
    cli(prog_name="dj")
