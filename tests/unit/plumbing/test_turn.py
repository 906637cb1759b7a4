"""Threads that share a connection take turns, and one that waits long says for whom."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from dj_schema.turn import Turn


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.first = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "to use a connection" in record.getMessage():
            self.messages.append(record.getMessage())
            self.first.set()


def test_a_thread_that_waits_long_says_for_whom_and_has_its_turn_at_last() -> None:
    turn = Turn(told_after_s=0.001)
    told = _Told()
    log = logging.getLogger("datajoint.connection")
    log.addHandler(told)
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        assert turn.take()
        assert not turn.take()  # it has it
        with ThreadPoolExecutor(1, thread_name_prefix="helper") as pool:
            taken = pool.submit(turn.take)
            told.first.wait()
            assert not taken.done()
            turn.end()
            assert taken.result()
    finally:
        log.removeHandler(told)
        log.setLevel(level)
    [message] = told.messages
    assert message.startswith("helper_0 has waited for 0.001 s")
    assert threading.current_thread().name in message
    assert "connection.clone()" in message
    assert not turn.is_mine


def test_all_who_wait_have_their_turn() -> None:
    turn = Turn(told_after_s=0.0001)
    n_inside = 0

    def work(_: int) -> None:
        nonlocal n_inside
        for _ in range(100):
            assert turn.take()
            n_inside += 1
            assert n_inside == 1
            n_inside -= 1
            turn.end()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert turn.take()
