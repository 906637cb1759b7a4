"""The web server of metrics and probes: where it listens, and clients that go away."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from dj_workers.health import Health
from dj_workers.metrics.serve import PortError, Serving
from tests.support.patience import PATIENCE_S


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "asked"), [("::1", ["[::1]"]), ("::", ["[::1]", "127.0.0.1"])])
def test_it_can_be_asked_by_ipv6(host: str, asked: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "datajoint.workers"),
        Serving(host, 0, CollectorRegistry(), {"/healthz": lambda: Health(True, "well")}) as serving,
    ):
        for name in asked:
            with urllib.request.urlopen(f"http://{name}:{serving.port}/healthz") as answer:
                assert answer.status == 200
    assert f"http://[{host}]:{serving.port}/metrics" in caplog.text


def test_what_can_be_no_name_is_refused() -> None:
    with pytest.raises(PortError, match="Check --metrics-host"):
        Serving("x" * 70, 0, CollectorRegistry(), {})


class Told(logging.Handler):
    """Waits for a line of the log."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.has_come = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self.has_come.set()


def test_a_client_that_goes_away_is_no_text_on_stderr(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def leave() -> Health:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # by a reset: nothing can be sent to it any more
        return Health(True)

    told = Told("no answer to")
    log = logging.getLogger("datajoint.workers")
    log.addHandler(told)
    try:
        with (
            caplog.at_level(logging.DEBUG, log.name),
            Serving("127.0.0.1", 0, CollectorRegistry(), {"/healthz": leave}) as serving,
        ):
            client = socket.create_connection(("127.0.0.1", serving.port))
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert told.has_come.wait(PATIENCE_S)
    finally:
        log.removeHandler(told)
    assert capfd.readouterr().err == ""
