"""Notices: what is put together, what is told when, and that no channel can do harm."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from dj_jobs.events import Event, Events, Kind
from dj_schema.errors import ConfigError, DataJointError
from dj_schema.settings import Config
from dj_workers.notify import Email, Notice, Notifications, SlackWebhook, notifications_of
from dj_workers.notify.notice import DRAINED, ERROR, STUCK, Digest
from dj_workers.notify.senders import NotificationError
from dj_workers.notify.watch import Judge, Work

NOTICE = Notice(ERROR, "2 jobs of lab.__x failed", "lab.__x, 2 x ValueError: Größe")


def failure(n: int, table: str = "lab.__x", error: Exception | None = None) -> Event:
    return Event(Kind.FAILED, table, {"n": n}, error=error or ValueError(f"{n} is bad"))


# -- together --------------------------------------------------------------------------------------


def test_failures_are_grouped_by_table_and_class() -> None:
    digest = Digest(10, 300)
    for n in range(7):
        digest.add_failure(failure(n), float(n))
    digest.add_failure(failure(9, "lab.__y", KeyError("k")), 8.0)
    assert digest.due_at() == 10
    notice = digest.take(10)
    assert notice is not None
    assert (notice.kind, notice.title, notice.n) == (ERROR, "8 jobs of 2 tables failed", 8)
    assert "lab.__x, 7 x ValueError: 0 is bad [n=0; n=1; n=2 and 4 more]" in notice.text
    assert "lab.__y, 1 x KeyError: 'k' [n=9]" in notice.text


def test_a_channel_is_told_no_more_often_than_its_interval() -> None:
    digest = Digest(10, 300)
    assert digest.due_at() is None
    digest.add_failure(failure(1), 0)
    assert digest.take(10) is not None
    assert digest.take(11) is None
    digest.add_failure(failure(2), 20)
    digest.add(Notice(DRAINED, "All work is done", "."), 30)
    assert digest.due_at() == 310
    notice = digest.take(310)
    assert notice is not None
    assert notice.title == "1 job of lab.__x failed (and 1 more)"
    assert "All work is done" in notice.text


def test_a_message_has_an_end_however_much_fails() -> None:
    digest = Digest(0, 0)
    for n in range(1000):
        digest.add_failure(failure(n, f"lab.__t{n}", ValueError("x" * 10_000)), 0)
    notice = digest.take(0)
    assert notice is not None
    assert notice.n == 1000
    assert len(notice.text) < 5_000
    assert "990 kinds of failure more" in notice.text


# -- drained and stuck -----------------------------------------------------------------------------


def kinds(judge: Judge, now: float, n_events: int = 0, **works: tuple[int, int, int]) -> list[str]:
    seen = {table: Work(*work) for table, work in works.items()}
    changes = judge.look(seen, dict.fromkeys(works, n_events), now)
    return [change.kind for change in changes if change.notice]


def test_drained_is_told_once_when_the_last_work_is_done() -> None:
    judge = Judge(100)
    assert kinds(judge, 0, a=(0, 0, 0)) == []  # it was so before
    assert kinds(judge, 1, a=(5, 1, 0), b=(0, 0, 0)) == []
    assert kinds(judge, 2, a=(0, 1, 0), b=(0, 0, 0)) == []
    assert kinds(judge, 3, a=(0, 0, 0), b=(0, 0, 1)) == [DRAINED]
    assert kinds(judge, 4, a=(0, 0, 0), b=(0, 0, 1)) == []
    assert kinds(judge, 5, n_events=3, a=(0, 0, 0)) == [DRAINED]  # there was work between two looks


def test_stuck_is_where_nobody_works_on_what_is_due() -> None:
    judge = Judge(100)
    assert kinds(judge, 0, a=(5, 0, 0)) == []
    assert kinds(judge, 99, a=(5, 0, 0)) == []
    assert kinds(judge, 101, a=(5, 0, 0)) == [STUCK]
    assert kinds(judge, 300, a=(5, 0, 0)) == []  # it was told
    assert kinds(judge, 301, a=(4, 1, 0)) == []
    assert kinds(judge, 500, a=(4, 1, 0)) == []  # a job that takes long is no standstill
    assert kinds(judge, 501, a=(4, 0, 0)) == []
    assert kinds(judge, 602, a=(4, 0, 0), n_events=0) == [STUCK]


def test_what_an_operator_has_paused_is_not_stuck() -> None:
    judge = Judge(100)
    for now in (0, 101, 202):
        changes = judge.look({"a": Work(5, 0, 0, is_paused=True)}, {}, now)
        assert [change.kind for change in changes if change.notice] == []
    assert kinds(judge, 203, a=(5, 0, 0)) == []
    assert kinds(judge, 304, a=(5, 0, 0)) == [STUCK]


def test_what_was_told_is_over_when_there_is_work_again_and_when_it_goes_on() -> None:
    judge = Judge(100)
    over = []
    for now, work in enumerate([(0, 0, 0), (5, 0, 0), (5, 0, 0), (4, 1, 0), (0, 0, 0), (1, 0, 0)]):
        changes = judge.look({"a": Work(*work)}, {}, now * 101.0)
        over.append([(change.kind, change.tables) for change in changes if change.notice is None])
    assert over == [[], [(DRAINED, ("a",))], [], [(STUCK, ("a",))], [], [(DRAINED, ("a",))]]


def test_events_are_a_sign_of_life() -> None:
    judge = Judge(100)
    assert kinds(judge, 0, a=(5, 0, 0)) == []
    assert kinds(judge, 99, n_events=3, a=(5, 0, 0)) == []
    assert kinds(judge, 150, n_events=3, a=(5, 0, 0)) == []


def test_failures_are_counted_where_nobody_tells_of_them() -> None:
    judge = Judge(100, counts_failures=True)
    assert kinds(judge, 0, a=(5, 1, 2)) == []  # they failed before we looked
    assert kinds(judge, 1, a=(2, 1, 4)) == [ERROR]


# -- channels --------------------------------------------------------------------------------------


class _Webhook(BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    got: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


class _Mail(socketserver.StreamRequestHandler):
    got: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        in_data = False
        text = b""
        for line in self.rfile:
            text += line
            if in_data:
                in_data = line != b".\r\n"
                self.wfile.write(b"" if in_data else b"250 taken\r\n")
            elif line.upper().startswith(b"AUTH"):
                self.wfile.write(b"535 no\r\n")
            elif line.upper().startswith(b"DATA"):
                in_data = True
                self.wfile.write(b"354 go on\r\n")
            elif line.upper().startswith(b"EHLO"):
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN LOGIN\r\n")
            elif line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                break
            else:
                self.wfile.write(b"250 ok\r\n")
        self.got.append(text.decode())


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_slack_gets_title_and_text() -> None:
    _Webhook.got.clear()
    with serving(HTTPServer(("127.0.0.1", 0), _Webhook)) as port:
        SlackWebhook(f"http://127.0.0.1:{port}/s3cret")(NOTICE)
        _Webhook.status = 404
        with pytest.raises(NotificationError, match="status 404") as caught:
            SlackWebhook(f"http://127.0.0.1:{port}/s3cret")(NOTICE)
        _Webhook.status = 200
    assert _Webhook.got[0] == {"text": f"*{NOTICE.title}*\n{NOTICE.text}"}
    with pytest.raises(NotificationError, match="cannot be reached") as refused:
        SlackWebhook(f"http://127.0.0.1:{port}/s3cret")(NOTICE)
    shown = f"{caught.value} {refused.value} {SlackWebhook('https://s3cret')!r}"
    assert "s3cret" not in shown


def test_mail_has_subject_and_receivers() -> None:
    _Mail.got.clear()
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)) as port:
        Email("127.0.0.1", "lab@example.org", ["a@example.org", "b@example.org"], port, security="none")(
            NOTICE
        )
        refused = Email(
            "127.0.0.1", "l@example.org", ["a@example.org"], port, "me", "s3cret", security="none"
        )
        with pytest.raises(NotificationError, match="status 535") as caught:
            refused(NOTICE)
    [mail] = [text for text in _Mail.got if "Subject" in text]
    assert "Subject: 2 jobs of lab.__x failed" in mail
    assert "To: a@example.org, b@example.org" in mail
    assert "s3cret" not in f"{caught.value} {refused!r}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: SlackWebhook("hooks.slack.com/s3cret"),
        lambda: Email("host", "me", []),
        lambda: Email("host", "me", ["you"], security="ssl"),
        lambda: Notifications(42),
        lambda: Notifications(on=["errors"]),
    ],
)
def test_a_wrong_channel_says_what_is_wrong(make: Any) -> None:
    with pytest.raises(DataJointError) as caught:
        make()
    assert "s3cret" not in str(caught.value)


def test_settings_name_the_channels() -> None:
    config = Config()
    config["notify.email_to"] = "a@example.org, b@example.org"
    with pytest.raises(ConfigError, match="smtp_host"):
        notifications_of(config, [])
    assert config.notify.email_to == ["a@example.org", "b@example.org"]
    config["notify.slack_webhook"] = "https://s3cret"
    assert "s3cret" not in repr(config)


# -- harm ------------------------------------------------------------------------------------------


def test_a_channel_that_fails_or_hangs_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Notice] = []
    has_been_told, has_failed, may_end = threading.Event(), threading.Event(), threading.Event()

    class OldNotifier:
        def notify(self, title: str, message: str) -> None:
            told.append(Notice(ERROR, title, message))
            has_been_told.set()

    def fails(_: Notice) -> None:
        has_failed.set()
        raise RuntimeError("s3cret")

    def hangs(_: Notice) -> None:
        may_end.wait()

    with caplog.at_level(logging.WARNING, "datajoint.notify"):
        notifications = Notifications(hangs, fails, OldNotifier(), gather_s=0, interval_s=0)
        events = Events(notifications)
        events.emit(failure(1))
        assert has_been_told.wait(30)
        assert has_failed.wait(30)  # else it may be told of both failures together
        has_been_told.clear()
        events.emit(failure(2))
        assert has_been_told.wait(30)
        may_end.set()
        notifications.close()
    assert [notice.n for notice in told] == [1, 1]
    assert "fails could not tell '1 job of lab.__x failed': RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text


def test_what_was_gathered_is_told_at_the_end() -> None:
    told: list[Notice] = []
    with Notifications(told.append, gather_s=1000) as notifications:
        for n in range(3):
            notifications(failure(n))
    assert [notice.n for notice in told] == [3]
