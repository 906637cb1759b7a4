"""The parts of the chaos run that decide and see: the plan of a seed, and where a COMMIT begins."""

from __future__ import annotations

import pytest

from tests.chaos.plan import ENDINGS, LONG, SHORT, Plan, Size
from tests.chaos.proxy import MysqlCommits, PostgresCommits


@pytest.mark.parametrize("size", [SHORT, LONG], ids=["short", "long"])
def test_a_seed_gives_one_plan(size: Size) -> None:
    plan = Plan.of_seed(7, size)
    assert plan == Plan.of_seed(7, size)
    assert plan != Plan.of_seed(8, size)
    assert len(plan.breaks) == sum(size.breaks.values())
    assert [i.id for i in plan.inputs] == list(range(size.n_inputs))
    assert {i.deed for i in plan.inputs} == set(ENDINGS)
    assert all(b.cut is None or size.slots[b.slot].has_proxy for b in plan.breaks)


def packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_a_commit_to_mysql_is_found_however_the_bytes_come(n: int) -> None:
    login = packet(1, b"\x85\xa6 COMMIT is the password")
    work = packet(0, b"\x03INSERT INTO t VALUES ('COMMIT')")
    end = packet(0, b"\x03COMMIT")
    (place,) = found(MysqlCommits(), login + work + end, n)
    assert len(login + work) <= place < len(login + work + end)
    assert place == len(login + work) or n < 1000


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def start() -> bytes:
    ssl = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
    body = (196608).to_bytes(4, "big") + b"user\0COMMIT\0\0"
    return ssl + (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_a_commit_to_postgresql_is_found_also_where_it_was_prepared(n: int) -> None:
    prepare = message(b"P", b"s1\0COMMIT\0\0\0") + message(b"P", b"s2\0SELECT 'COMMIT'\0\0\0")
    other = message(b"B", b"\0s2\0\0\0\0\0\0\0")
    bound = message(b"B", b"\0s1\0\0\0\0\0\0\0")
    plain = message(b"Q", b"COMMIT\0")
    first = start() + prepare + other
    second = first + bound + message(b"S", b"") * 200
    places = found(PostgresCommits(), second + plain, n)
    assert len(places) == 2
    assert len(first) <= places[0] < len(first + bound)
    assert len(second) <= places[1] < len(second + plain)


def found(finder: MysqlCommits | PostgresCommits, stream: bytes, n: int) -> list[int]:
    """Return where commits are found in a stream that comes in pieces of `n` bytes."""
    places = []
    for i in range(0, len(stream), n):
        at = finder(stream[i : i + n])
        if at is not None:
            places.append(i + at)
    return places
