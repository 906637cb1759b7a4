"""Every form in which rows come out."""

from __future__ import annotations

import datetime as dt
import resource
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from dj_query import fetch as fetch_module

DTYPES = {
    "i8": ("int8", "int64"),
    "u64": ("uint64", "uint64"),
    "f32": ("float32", "float32"),
    "f64": ("float64", "float64"),
    "b": ("bool", "bool"),
    "dec": ("decimal(5,2)", "object"),
    "s": ("varchar(20)", "object"),
    "e": ("enum('x','y')", "object"),
    "d": ("date", "object"),
    "t": ("datetime(6)", "object"),
    "j": ("json", "object"),
    "u": ("uuid", "object"),
    "raw": ("bytes", "object"),
    "data": ("<blob>", "object"),
}


def _value(name: str, i: int) -> Any:
    return {
        "i8": i,
        "u64": 2**64 - 1 - i,
        "f32": i + 0.5,
        "f64": i / 3,
        "b": bool(i % 2),
        "dec": Decimal(i) + Decimal("0.25"),
        "s": f"s{i}",
        "e": "xy"[i % 2],
        "d": dt.date(2024, 1, 1 + i),
        "t": dt.datetime(2024, 1, 1, 0, 0, i, i),
        "j": [i, {"a": None}],
        "u": UUID(int=i),
        "raw": bytes([i]),
        "data": np.full((1, 2), i),
    }[name]


@pytest.fixture
def wide(new_schema: Any, dj: Any) -> Any:
    """Return a table with an attribute of each type, none of them nullable."""
    lines = [f"{name} : {type_}" for name, (type_, _) in DTYPES.items()]
    definition = "\n".join(["k : int32", "part : varchar(4)", "---", *lines])
    return new_schema()(type("Wide", (dj.Manual,), {"definition": definition}))


@pytest.fixture
def few(new_schema: Any, dj: Any) -> Any:
    @new_schema()
    class Few(dj.Manual):
        definition = """
        # a few rows
        k : int32
        side : varchar(5)
        ---
        v = null : int32
        f = null : float64
        name = "" : varchar(20)  # what it is called
        """

    Few.insert(
        [
            {
                "k": k,
                "side": side,
                "v": None if k == 2 else 10 * k,
                "f": None if k == 2 else k / 2,
                "name": f"n{k % 3}",
            }
            for k in range(6)
            for side in ("left", "right")
        ]
    )
    return Few


def _fill(wide: Any) -> list[dict[str, Any]]:
    rows = [{"k": i, "part": "p", **{n: _value(n, i) for n in DTYPES}} for i in range(3)]
    wide.insert(rows)
    return rows


@pytest.mark.rule("fetch-api", "to_arrays", "squeeze")
def test_arrays_have_the_dtype_of_their_attribute(wide: Any) -> None:
    for is_filled in (False, True):
        rows = _fill(wide) if is_filled else []
        structured = wide.to_arrays(order_by="KEY")
        assert structured.shape == (len(rows),)
        for name, (_, dtype) in DTYPES.items():
            assert structured.dtype[name] == np.dtype(dtype), name
            column = wide.to_arrays(name, order_by="KEY")
            assert column.dtype == np.dtype(dtype), name
            assert column.shape == (len(rows),)
            if name != "data":
                assert column.tolist() == structured[name].tolist() == [r[name] for r in rows], name
    assert structured["data"][1].tolist() == [[1, 1]]
    assert wide.to_arrays("data", squeeze=True, order_by="KEY")[2].shape == (2,)
    assert wide.to_dicts(squeeze=True)[0]["data"].shape == (2,)
    assert (wide & "k=1").fetch1("data", squeeze=True).shape == (2,)


def test_null_is_nan_among_floats_and_none_elsewhere(few: Any) -> None:
    v, f = (few & "k < 3").to_arrays("v", "f", order_by="KEY")
    assert v.dtype == object
    assert v.tolist() == [0, 0, 10, 10, None, None]
    assert f.dtype == np.float64
    assert np.isnan(f[4:]).all()
    assert f[2] == 0.5
    v = (few & "k < 2").to_arrays("v", order_by="KEY")
    assert v.dtype == np.int64


@pytest.mark.rule("fetch-results", "arrays")
@pytest.mark.rule("fetch-api", "to_arrays")
def test_to_arrays_gives_one_array_or_several(few: Any) -> None:
    k, name = few.to_arrays("k", "name", order_by="KEY", limit=3)
    assert k.tolist() == [0, 0, 1]
    assert name.tolist() == ["n0", "n0", "n1"]
    keys, v = few.to_arrays("v", include_key=True, order_by="KEY", limit=2)
    assert keys == [{"k": 0, "side": "left"}, {"k": 0, "side": "right"}]
    assert v.tolist() == [0, 0]
    keys, k = few.to_arrays("k", include_key=True, order_by="KEY", limit=2)
    assert [key["k"] for key in keys] == k.tolist()
    assert (few & "k < 0").to_arrays("k", "name")[0].shape == (0,)
    same, again = few.to_arrays("k", "k", limit=2, order_by="KEY")
    assert same.tolist() == again.tolist()


@pytest.mark.rule("fetch-results", "pages", "all-methods")
@pytest.mark.rule("fetch-api", "order_by", "limit-offset", "to_dicts", "proj")
@pytest.mark.parametrize("method", ["to_dicts", "to_arrays", "to_pandas", "to_arrow", "to_polars", "keys"])
def test_order_limit_and_offset(few: Any, method: str) -> None:
    def ks(**window: Any) -> list[int]:
        found = getattr(few & "side = 'left'", method)(**window)
        if method == "to_pandas":
            return list(found.reset_index()["k"])
        if method in ("to_arrow", "to_polars"):
            return list(found["k"].to_pylist() if method == "to_arrow" else found["k"])
        return [int(row["k"]) for row in found]

    assert ks(order_by="KEY") == [0, 1, 2, 3, 4, 5]
    assert ks(order_by="k DESC") == [5, 4, 3, 2, 1, 0]
    assert ks(order_by="KEY DESC", limit=2) == [5, 4]
    assert ks(order_by=["name DESC", "k"]) == [2, 5, 1, 4, 0, 3]
    assert ks(order_by="name, k desc") == [3, 0, 4, 1, 5, 2]
    assert ks(order_by="k", limit=2, offset=3) == [3, 4]
    assert ks(order_by="k", offset=4) == [4, 5]
    assert ks(order_by="k", limit=0) == []
    assert len(ks(limit=2)) == 2
    chosen = (few & "k < 1").proj("name", twice="k * 2")
    assert chosen.to_dicts(order_by="side") == [
        {"k": 0, "side": side, "name": "n0", "twice": 0} for side in ("left", "right")
    ]


def test_order_by_an_unknown_attribute_is_refused(few: Any, dj: Any) -> None:
    with pytest.raises(dj.errors.UnknownAttributeError, match="'nmae'"):
        few.to_dicts(order_by="nmae")
    for wrong in ("nmae", "k; DROP", ""):
        with pytest.raises(dj.errors.UnknownAttributeError):
            few.to_arrays(wrong)
        with pytest.raises(dj.errors.UnknownAttributeError):
            (few & "k=1").fetch1(wrong)


@pytest.mark.rule("fetch-api", "fetch1")
def test_fetch1_wants_exactly_one_row(few: Any, dj: Any) -> None:
    one = few & {"k": 1, "side": "left"}
    row = {"k": 1, "side": "left", "v": 10, "f": 0.5, "name": "n1"}
    assert one.fetch1() == row
    assert one.fetch1("v") == 10
    assert one.fetch1("name", "v") == ("n1", 10)
    assert (few & {"k": 2, "side": "left"}).fetch1("v", "f") == (None, None)
    for wrong, n in ((few & "k = 99", 0), (few & {"k": 1}, 2)):
        for attrs in ((), ("v",)):
            with pytest.raises(dj.DataJointError, match=f"one row.*{n}"):
                wrong.fetch1(*attrs)


@pytest.mark.rule("fetch-api", "keys")
def test_keys_head_and_tail(few: Any) -> None:
    assert few.keys(order_by="KEY", limit=2) == [{"k": 0, "side": "left"}, {"k": 0, "side": "right"}]
    assert [r["k"] for r in few.head(3)] == [0, 0, 1]
    assert [r["k"] for r in few.tail(3)] == [4, 5, 5]
    assert len(few.head()) == len(few.tail()) == 12
    assert few.tail(1)[0]["side"] == "right"


@pytest.mark.rule("fetch-results", "to_pandas")
@pytest.mark.rule("fetch-api", "to_pandas")
def test_to_pandas_has_the_key_as_index(wide: Any) -> None:
    for is_filled in (False, True):
        rows = _fill(wide) if is_filled else []
        frame = wide.to_pandas(order_by="KEY")
        assert frame.index.names == ["k", "part"]
        assert list(frame.columns) == list(DTYPES)
        assert len(frame) == len(rows)
        types = {"i8": "int64", "u64": "uint64", "f32": "float32", "f64": "float64", "b": "bool"}
        assert {n: str(frame[n].dtype) for n in types} == types
        assert str(frame["t"].dtype) == "datetime64[us]"
    assert frame["t"].iloc[1].to_pydatetime() == _value("t", 1)
    assert frame["j"].iloc[2] == [2, {"a": None}]
    assert frame.loc[(1, "p"), "s"] == "s1"


def test_to_pandas_with_nulls(new_schema: Any, dj: Any) -> None:
    import pandas as pd

    definition = "k : int32\n---\nt = null : datetime\nv = null : int32\ns = null : varchar(5)"
    table = new_schema()(type("Nulls", (dj.Manual,), {"definition": definition}))
    table.insert([(1, dt.datetime(9999, 12, 31), 5, "a"), (2, None, None, None)])
    frame = table.to_pandas(order_by="KEY")
    assert frame["t"].iloc[0].year == 9999
    for name in ("t", "v", "s"):
        assert pd.isna(frame[name].iloc[1]), name


@pytest.mark.rule("fetch-api", "to_arrow")
def test_to_arrow_has_typed_columns(wide: Any) -> None:
    empty = wide.to_arrow()
    assert empty.num_rows == 0
    assert empty.column_names == ["k", "part", *DTYPES]
    rows = _fill(wide)
    table = wide.to_arrow(order_by="KEY")
    expected = {
        "i8": "int8",
        "u64": "uint64",
        "f32": "float",
        "f64": "double",
        "b": "bool",
        "dec": "decimal128(5, 2)",
        "s": "string",
        "d": "date32[day]",
        "t": "timestamp[us]",
        "u": "string",
        "j": "string",
        "raw": "binary",
    }
    for found in (empty, table):
        assert {n: str(found.schema.field(n).type) for n in expected} == expected
    for name in ("i8", "u64", "f32", "f64", "b", "dec", "s", "e", "d", "t", "raw"):
        assert table[name].to_pylist() == [r[name] for r in rows], name


def test_frames_of_native_types_hold_their_whole_range(new_schema: Any, dj: Any) -> None:
    import pyarrow as pa

    definition = """
    k : int
    ---
    flag = 1 : tinyint(1)
    yes = null : boolean
    most : bigint unsigned
    rare = null : bigint unsigned
    amount : numeric(5,2)
    total = null : numeric(50,3)
    """
    table = new_schema()(type("Native", (dj.Manual,), {"definition": definition}))
    first = {"k": 1, "flag": False, "yes": True, "most": 2**64 - 1, "rare": 2**64 - 1, "total": None}
    first["amount"] = Decimal("1.20")
    table.insert1(first)
    table.insert1({"k": 2, "most": 0, "amount": Decimal("-999.99"), "total": Decimal("1.5")})
    rows = table.to_dicts(order_by="k")
    assert rows[0] == first
    assert [type(r["flag"]) for r in rows] == [bool, bool]
    assert rows[1]["flag"] is True
    assert (table & {"flag": True}).fetch1("k") == 2
    assert (table & "flag").fetch1("k") == 2
    types = {
        "k": pa.int64(),
        "flag": pa.bool_(),
        "yes": pa.bool_(),
        "most": pa.uint64(),
        "rare": pa.uint64(),
        "amount": pa.decimal128(5, 2),
        "total": pa.decimal256(50, 3),
    }
    arrow = table.to_arrow(order_by="k")
    assert dict(zip(arrow.schema.names, arrow.schema.types, strict=True)) == types
    assert arrow.to_pylist() == rows
    assert (table & "k=9").to_arrow().schema == arrow.schema
    frame = table.to_pandas(order_by="k")
    assert [str(frame[n].dtype) for n in ("flag", "yes", "most", "rare")] == [
        "bool", "boolean", "uint64", "UInt64",
    ]  # fmt: skip
    assert frame["rare"].iloc[0] == frame["most"].iloc[0] == 2**64 - 1
    assert table.to_arrays("most", order_by="k").tolist() == [2**64 - 1, 0]
    table.update1({"k": 2, "flag": False})
    assert not any(table.to_arrays("flag"))


@pytest.mark.rule("fetch-api", "optional-dependencies")
def test_to_polars_without_the_library_says_what_to_install(
    few: Any, dj: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(dj.DataJointError, match="pip install"):
        few.to_polars()


@pytest.mark.rule("fetch-api", "to_polars")
def test_to_polars(few: Any) -> None:
    frame = few.to_polars(order_by="KEY", limit=3)
    assert frame["k"].to_list() == [0, 0, 1]
    assert frame["v"].to_list() == [0, 0, 10]


@pytest.mark.rule("fetch-api", "fetch-deprecated")
def test_fetch_is_deprecated_once_and_works(few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "_warned", set())
    one = few & {"k": 1, "side": "left"}
    with pytest.warns(DeprecationWarning, match="to_dicts"):
        assert few.fetch().shape == (12,)
    with pytest.warns(DeprecationWarning, match="keys"):
        assert one.fetch("KEY") == [{"k": 1, "side": "left"}]
    with pytest.warns(DeprecationWarning, match="to_dicts"):
        assert one.fetch(as_dict=True) == [one.fetch1()]
    with pytest.warns(DeprecationWarning, match="to_pandas"):
        assert len(few.fetch(format="frame")) == 12
    with pytest.warns(DeprecationWarning, match="keys"):
        assert one.fetch1("KEY") == {"k": 1, "side": "left"}
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert few.fetch("k", order_by="KEY", limit=1, offset=2).tolist() == [1]
        assert one.fetch("k", "v", as_dict=True) == [{"k": 1, "v": 10}]
        keys, v = few.fetch("KEY", "v", order_by="KEY", limit=1)
        assert keys == [{"k": 0, "side": "left"}]
        assert v.tolist() == [0]
        v, keys = few.fetch("v", "KEY", order_by="KEY", limit=1)
        assert keys == [{"k": 0, "side": "left"}]
        assert v.tolist() == [0]
        assert few.fetch(format="array").shape == (12,)
        # "KEY" among dicts is all of the key; attributes that are named have no other form than arrays
        assert one.fetch("KEY", "v", as_dict=True) == [{"k": 1, "side": "left", "v": 10}]
        assert one.fetch("v", "KEY", as_dict=True, order_by="v") == [{"v": 10, "k": 1, "side": "left"}]
        assert one.fetch("v", format="frame").tolist() == [10]


@pytest.mark.rule("fetch-api", "limit-offset")
def test_limit_and_offset_may_be_numbers_of_numpy(few: Any) -> None:
    import numpy as np

    rows = few.to_dicts(order_by="KEY")
    assert few.to_dicts(order_by="KEY", limit=np.int64(2), offset=np.uint8(1)) == rows[1:3]
    with pytest.raises(TypeError, match="limit of Top"):
        few.to_dicts(limit=np.True_)


@pytest.mark.rule("query-data", "len")
def test_len_bool_and_in(few: Any) -> None:
    assert len(few()) == len(few) == 12
    assert len(few & "k < 0") == 0
    assert not (few & "k < 0")
    assert few & "k = 1"
    assert bool(few())
    assert {"k": 1, "side": "left"} in few
    assert {"k": 1} in few()
    assert {"k": 99} not in few
    assert len(few.proj(x="v * 2") & "x > 20") == 6


# -- iteration -------------------------------------------------------------------------------------


@pytest.fixture
def many(new_schema: Any, dj: Any) -> SimpleNamespace:
    schema = new_schema()
    many = schema(type("Many", (dj.Manual,), {"definition": "k : int32\n---\ntext : varchar(200)"}))
    log = schema(type("Log", (dj.Manual,), {"definition": "k : int32"}))
    many.insert([{"k": i, "text": f"{i}" * 20} for i in range(25_000)])
    return SimpleNamespace(Many=many, Log=log)


@pytest.mark.rule("fetch-api", "iteration")
@pytest.mark.parametrize("in_transaction", [False, True])
def test_iteration_gives_every_row_while_other_queries_run(
    many: Any, connection: Any, in_transaction: bool
) -> None:
    def walk() -> list[int]:
        seen = []
        for row in many.Many():
            seen.append(row["k"])
            if row["k"] % 6000 == 0:
                assert (many.Many & {"k": row["k"]}).fetch1("text") == row["text"]
                many.Log.insert1({"k": row["k"]})
                assert sum(1 for _ in many.Log()) == len(many.Log())
        return seen

    if in_transaction:
        with connection.transaction:
            many.Many.insert1({"k": 25_000, "text": "not committed"})
            assert sorted(walk()) == list(range(25_001))
    else:
        assert sorted(walk()) == list(range(25_000))
    assert len(many.Log()) == 5


@pytest.mark.rule("fetch-api", "iteration")
@pytest.mark.parametrize("in_transaction", [False, True])
def test_iteration_may_end_early(many: Any, connection: Any, in_transaction: bool) -> None:
    def first(n: int) -> list[int]:
        found = []
        for row in many.Many():
            found.append(row["k"])
            if len(found) == n:
                break
        return found

    for n in (1, 10, 10_001):
        if in_transaction:
            with connection.transaction:
                assert len(first(n)) == n
                many.Log.insert1({"k": n})
        else:
            assert len(first(n)) == n
        assert len(many.Many()) == 25_000
    assert len(many.Log()) == (3 if in_transaction else 0)


@pytest.mark.rule("fetch-api", "iteration")
@pytest.mark.parametrize("in_transaction", [False, True])
def test_iteration_holds_few_rows_in_memory(many: Any, connection: Any, in_transaction: bool) -> None:
    many.Many.insert([{"k": i, "text": f"{i}" * 20} for i in range(25_000, 50_000)])

    def peak(query: Any) -> int:
        tracemalloc.start()
        for _ in fetch_module.iterate(query, batch_rows=500):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    if in_transaction:
        with connection.transaction:
            used = peak(many.Many())
    else:
        used = peak(many.Many())
    tracemalloc.start()
    rows = many.Many.to_dicts()
    everything = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(rows) == 50_000
    assert used < everything / 8


def _memory_bytes() -> int:
    """What the process holds now; where nobody tells, the most that it ever held."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.mark.slow
@pytest.mark.rule("fetch-api", "iteration")
def test_a_million_rows_pass_through_less_than_100_megabytes(new_schema: Any, dj: Any) -> None:
    schema = new_schema()
    digits = schema(type("Digits", (dj.Manual,), {"definition": "i : int32\n---\ntext : varchar(100)"}))
    digits.insert([(i, f"{i:0100}") for i in range(1000)])
    pairs = digits * digits.proj(j="i", other="text")
    before = _memory_bytes()
    most = n = total = 0
    for n, row in enumerate(pairs, 1):
        total += row["i"] * row["j"]
        if n % 5_000 == 0:
            most = max(most, _memory_bytes())
    assert (n, total) == (1_000_000, sum(range(1000)) ** 2)
    assert most - before < 100e6


def test_two_iterations_run_beside_each_other(many: Any, connection: Any) -> None:
    with connection.transaction:
        a, b = iter(many.Many & "k < 12000"), iter(many.Many & "k < 11000")
        pairs = [(next(a)["k"], next(b)["k"]) for _ in range(10_500)]
        rest = [row["k"] for row in a]
    del b  # its rows went with the transaction
    with connection.transaction:
        assert len(many.Many()) == 25_000
    assert len({x for x, _ in pairs}) == len({y for _, y in pairs}) == 10_500
    assert len(rest) == 1500


def test_what_a_float_is_compared_with(new_schema: Any, dj: Any) -> None:
    table = new_schema()(
        type("Real", (dj.Manual,), {"definition": "k : int32\n---\nf : float64\nd : decimal(5,2)"})
    )
    table.insert1((1, 1.0, 1))
    assert len(table & {"f": True}) == len(table & {"d": True}) == len(table & {"f": "1.0"}) == 1
    assert len(table & {"f": False}) == 0
    for value in (float("nan"), float("-inf"), "inf"):
        if table().connection.dialect.flags.has_nan:
            assert len(table & {"f": value}) == 0
        else:
            with pytest.raises(dj.errors.DataError, match="has finite numbers alone"):
                table & {"f": value}


def test_blobs_of_several_shapes_are_no_column_of_arrow(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Mixed", (dj.Manual,), {"definition": "k : int32\n---\nb : <blob>"}))
    table.insert([(1, np.zeros(3)), (2, "text")])
    for fetch in (table().to_arrow, table().to_polars):
        with pytest.raises(dj.DataJointError, match="'b' do not make a column of arrow"):
            fetch()
    assert table.proj().to_arrow().num_rows == 2
