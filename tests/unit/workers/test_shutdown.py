"""Signals as requests."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from dj_workers.shutdown import StoppedAtOnceError, StopRequests


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A run in the background has SIGINT ignored; here it is as in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_is_counted_and_wakes_who_waits() -> None:
    with StopRequests() as requests:
        assert not requests
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.wait(60)
        assert (requests.n, requests.first) == (1, signal.SIGTERM)


def test_a_request_of_another_thread_wakes_who_waits() -> None:
    with StopRequests() as requests:
        thread = threading.Thread(target=requests.request)
        thread.start()
        assert requests.wait(60)
        thread.join()


def test_a_request_after_the_end_is_no_error() -> None:
    with StopRequests() as requests:
        pass
    requests.request()
    assert requests


def test_taken_requests_are_not_readable_until_the_next() -> None:
    with StopRequests() as requests:
        requests.request()
        requests.take()
        assert select.select([requests], [], [], 0)[0] == []
        requests.request()
        assert select.select([requests], [], [], 0)[0] == [requests]


def test_the_second_signal_interrupts_where_that_is_asked_for() -> None:
    with StopRequests(interrupts=True):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StoppedAtOnceError):
            os.kill(os.getpid(), signal.SIGINT)


stops = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@stops
def test_the_end_of_the_time_interrupts_and_is_no_second_signal(number: signal.Signals) -> None:
    def be_told_and_go_on() -> None:
        os.kill(os.getpid(), number)
        threading.Event().wait(60)

    with StopRequests(interrupts=True, shutdown_timeout_s=0.01) as requests:
        with pytest.raises(StoppedAtOnceError):
            be_told_and_go_on()
        assert (requests.first, requests.is_urgent) == (number, False)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.parametrize(
    ("limit_s", "notice"),
    [
        (None, "stopping\n"),
        (
            60.0,
            "stopping after the running jobs, which have 60 s; once more releases them and stops at once\n",
        ),
    ],
)
def test_the_first_signal_is_answered(
    limit_s: float | None, notice: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with StopRequests(shutdown_timeout_s=limit_s):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert capfd.readouterr().err == notice


def test_requests_of_the_program_itself_are_not_urgent() -> None:
    with StopRequests(interrupts=True, shutdown_timeout_s=60) as requests:
        requests.request()
        requests.request()
        os.kill(os.getpid(), signal.SIGTERM)
        assert (bool(requests), requests.is_urgent) == (True, False)


def test_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequests() as requests:
        assert signal.getsignal(signal.SIGINT) != before[0]
        os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1
    with pytest.raises(KeyboardInterrupt):
        requests.repeat()


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequests() as requests:
            os.kill(os.getpid(), signal.SIGINT)
            assert not requests
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_there_are_requests_but_no_handlers() -> None:
    seen: list[bool] = []

    def run() -> None:
        with StopRequests() as requests:
            requests.request()
            seen.append(requests.wait(60))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [True]
