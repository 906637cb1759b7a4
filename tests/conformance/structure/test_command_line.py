"""The commands `dj` and `datajoint` (how-to/use-cli)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from tests.conformance.structure.tables import table_class
from tests.support.servers import ServerUnderTest

NewSchema = Callable[..., Schema]
ROOT = Path(__file__).parents[3]


def run(*options: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `dj` with something typed into it, in an environment without settings but these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DJ_")}
    command = [sys.executable, "-m", "datajoint.cli", *options]
    environment = {**kept, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, input=typed, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.rule("use-cli", "version", "help", "entry-points")
def test_version_and_help_need_no_server(tmp_path: Path) -> None:
    import datajoint as dj

    version = run("--version")
    assert (version.returncode, version.stdout) == (0, f"DataJoint {dj.__version__}\n")
    text = run("--help").stdout
    for option in ("--host", "-u, --user", "-p, --password", "-s, --schemas", "--version", "--help"):
        assert option in text
    scripts = {e.name: e.value for e in entry_points(group="console_scripts")}
    assert scripts["dj"] == scripts["datajoint"] == "datajoint.cli:cli"


@pytest.mark.rule("use-cli", "programmatic")
def test_it_can_be_called_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    import datajoint as dj
    from datajoint.cli import cli

    with pytest.raises(SystemExit) as end:
        cli(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"DataJoint {dj.__version__}\n"


@pytest.mark.rule("use-cli", "shell", "credentials")
def test_the_shell_has_dj_and_opens_no_connection_by_itself() -> None:
    done = run("--host", "db.example.org:3306", "-u", "ada", typed="print(dj.config.database.host, dj.U)\n")
    assert done.returncode == 0
    assert "db.example.org" in done.stdout
    assert re.search(r"DataJoint \S+ REPL\nType 'dj\.' and press Tab", done.stderr)
    assert "Loaded schemas" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "db:port"), "HOST or HOST:PORT"),
        (("--host", "db:99999"), "HOST or HOST:PORT"),
        (("--host", ":3306"), "HOST or HOST:PORT"),
        (("-s", "lab:not a name"), "SCHEMA:NAME"),
        (("-s", ":lab"), "SCHEMA:NAME"),
        (("-s", "lab:dj"), "SCHEMA:NAME"),
        (("-s", "lab:class"), "SCHEMA:NAME"),
        (("-s", "one:lab", "-s", "two:lab"), "one name to two schemas"),
        (("--frobnicate",), "No such option"),
    ],
)
def test_wrong_options_are_explained(options: tuple[str, ...], message: str) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.rule("use-cli", "credentials", "schemas", "explore", "connection")
def test_schemas_are_loaded_with_the_credentials_of_the_command_line(
    server: ServerUnderTest, connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    lab, study = new_schema(), new_schema()
    subject = lab(table_class(dj, "Subject", "subject : int8"))
    study(table_class(dj, "Result", "-> Subject\n---\nx : int8"), context={"Subject": subject})
    subject.insert([(1,), (2,)])
    s = server.settings
    options = ["--host", f"{s['host']}:{s['port']}" if s["port"] else str(s["host"])]
    options += ["--user", str(s["user"]), "--password", str(s["password"] or "")]
    settings = {
        "DJ_BACKEND": str(s["backend"]),
        "DJ_USER": "nobody",
        "DJ_PASS": "wrong",
        "DJ_HOST": "nowhere",
    }
    if s["database_name"]:
        settings["DJ_DATABASE_NAME"] = str(s["database_name"])
    typed = (
        "print(len(lab.Subject()), lab.schema.list_tables(), [t.table_name for t in analysis.schema])\n"
        "print(dj.Diagram(lab.schema))\n"
        f"print({study.name!r} in dj.list_schemas(), dj.conn().is_connected)\n"
    )
    done = run(*options, "-s", f"{lab.name}:lab", "-s", f"{study.name}:analysis", typed=typed, **settings)
    assert done.returncode == 0, done.stderr
    assert "2 ['subject'] ['result']" in done.stdout
    assert "flowchart" in done.stdout
    assert "True True" in done.stdout
    assert f"Loaded schemas:\n  lab -> {lab.name}\n  analysis -> {study.name}\n" in done.stderr
    missing = run(*options, "-s", f"{lab.name}_not:lab", **settings)
    assert missing.returncode == 1
    assert f"there is no schema '{lab.name}_not'" in missing.stderr
    refused = run(
        *options, "--password", "surely wrong", "--user", "nobody", "-s", f"{lab.name}:lab", **settings
    )
    if s["password"]:
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
        assert "surely wrong" not in refused.stderr + refused.stdout
