"""One small web server in a thread: /metrics, /healthz, /readyz."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
import threading
import weakref
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from dj_schema.errors import DataJointError
from dj_workers.health import Probe

log = logging.getLogger("datajoint.workers")

_REQUEST_S = 10.0  # in which a client has to send its request


class PortError(DataJointError):
    """There can be no server at this address."""


class Serving:
    """A server that runs while it is entered.

    Parameters
    ----------
    port : int
        0 for any that is free.
    probes : mapping
        Path to probe, which answers 200 or 503.

    Raises
    ------
    PortError
        Where the port is taken, or not allowed.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, probes: Mapping[str, Probe]
    ) -> None:
        handler = type("Handler", (_Handler,), {"registry": registry, "probes": dict(probes)})
        try:
            self._server = _Server((host, port), handler)
        except (OSError, UnicodeError) as e:  # the second of what can be no name of a host
            raise PortError(_advice(host, port, e)) from e
        self.host = host
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="datajoint-metrics", daemon=True
        )
        _open.add(self._server)

    def __enter__(self) -> Serving:
        self._thread.start()
        host = f"[{self.host}]" if ":" in self.host else self.host
        log.info("metrics are at http://%s:%d/metrics, probes at /healthz and /readyz", host, self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _advice(host: str, port: int, error: OSError | UnicodeError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return (
            f"port {port} is in use on this machine, maybe by another worker. Give each worker a port of its "
            "own with --metrics-port, or 0 for any that is free."
        )
    if number == errno.EACCES:
        return f"port {port} is not for this user; give one above 1023 with --metrics-port."
    return f"there can be no server at {host}:{port}: {error}. Check --metrics-host and --metrics-port."


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name != "nt"

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        families = [family for family, *_ in found]
        self.address_family = socket.AF_INET if socket.AF_INET in families else families[0]
        super().__init__(address, handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:  # "::" is every address, also those of IPv4
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log it, as all else; a client that has gone away, as one does after its timeout, is nothing."""
        level = logging.DEBUG if isinstance(sys.exception(), OSError) else logging.ERROR
        log.log(level, "http: no answer to %s", client_address, exc_info=True)


_open: weakref.WeakSet[_Server] = weakref.WeakSet()


def _close_in_fork() -> None:
    """A fork must not keep the port after the end of its parent."""
    for server in list(_open):
        server.socket.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_fork)


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    probes: Mapping[str, Probe]
    timeout = _REQUEST_S
    server_version = "dj-worker"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, content_type, encode(self.registry))
        elif path in self.probes:
            health = self.probes[path]()
            body = json.dumps({"ok": health.is_ok, "reason": health.reason}).encode() + b"\n"
            self._answer(200 if health.is_ok else 503, "application/json", body)
        else:
            text = f"there are /metrics and {', '.join(self.probes)}\n"
            self._answer(404, "text/plain; charset=utf-8", text.encode())

    do_HEAD = do_GET

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("http: " + format, *args)
