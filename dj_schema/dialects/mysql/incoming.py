"""What a connected socket brings, waited for in Python."""

from __future__ import annotations

import io
import socket
import ssl
from typing import TYPE_CHECKING

from dj_schema.dialects.arrival import Arrival

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Incoming(io.RawIOBase):
    """The raw stream of a socket, below a buffer.

    In the wait of the socket itself, which is in C, what another thread raises in this one comes after the
    answer.
    """

    def __init__(self, raw: io.RawIOBase, connected: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._n_decrypted = connected.pending if isinstance(connected, ssl.SSLSocket) else _none
        self.arrival = Arrival(connected.fileno())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if not self._n_decrypted():
            self.arrival.wait()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _none() -> int:
    return 0
