"""Rows in MySQL's text format: found in the bytes of a connection, and decoded by column."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dj_schema.dialects.mysql.arrow import arrow_of
from dj_schema.dialects.mysql.columns import python_batches
from dj_schema.dialects.mysql.unread import UnreadResult, run_all
from dj_schema.errors import DataError, LostConnectionError

Field = bytes | None
END = b"\xfe\x00\x00\x02\x00"
OUT_OF_RANGE = b"\xff" + (1690).to_bytes(2, "little") + b"#22003BIGINT value is out of range"
LONGEST = 2**24 - 1


def _field(value: Field) -> bytes:
    """Write a value as the manual of MySQL describes a string of encoded length."""
    if value is None:
        return b"\xfb"
    n = len(value)
    if n < 251:
        return bytes([n]) + value
    mark, width = (b"\xfc", 2) if n < 2**16 else (b"\xfd", 3) if n < 2**24 else (b"\xfe", 8)
    return mark + n.to_bytes(width, "little") + value


def _packets(payloads: list[bytes]) -> bytes:
    sent, number = bytearray(), 1
    for payload in payloads:
        for start in range(0, len(payload) + 1, LONGEST):
            part = payload[start : start + LONGEST]
            sent += len(part).to_bytes(3, "little") + bytes([number % 256]) + part
            number += 1
    return bytes(sent)


class _Socket(io.BytesIO):
    """Gives what was sent in pieces of some size, and is interrupted where it has no more to give."""

    def __init__(self, sent: bytes, piece_bytes: int, at_the_end: BaseException | None = None) -> None:
        super().__init__(sent)
        self._piece_bytes = piece_bytes
        self._at_the_end = at_the_end

    def read1(self, size: int | None = -1, /) -> bytes:
        piece = super().read1(min(size or 0, self._piece_bytes))
        if not piece and self._at_the_end is not None:
            raise self._at_the_end
        return piece


class _Connection:
    def __init__(self, rfile: _Socket) -> None:
        self._rfile = rfile
        self.is_closed = False

    def _force_close(self) -> None:
        self.is_closed = True


def _unread(connection: _Connection, n_columns: int, encoding: str | None = None) -> UnreadResult:
    result = SimpleNamespace(
        unbuffered_active=True,
        connection=connection,
        fields=[SimpleNamespace(type_code=253, flags=0)] * n_columns,
        converters=[(encoding, None)] * n_columns,
    )
    return UnreadResult(SimpleNamespace(connection=connection, _result=result), "SELECT 1")


def _sent(rows: list[tuple[Field, ...]], last: bytes = END) -> bytes:
    return _packets([*(b"".join(map(_field, row)) for row in rows), last])


def _read(
    rows: list[tuple[Field, ...]], piece_bytes: int = 2**16
) -> tuple[list[Any], list[Any], _Connection]:
    """Return rows as they come out as Python values and as Arrow."""
    n_columns, sent = len(rows[0]) if rows else 2, _sent(rows)
    connection = _Connection(_Socket(sent, piece_bytes, KeyboardInterrupt()))
    values = [row for batch in python_batches(_unread(connection, n_columns)) for row in batch]
    table = arrow_of(_unread(_Connection(_Socket(sent, piece_bytes, KeyboardInterrupt())), n_columns))
    assert table.num_columns == n_columns
    columns = [column.to_pylist() for column in table.columns]
    return values, list(zip(*columns, strict=True)), connection


_FIELDS = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.sampled_from([b"", b"\xfe", b"\xff" * 9, b"x" * 250, b"x" * 251, b"\xfb" * 65_535, b"y" * 65_536]),
)


@settings(deadline=None)
@given(
    rows=st.integers(1, 5).flatmap(lambda n: st.lists(st.tuples(*[_FIELDS] * n), max_size=40)),
    piece_bytes=st.sampled_from([1, 3, 4, 5, 7, 1000, 2**16]),
)
def test_rows_come_out_as_they_were_sent(rows: list[tuple[Field, ...]], piece_bytes: int) -> None:
    if sum(len(f or b"") for row in rows for f in row) > 1000 * piece_bytes:
        piece_bytes = 2**16
    values, arrow, connection = _read(rows, piece_bytes)
    assert values == arrow == rows
    assert not connection.is_closed


@pytest.mark.parametrize("size_bytes", [LONGEST - 5, LONGEST - 4, LONGEST, LONGEST + 1, 2 * LONGEST - 9])
def test_a_row_of_several_packets_is_one_row(size_bytes: int) -> None:
    long = b"z" * size_bytes
    rows: list[tuple[Field, ...]] = [(b"1", b"a"), (b"2", long), (long, None), (b"4", b"b")]
    values, arrow, _ = _read(rows, 2**20)
    assert values == rows
    assert arrow == rows


def test_many_rows_come_in_several_batches() -> None:
    rows: list[tuple[Field, ...]] = [(b"%d" % i, b"x" * (i % 300)) for i in range(20_000)]
    values, arrow, _ = _read(rows)
    assert values == arrow == rows
    batches = list(_unread(_Connection(_Socket(_sent(rows), 2**16)), 2).batches)
    assert len(batches) > 2


def test_an_error_after_some_rows_is_ours_and_the_connection_stays() -> None:
    rows: list[tuple[Field, ...]] = [(b"%d" % i,) for i in range(100)]
    connection = _Connection(_Socket(_sent(rows, OUT_OF_RANGE), 50))
    with pytest.raises(DataError, match="out of range"), _unread(connection, 1) as unread:
        list(unread.batches)
    assert not connection.is_closed


@pytest.mark.parametrize("interruption", [None, KeyboardInterrupt(), OSError("reset")])
def test_a_connection_that_ends_or_is_interrupted_among_the_rows_is_closed(
    interruption: BaseException | None,
) -> None:
    sent = _sent([(b"%d" % i,) for i in range(100)])[:-20]
    connection = _Connection(_Socket(sent, 50, interruption))
    with pytest.raises(type(interruption) if interruption else LostConnectionError):
        list(_unread(connection, 1).batches)
    assert connection.is_closed


def test_a_connection_is_closed_where_its_rows_are_not_read_to_the_end() -> None:
    connection = _Connection(_Socket(_sent([(b"x" * 1000,)] * 5000), 2**16))
    with _unread(connection, 1) as unread:
        next(unread.batches)
        assert not connection.is_closed
    assert connection.is_closed


def test_rows_that_nobody_wants_are_skipped() -> None:
    connection = _Connection(_Socket(_sent([(b"x",)] * 10, OUT_OF_RANGE), 20))
    with _unread(connection, 1) as unread:
        unread.skip()
    assert not connection.is_closed


@pytest.mark.parametrize("n_columns", [1, 3])
def test_rows_of_another_number_of_fields_are_refused(n_columns: int) -> None:
    connection = _Connection(_Socket(_sent([(b"a", b"bcd")] * 3), 2**16))
    with pytest.raises(LostConnectionError), _unread(connection, n_columns) as unread:
        list(python_batches(unread))


def test_texts_that_are_not_utf_8_are_refused_by_arrow() -> None:
    with pytest.raises(pa.ArrowInvalid):
        arrow_of(_unread(_Connection(_Socket(_sent([(b"\xff\xfe",)]), 99)), 1, "utf8"))


class _Server:
    """Notes in which order it is sent statements and asked what came of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def _execute_command(self, command: int, text: str) -> None:
        assert command == 3
        self.seen.append(f"sent {text}")

    def _read_query_result(self) -> int:
        self.seen.append("answered")
        return 10


def _making(seen: list[str], n: int) -> Iterator[str]:
    for i in range(n):
        seen.append(f"made {i}")
        yield str(i)


def test_a_statement_is_made_while_the_server_works_on_the_one_before_it() -> None:
    server = _Server()
    assert run_all(server, _making(server.seen, 2)) == 20
    assert server.seen == ["made 0", "sent 0", "made 1", "answered", "sent 1", "answered"]
    assert run_all(server, iter(())) == 0


def test_each_statement_is_answered_also_where_the_next_cannot_be_made() -> None:
    server = _Server()

    def failing() -> Iterator[str]:
        yield "0"
        raise ValueError("cannot be made")

    with pytest.raises(ValueError, match="cannot be made"):
        run_all(server, failing())
    assert server.seen == ["sent 0", "answered"]
