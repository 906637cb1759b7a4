"""Another process that uses the embedded server, led by lines on its standard input.

``acquire`` and ``release`` do so; ``die`` is SIGKILL by its own hand; anything else is a statement. Each
line is answered by one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from dj_schema.dialects.embedded import EmbeddedAddress, EmbeddedLease, EmbeddedServer
from dj_schema.dialects.embedded.programs import Programs, find_programs


def connect(address: EmbeddedAddress) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=address.socket_dir,
        port=address.port,
        user=address.user,
        dbname=address.database,
        autocommit=True,
    )


def execute(address: EmbeddedAddress, statement: str) -> list[Any]:
    """Run one statement of a test's on a connection of its own."""
    with connect(address) as connection:
        cursor = connection.execute(statement.encode())
        return [list(row) for row in cursor.fetchall()] if cursor.description else []


class Client:
    """The other process, from the side of the test."""

    def __init__(self, path: Path, programs: Path | None = None) -> None:
        arguments = [str(path)] if programs is None else [str(path), str(programs)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.embedded.client", *arguments],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, line: str) -> Any:
        self.say(line)
        return self.hear()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()


def main() -> None:
    path = Path(sys.argv[1])
    programs = Programs(Path(sys.argv[2])) if len(sys.argv) > 2 else find_programs()
    lease: EmbeddedLease | None = None
    for line in sys.stdin:
        answer: Any = None
        match line.strip():
            case "acquire":
                lease = EmbeddedServer.acquire(path, find=lambda: programs)
                answer = lease.address.socket_dir
            case "release" if lease:
                lease.release()
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case statement if lease:
                answer = execute(lease.address, statement)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
