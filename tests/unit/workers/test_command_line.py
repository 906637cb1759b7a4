"""`dj-worker` without a database: its help, and what it imports."""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner

from dj_workers.cli.exit_codes import ExitCode
from dj_workers.cli.main import main
from dj_workers.cli.options import columns


def test_help_names_every_command_and_exit_code() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    for command in ("run", "status", "errors", "retry", "ignore", "unignore", "demo"):
        assert f"\n  {command} " in shown.output
    for code in ExitCode:
        assert code.meaning in shown.output


def test_help_imports_neither_the_demo_nor_the_facade() -> None:
    program = (
        "import sys; sys.argv = ['dj-worker', '--help']; sys.exit = lambda *_: None\n"
        "from dj_workers.cli.main import main\n"
        "main(standalone_mode=False)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('dj_workers.demo', 'datajoint', 'dj_jobs'))))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_version_is_printed() -> None:
    shown = CliRunner().invoke(main, ["--version"])
    assert (shown.exit_code, shown.output.startswith("dj-worker ")) == (0, True)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns(["a", "n"], [["long name", "1"], ["b", "20"]], right=(1,)) == (
        "a           n\nlong name   1\nb          20"
    )
