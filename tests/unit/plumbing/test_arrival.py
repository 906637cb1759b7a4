"""Waiting for what a socket brings."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from dj_jobs.watch import InterruptedMakeError, Watch
from dj_schema.dialects.arrival import Arrival
from dj_schema.errors import JobTimeoutError

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_it_returns_when_there_is_something_to_read_and_at_the_end(pair: Pair) -> None:
    ours, theirs = pair
    arrival = Arrival(ours.fileno())
    for _ in range(3):  # asleep, and then perhaps awake
        theirs.sendall(b"a")
        arrival.wait()
        assert ours.recv(2) == b"a"
    theirs.close()
    arrival.wait()
    assert ours.recv(2) == b""


def test_it_waits_for_what_comes_later_than_a_moment(pair: Pair) -> None:
    ours, theirs = pair
    arrival = Arrival(ours.fileno())
    theirs.sendall(b"a")
    arrival.wait()
    assert ours.recv(2) == b"a"
    later = threading.Timer(0.25, theirs.sendall, [b"b"])  # more than two steps
    later.start()
    arrival.wait()
    assert ours.recv(2) == b"b"
    later.join()


def test_another_thread_can_interrupt_it(pair: Pair) -> None:
    arrival = Arrival(pair[0].fileno())
    watch = Watch(timeout_s=0.05)
    with pytest.raises(InterruptedMakeError), watch:
        arrival.wait()
    assert isinstance(watch.error, JobTimeoutError)
