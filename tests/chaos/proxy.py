"""A TCP proxy in front of a database server that cuts connections, at a COMMIT where it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the next COMMIT is cut.

    Attributes
    ----------
    place : str
        ``before`` it, in the ``middle`` of the message, or ``after`` it, so that only the answer is lost.
    n_bytes : int
        Of the message that still go through, in the middle.
    """

    place: str
    n_bytes: int = 0


class Proxy:
    """Forwards to one server. It refuses connections while the server is away.

    Parameters
    ----------
    finder : callable
        Makes what finds a COMMIT in the stream of a client: called with bytes, returns where one begins.
    """

    def __init__(self, port: int, finder: Callable[[], Callable[[bytes], int | None]]) -> None:
        self._server = (LOOPBACK, port)
        self._finder = finder
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._armed: Cut | None = None
        self.cut_commits_at: list[float] = []
        self.is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, cut: Cut) -> None:
        """Cut the next COMMIT of any client."""
        with self._lock:
            self._armed = cut

    def cut_all(self) -> None:
        """End all connections now, wherever they are."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._end(pair)

    def close(self) -> None:
        self.is_open = False
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if not self.is_open:
                    raise ConnectionRefusedError
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = client, server
            with self._lock:
                self._pairs.add(pair)
            answer = threading.Event()
            for target in (self._from_client, self._from_server):
                threading.Thread(target=target, args=(pair, answer), daemon=True).start()

    def _from_client(self, pair: tuple[socket.socket, socket.socket], swallow: threading.Event) -> None:
        client, server = pair
        find = self._finder()
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK):
                at = find(data)
                cut = self._take_cut() if at is not None else None
                if at is None or cut is None:
                    server.sendall(data)
                    continue
                if cut.place == "after":
                    swallow.set()
                    server.sendall(data)
                    continue  # whoever reads the answer ends it
                server.sendall(data[: at + (cut.n_bytes if cut.place == "middle" else 0)])
                break
        self._end(pair)

    def _from_server(self, pair: tuple[socket.socket, socket.socket], swallow: threading.Event) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                if swallow.is_set():
                    break
                client.sendall(data)
        self._end(pair)

    def _take_cut(self) -> Cut | None:
        with self._lock:
            cut, self._armed = self._armed, None
            if cut is not None:
                self.cut_commits_at.append(time.time())
        return cut

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


# -- finding a COMMIT ------------------------------------------------------------------------------


class MysqlCommits:
    """Finds COMMIT in what a client of MySQL sends: packets of three bytes of length, a number, a command."""

    _QUERY = 3

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, data: bytes) -> int | None:
        """Return where in `data` a COMMIT begins, or None."""
        stream = self._rest + data
        start = 0
        found = None
        while len(stream) - start >= 4:
            end = start + 4 + int.from_bytes(stream[start : start + 3], "little")
            if end > len(stream):
                break
            body = stream[start + 4 : end]
            if body[:1] == bytes([self._QUERY]) and body[1:].upper().startswith(b"COMMIT"):
                found = max(0, start - len(self._rest)) if found is None else found
            start = end
        self._rest = stream[start:]
        return found


class PostgresCommits:
    """Finds COMMIT in what a client of PostgreSQL sends, also where it is a statement prepared before."""

    _STARTUP = 3  # of the protocol's version, after which messages have a type

    def __init__(self) -> None:
        self._rest = b""
        self._has_started = False
        self._prepared: set[bytes] = set()

    def __call__(self, data: bytes) -> int | None:
        """Return where in `data` a COMMIT begins, or None."""
        stream = self._rest + data
        start = 0
        found = None
        while True:
            head = 1 if self._has_started else 0
            if len(stream) - start < head + 4:
                break
            end = start + head + int.from_bytes(stream[start + head : start + head + 4], "big")
            if end > len(stream):
                break
            body = stream[start + head + 4 : end]
            if not self._has_started:
                self._has_started = int.from_bytes(body[:2], "big") == self._STARTUP
            elif self._is_commit(stream[start : start + 1], body):
                found = max(0, start - len(self._rest)) if found is None else found
            start = end
        self._rest = stream[start:]
        return found

    def _is_commit(self, kind: bytes, body: bytes) -> bool:
        if kind == b"Q":
            return body.upper().startswith(b"COMMIT")
        if kind == b"P":
            name, text, *_ = body.split(b"\0", 2)
            self._prepared.discard(name)
            if text.upper().startswith(b"COMMIT"):
                self._prepared.add(name)
            return False
        return kind == b"B" and body.split(b"\0", 2)[1] in self._prepared
