"""What is read by column is what was inserted, of each core type; the session and its transaction go on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Context, Decimal
from operator import itemgetter
from random import Random
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_query.frames import arrow_table
from dj_schema.errors import DataError
from dj_schema.types import INTEGER_RANGES
from tests.support.examples import examples


class Typed(NamedTuple):
    """A type, values at its edges, and how to make up others."""

    type: str
    edges: list[Any]
    other: Callable[[Random], Any]


def _integers(name: str) -> Typed:
    low, high = INTEGER_RANGES[name]
    return Typed(name, [low, 0, high], lambda random: random.randint(low, high))


def _decimals(precision: int, scale: int) -> Typed:
    most = Decimal(10**precision - 1)

    def other(random: Random) -> Decimal:
        return Decimal(random.randint(-(10**precision) + 1, 10**precision - 1)).scaleb(-scale, EXACT)

    zero = Decimal(0).scaleb(-scale)
    return Typed(f"decimal({precision},{scale})", [zero, most.scaleb(-scale, EXACT)], other)


def _moments(digits: int) -> Typed:
    def cut(moment: dt.datetime) -> dt.datetime:
        step = 10 ** (6 - digits)
        return moment.replace(microsecond=moment.microsecond // step * step)

    def other(random: Random) -> dt.datetime:
        return cut(dt.datetime(1000, 1, 1) + dt.timedelta(microseconds=random.randrange(2 * 10**16)))

    edges = [dt.datetime(1000, 1, 1), cut(dt.datetime(9999, 12, 31, 23, 59, 59, 999_999))]
    return Typed(f"datetime({digits})" if digits else "datetime", edges, other)


EXACT = Context(prec=100)
SINGLE = Struct("<f")
TYPES = {
    **{name: _integers(name) for name in INTEGER_RANGES},
    "f32": Typed("float32", [-0.0, 0.5], lambda r: SINGLE.unpack(SINGLE.pack(r.gauss(0, 1e6)))[0]),
    "f64": Typed(
        "float64",
        [-0.0, 0.1, 1e22, 1e-300, -1.7976931348623157e308],
        lambda r: r.gauss(0, 1) * 10 ** r.randint(-99, 99),
    ),
    "b": Typed("bool", [False, True], lambda r: r.random() < 0.5),
    "dec": _decimals(20, 6),
    "wide": _decimals(50, 10),
    "c": Typed("char(8)", ["", "naïve", "😀" * 8], lambda r: "a" * r.randint(0, 8)),
    "s": Typed(
        "varchar(5000)",
        ["", "é" * 125, "x" * 250, "x" * 251, "日" * 1500, "'\\\n%s"],
        lambda r: "".join(r.choices("aé日😀 \t'", k=r.randint(0, 20))) + ".",
    ),
    "e": Typed("enum('x', 'it''s', 'é')", ["x", "it's", "é"], lambda r: "x"),
    "d": Typed(
        "date",
        [dt.date(1000, 1, 1), dt.date(9999, 12, 31)],
        lambda r: dt.date.fromordinal(r.randint(400_000, 800_000)),
    ),
    "t0": _moments(0),
    "t3": _moments(3),
    "t6": _moments(6),
    "u": Typed("uuid", [UUID(int=0), UUID(int=2**128 - 1)], lambda r: UUID(int=r.getrandbits(128))),
    "raw": Typed(
        "bytes", [b"", b"\xfe" * 70_000, bytes(range(256))], lambda r: r.randbytes(r.randint(0, 300))
    ),
}


def _rows(seed: int) -> list[dict[str, Any]]:
    """Return rows of each type: NULL, a value at the edge, or another one."""
    random = Random(seed)

    def value(typed: Typed) -> Any:
        chance = random.random()
        return None if chance < 0.2 else random.choice(typed.edges) if chance < 0.5 else typed.other(random)

    n_rows = random.choice([0, 1, 63, 64, 65, 300])
    return [{"k": k, **{name: value(typed) for name, typed in TYPES.items()}} for k in range(n_rows)]


@pytest.fixture
def table(new_schema: Any, dj: Any) -> Any:
    lines = [f"{name} = null : {typed.type}" for name, typed in TYPES.items()]
    return new_schema()(type("Typed", (dj.Manual,), {"definition": "\n".join(["k : int32", "---", *lines])}))


@examples(12)
@given(seed=st.integers(0, 2**32))
def test_each_type_comes_back_as_rows_and_as_arrow(table: Any, seed: int) -> None:
    inserted = _rows(seed)
    if table.connection.dialect.name == "mariadb":  # to which the constant -0e0 is 0
        inserted = [
            {n: 0.0 if v == 0.0 and isinstance(v, float) else v for n, v in r.items()} for r in inserted
        ]
    table.delete_quick()
    table.insert(inserted)
    assert table.to_dicts(order_by="k") == sorted(table(), key=itemgetter("k")) == inserted
    attributes = [table.heading[name] for name in table.heading.names]
    expected = arrow_table(attributes, [[row[a.name] for a in attributes] for row in inserted], False)
    found = table.to_arrow(order_by="k")
    assert found.schema == expected.schema
    for name in found.column_names:
        # as texts, to tell -0.0 from 0.0
        assert list(map(repr, found[name].to_pylist())) == list(map(repr, expected[name].to_pylist())), name


def test_values_of_many_sizes_and_none(table: Any, dj: Any) -> None:
    sizes = [0, 1, 250, 251, 255, 256, 65_535, 65_536, 1_000_000]
    table.insert([{"k": i, "raw": bytes([i]) * n} for i, n in enumerate(sizes)])
    for rows in (table.to_arrow(order_by="k").to_pylist(), table.to_dicts(order_by="k")):
        assert [len(row["raw"]) for row in rows] == sizes
        assert all(set(row["raw"]) <= {row["k"]} for row in rows)
    assert (table & False).to_arrow().num_rows == 0
    assert (table & False).to_dicts() == []


def test_a_transaction_reads_its_own_rows_and_those_of_a_stream_that_is_under_way(
    table: Any, connection: Any
) -> None:
    with connection.transaction:
        table.insert([{"k": k, "s": "x" * (k % 50)} for k in range(20_000)])
        stream = iter(table())
        first = next(stream)["k"]
        assert table.to_arrow().num_rows == len(table.to_dicts()) == 20_000
        assert sorted([first, *(row["k"] for row in stream)]) == list(range(20_000))
        abandoned = iter(table())
        next(abandoned)
        abandoned.close()
        assert len(table) == 20_000


@pytest.mark.parametrize("batch_rows", [1, 7, 100_000])
def test_no_row_of_a_stream_is_lost_to_a_statement_in_between(
    table: Any, connection: Any, batch_rows: int
) -> None:
    with connection.transaction:
        table.insert([{"k": k} for k in range(1000)])
        text = f"SELECT k FROM {table.full_table_name} ORDER BY k"
        seen = []
        for i, batch in enumerate(connection.stream_text(text, (), batch_rows)):
            assert len(batch) <= batch_rows
            seen += batch
            if i == 2:
                assert len(table) == 1000
    assert seen == [(k,) for k in range(1000)]


def test_an_error_after_many_rows_is_ours_and_the_session_goes_on(table: Any, connection: Any) -> None:
    table.insert([{"k": k, "int64": 2**63 - 1} for k in range(5000)])
    session = connection.connection_id
    failing = table.proj(n="IF(k < 4900, 1, int64 + 1)")
    for fetch in (failing.to_dicts, failing.to_arrow, lambda: list(failing)):
        with pytest.raises(DataError):
            fetch()
        assert len(table) == 5000
    assert connection.connection_id == session
    with connection.transaction:
        with pytest.raises(DataError), connection.transaction:
            failing.to_arrow()
        assert table.to_arrow().num_rows == 5000


def test_an_error_of_a_stream_is_told_where_it_is_read_on(table: Any, connection: Any) -> None:
    table.insert([{"k": k, "int64": 2**63 - 1} for k in range(30_000)])
    failing = table.proj(n="IF(k < 29900, 1, int64 + 1)")
    with connection.transaction:
        stream = iter(failing)
        next(stream)
        assert len(table) == 30_000
        with pytest.raises(DataError):
            list(stream)


def test_a_row_that_is_too_long_for_the_server_says_so(table: Any, connection: Any, dj: Any) -> None:
    if connection.dialect.name == "postgresql":
        pytest.skip("its limit is a gigabyte")
    ((most_bytes,),) = connection.query("SELECT @@max_allowed_packet")
    with pytest.raises((dj.errors.DataError, dj.errors.LostConnectionError), match="max_allowed_packet"):
        table.insert1({"k": 1, "raw": bytes(most_bytes)})
    assert not len(table())


def test_computed_values_are_the_same_in_arrow_as_in_dicts(table: Any, dj: Any) -> None:
    table.insert(
        [{"k": k, "dec": Decimal(k) / 8, "s": f"é{k}", "t6": dt.datetime(2026, 1, 1)} for k in range(99)]
    )
    query = table.proj(a="k * 2", b="k > 5", c="dec / 2", d="CONCAT(s, k)", e="k / 4", f="t6", g="dec")
    found, rows = query.to_arrow(order_by="k"), query.to_dicts(order_by="k")
    assert found.to_pylist() == rows
    totals = dj.U().aggr(table, n="count(*)", total="sum(k)", mean="avg(k)", last="max(t6)")
    assert totals.to_arrow().to_pylist() == totals.to_dicts()


def test_what_the_reader_needs_of_pymysql_is_there(connection: Any) -> None:
    if connection.dialect.name == "postgresql":
        pytest.skip("read by ADBC")
    from pymysql.cursors import SSCursor

    opened = connection.session()._connection
    cursor = opened.cursor(SSCursor)
    cursor.execute("SELECT 1")
    result = cursor._result
    assert callable(opened._force_close)
    assert callable(opened._rfile.read1)
    assert (result.unbuffered_active, result.connection) == (True, opened)
    assert [(f.type_code in (3, 8), f.flags & 32) for f in result.fields] == [(True, 0)]
    assert [(encoding, convert("7")) for encoding, convert in result.converters] == [("ascii", 7)]
    cursor.close()
    opened._execute_command(3, "DO 1")
    assert opened._read_query_result() == 0
