"""What is left to read of a result, as the server sends it: bytes, and where each row begins.

PyMySQL makes an object of each field of one row after the other; what is read here is decoded by column
(`columns.py`, `arrow.py`). What is private to PyMySQL is known here and to the driver; a test names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from struct import Struct
from typing import Any, NamedTuple, Self

from dj_schema.dialects.mysql.errors import from_number
from dj_schema.errors import LostConnectionError, QueryError

_HEADER = Struct("<I").unpack_from  # three bytes of a packet's length, and one of its number
_HEADER_BYTES = 4
_LONGEST = 0xFFFFFF  # a packet of so many bytes goes on in the next one
_END, _ERROR = 0xFE, 0xFF  # no row begins like that, unless its first field makes it longer than a packet
_QUERY = 3  # the command that carries a statement
_PIECE_BYTES = 1 << 16
_BATCH_BYTES = 1 << 17  # what a processor keeps at hand


Converter = tuple[str | None, Callable[[Any], Any] | None]


class RowBytes(NamedTuple):
    """Whole rows in the server's text format; `starts` are their packets' headers, `end` follows the last."""

    data: bytearray
    starts: list[int]
    end: int

    def parts(self, most_rows: int) -> Iterator[RowBytes]:
        """Yield them again, so many at a time."""
        starts = self.starts
        for first in range(0, len(starts), most_rows):
            ends = [*starts[first + most_rows : first + most_rows + 1], self.end]
            yield RowBytes(self.data, starts[first : first + most_rows], ends[0])


class UnreadResult:
    """The rows that the unbuffered cursor of a SELECT has not read yet.

    Attributes
    ----------
    fields : sequence
        What the server says of each column: ``type_code``, ``flags``, ``charsetnr``.
    converters : sequence of Converter
        What the driver makes of each column: bytes where the encoding is None, and the function of what it
        makes, where that is not None.
    batches : iterator of RowBytes
        Some hundred kilobytes each at most, unless one row is longer.
    """

    def __init__(self, cursor: Any, statement: str) -> None:
        self._connection = cursor.connection
        self._result = cursor._result
        self._statement = statement
        self.fields = self._result.fields
        self.converters: Sequence[Converter] = self._result.converters
        self.batches = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut()

    def skip(self) -> None:
        """Read to the end, so that the session can take another statement; nobody is told how it ends."""
        with suppress(QueryError):
            for _ in self.batches:
                pass

    def cut(self) -> None:
        """Close the connection where the result has not ended: nobody knows what comes next on it."""
        if self._result.unbuffered_active:
            close_at_once(self._connection)
            self._forget()

    def _forget(self) -> None:
        self._result.unbuffered_active = False
        self._result.connection = None

    def _read(self) -> Iterator[RowBytes]:
        data, at = bytearray(), 0
        starts: list[int] = []
        if not self._result.unbuffered_active:
            return
        try:
            while True:
                at = _find_rows(data, at, starts)
                if starts and data[starts[-1] + _HEADER_BYTES] >= _END:
                    break
                if len(data) >= at + _HEADER_BYTES and _size_at(data, at) == _LONGEST:
                    if starts:
                        yield RowBytes(data, starts, at)
                    row, data = self._long_row(data[at:])
                    yield RowBytes(row, [0], len(row))
                    at, starts = 0, []
                    continue
                if starts and len(data) >= _BATCH_BYTES:
                    yield RowBytes(data, starts, at)
                    data, at, starts = data[at:], 0, []
                data += self._some(_PIECE_BYTES)
            self._see_end(bytes(data[starts[-1] + _HEADER_BYTES :]), at == len(data))
        except GeneratorExit:
            raise
        except BaseException:
            self.cut()
            raise
        if starts[:-1]:
            yield RowBytes(data, starts[:-1], starts[-1])

    def _see_end(self, packet: bytes, is_last: bool) -> None:
        if not is_last:
            raise LostConnectionError("the server said more than one result; the connection was closed")
        self._forget()
        if packet[0] == _ERROR:
            message = packet[9:] if packet[3:4] == b"#" else packet[3:]
            number = int.from_bytes(packet[1:3], "little")
            raise from_number(number, message.decode("utf-8", "replace"), self._statement)

    def _long_row(self, data: bytearray) -> tuple[bytearray, bytearray]:
        """Return a row of several packets as if it were one, and what follows it."""
        end = _HEADER_BYTES + _LONGEST
        size = _LONGEST
        while size == _LONGEST:
            self._extend(data, end + _HEADER_BYTES)
            size = _size_at(data, end)
            self._extend(data, end + _HEADER_BYTES + size)
            del data[end : end + _HEADER_BYTES]
            end += size
        return data[:end], data[end:]

    def _extend(self, data: bytearray, size_bytes: int) -> None:
        while len(data) < size_bytes:
            data += self._some(size_bytes - len(data))

    def _some(self, most_bytes: int) -> bytes:
        """Wait for bytes, and return those that are there."""
        piece: bytes = self._connection._rfile.read1(most_bytes)
        if not piece:
            raise LostConnectionError("the connection to the server was lost during a query")
        return piece


def _size_at(data: bytearray, at: int) -> int:
    header: int = _HEADER(data, at)[0]
    return header & _LONGEST


def _find_rows(data: bytearray, at: int, starts: list[int]) -> int:
    """Add where each row begins that is there as a whole, in one packet; return where the rest begins."""
    end = len(data)
    last, longest = end - _HEADER_BYTES, _HEADER_BYTES + _LONGEST
    header, add = _HEADER, starts.append
    while at <= last:
        after = at + _HEADER_BYTES + (header(data, at)[0] & _LONGEST)
        if after > end or after - at == longest:
            break
        add(at)
        at = after
    return at


def forget_rest(cursor: Any) -> None:
    """Keep the driver from reading on, on a socket that is closed or another's, when it drops a result."""
    result = vars(cursor).get("_result")
    if result is not None:
        result.unbuffered_active = False
    cursor.connection = None


def close_at_once(connection: Any) -> None:
    """Close the socket; a polite close would first read the rows that nobody wants."""
    connection._force_close()


def run_all(connection: Any, statements: Iterator[str]) -> int:
    """Run statements that give no rows, each made while the server works on the one before it.

    Returns
    -------
    int
        How many rows they changed.
    """
    n_rows = 0
    statement = next(statements, None)
    while statement is not None:
        connection._execute_command(_QUERY, statement)
        try:
            statement = next(statements, None)
        finally:
            n_rows += connection._read_query_result()
    return n_rows
