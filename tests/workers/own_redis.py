"""A Redis that a test may kill and start again."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import redis

from tests.support.launch import _new_address
from tests.support.recipes import LOOPBACK, Redis


class OwnRedis:
    """A Redis that keeps nothing: after a new start it is empty.

    Parameters
    ----------
    program : str
        The server.
    """

    def __init__(self, program: str, folder: Path) -> None:
        recipe = Redis()
        self._address = _new_address(recipe)
        self.password = self._address.password
        self._command = recipe.command(program, folder, self._address)
        self._log = folder / f"redis-{secrets.token_hex(2)}.log"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self._address.port}/0"

    def start(self) -> None:
        with open(self._log, "ab") as log:
            self._popen = subprocess.Popen(self._command, stdout=log, stderr=log)
        client = redis.Redis.from_url(
            self.url, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200)
        )
        client.ping()
        client.close()

    def kill(self) -> None:
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None
