"""Signals as requests."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dj_workers.shutdown import StoppedAtOnceError, StopRequests, told_on_request


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


def be_told_and_go_on(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    threading.Event().wait(60)


stops = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
hangs_up = pytest.mark.parametrize("others", [[], [signal.SIGTERM]], ids=["alone", "with SIGTERM"])


@stops
def test_the_end_of_the_time_interrupts_and_is_no_second_signal(number: signal.Signals) -> None:
    with StopRequests(interrupts=True, shutdown_timeout_s=0.01) as requests:
        with pytest.raises(StoppedAtOnceError):
            be_told_and_go_on(number)
        assert (requests.first, requests.is_urgent) == (number, False)


@contextmanager
def signalled_in_a_call(number: signal.Signals) -> Iterator[None]:
    """Have another thread get a signal once this one is in a system call, which that does not end.

    It is as for a signal that comes between the last step of Python and the call.
    """
    may_go = threading.Lock()
    may_go.acquire()

    def get_it() -> None:
        may_go.acquire()  # and then wait for the interpreter, which the other has until it is in its call
        signal.pthread_kill(threading.get_ident(), number)

    thread = threading.Thread(target=get_it)
    thread.start()
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        may_go.release()
        yield
    finally:
        sys.setswitchinterval(interval_s)
        thread.join()


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; who reads in vain reads an end after a minute."""
    read_fd, write_fd = os.pipe()
    patience = threading.Timer(60, os.write, [write_fd, b"over"])
    patience.start()
    try:
        yield read_fd, write_fd
    finally:
        patience.cancel()
        os.close(read_fd)
        os.close(write_fd)


@stops
def test_a_signal_that_ends_no_system_call_is_taken_note_of(number: signal.Signals) -> None:
    with pipe() as (fd, _), StopRequests(interrupts=True, shutdown_timeout_s=0.01) as requests:
        with pytest.raises(StoppedAtOnceError), signalled_in_a_call(number):
            os.read(fd, 100)
        assert (requests.first, requests.n) == (number, 1)


def test_signals_after_an_interruption_leave_it_time_to_release_the_job() -> None:
    with StopRequests(interrupts=True, shutdown_timeout_s=0.0) as requests:
        with pytest.raises(StoppedAtOnceError):
            be_told_and_go_on(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (requests.n, requests.is_urgent) == (3, True)


@pytest.fixture
def many_files() -> Iterator[None]:
    """More open files than select(2) can tell apart."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(4096, before[1])), before[1]))
    read_fd, write_fd = os.pipe()
    fds = [read_fd, write_fd]
    while fds[-1] < 1100:
        fds.append(os.dup(read_fd))
    yield
    for fd in fds:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_with_many_files_is_stopped_too(many_files: None) -> None:
    with StopRequests(interrupts=True, shutdown_timeout_s=0.01) as requests:
        with pytest.raises(StoppedAtOnceError):
            be_told_and_go_on(signal.SIGTERM)
        assert requests.wait(0)
    with StopRequests() as requests:
        requests.request()
        assert requests.wait(60)


def test_no_signal_fails_for_a_stderr_that_is_gone() -> None:
    stderr = os.dup(2)
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    try:
        os.dup2(write_fd, 2)
        with StopRequests(shutdown_timeout_s=60) as requests, told_on_request(lambda: "busy"):
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGTERM)
            assert requests.n == 1
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(write_fd)


def test_signals_of_before_come_back_after_a_knock() -> None:
    before = signal.getsignal(signal.SIGURG)
    with StopRequests(interrupts=True) as requests:
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.wait(60)
    assert signal.getsignal(signal.SIGURG) == before
    assert signal.set_wakeup_fd(-1) == -1


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


@pytest.fixture
def without_nohup() -> Iterator[None]:
    """As the system has it: the tests themselves may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@hangs_up
@pytest.mark.usefixtures("without_nohup")
def test_a_terminal_that_closes_is_no_second_signal(others: list[signal.Signals]) -> None:
    with StopRequests(interrupts=True, shutdown_timeout_s=60) as requests:
        for number in (signal.SIGHUP, *others, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert (requests.first, requests.is_urgent) == (signal.SIGHUP, False)
        if not others:
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedAtOnceError):
            be_told_and_go_on(signal.SIGTERM)
        assert requests.is_urgent


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
