"""Results of the MySQL protocol that are read from the bytes that have arrived."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_schema.dialects.mysql import short_results

COLUMNS = (b"\x03def\x02db\x01t\x01t\x01a\x01a\x0c\x3f\x00", b"\x03def\x02db\x01t\x01t\x01b\x01b\x0c\x21\x00")
CONVERTERS: tuple[short_results.Converter, ...] = (("ascii", int), ("utf8", None))
EOF = b"\xfe\x03\x00\x02\x00"
MORE_COME = b"\xfe\x00\x00\x0a\x00"


def packet(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number % 256]) + payload


def text(value: str | None) -> bytes:
    if value is None:
        return b"\xfb"
    data = value.encode()
    n = len(data)
    return (
        bytes([n])
        if n < 251
        else b"\xfc" + struct.pack("<H", n)
        if n < 1 << 16
        else b"\xfd" + struct.pack("<I", n)[:3]
    ) + data


def result(rows: list[tuple[int | None, str | None]], end: bytes = EOF) -> bytes:
    payloads = [bytes([len(COLUMNS)]), *COLUMNS, EOF]
    payloads += [text(None if n is None else str(n)) + text(s) for n, s in rows]
    return b"".join(packet(i, payload) for i, payload in enumerate([*payloads, end], 1))


ROWS = st.lists(
    st.tuples(st.none() | st.integers(), st.none() | st.text(max_size=20) | st.text("é", min_size=300)),
    max_size=4,
)


@given(ROWS)
def test_the_rows_of_a_whole_result(rows: list[tuple[int | None, str | None]]) -> None:
    data = result(rows)
    end = short_results.columns_end(data)
    found = short_results.complete(data, end)
    assert found is not None
    assert (found.n_bytes, found.n_warnings) == (len(data), 3)
    assert short_results.rows(data, found.starts, CONVERTERS) == tuple(rows)


@pytest.mark.parametrize("n", [250, 251, 65_535, 65_536, 100_000])
def test_a_long_value(n: int) -> None:
    """From Python 3.14 on, 128 KiB may have arrived."""
    data = result([(1, "x" * n), (2, "y")])
    found = short_results.complete(data, short_results.columns_end(data))
    assert found is not None
    assert short_results.rows(data, found.starts, CONVERTERS) == ((1, "x" * n), (2, "y"))


@given(ROWS)
def test_what_has_not_arrived_yet_is_no_result(rows: list[tuple[int | None, str | None]]) -> None:
    data = result(rows)
    for n in range(len(data)):
        end = short_results.columns_end(data[:n])
        assert not end or short_results.complete(data[:n], end) is None


@pytest.mark.parametrize("end", [MORE_COME, b"\xff\x48\x04#HY000it failed", b"\xfe\x00"])
def test_an_error_and_a_further_result_are_for_the_driver(end: bytes) -> None:
    data = result([(1, "a")], end)
    assert short_results.complete(data, short_results.columns_end(data)) is None


@pytest.mark.parametrize("first", [b"\x00\x01\x00\x02\x00\x00\x00", b"\xff\x48\x04#HY000no", b"\xfbfile"])
def test_an_answer_without_rows_is_for_the_driver(first: bytes) -> None:
    assert short_results.columns_end(packet(1, first)) == 0
