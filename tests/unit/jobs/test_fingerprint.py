"""The fingerprint: equal for equal inputs, different for different ones, the same in every process."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_jobs.fingerprint import fingerprint

ROOT = Path(__file__).parents[3]


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: Any
    y: Any


def structured(*rows: Any) -> Any:
    return np.array(list(rows), dtype=[("a", "i4"), ("b", "U3")])


A = np.arange(12, dtype="i4").reshape(3, 4)

DIFFERENT: list[tuple[Any, Any]] = [
    (1, 2),
    (1, 1.0),
    (1, True),
    (0, None),
    ("1", 1),
    ("1", b"1"),
    ("", None),
    (0.0, -0.0),
    (0.1 + 0.2, 0.3),
    (float("nan"), 0.0),
    ([1, 2], [2, 1]),
    ([1, 2], (1, 2)),
    ([[1], 2], [[1, 2]]),
    ([[1, 2], []], [[1], [2]]),
    (["ab", "c"], ["a", "bc"]),
    ({"a": 1}, {"a": 2}),
    ({"a": 1}, {"b": 1}),
    ({"a": None}, {}),
    ({1: 1}, {"1": 1}),
    ({1, 2}, {1, 3}),
    ({1}, [1]),
    ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}]),
    ([{"a": 1, "b": 2}] * 2, [{"a": 2, "b": 1}] * 2),
    (A, A.T),
    (A, A.ravel()),
    (A, A.astype("i8")),
    (A, A.astype("u4")),
    (A, A.astype(">i4")),
    (A, A + 1),
    (A[:, :2], A[:, 1:3]),
    (np.zeros(0), np.zeros((0, 2))),
    (np.zeros(2), -np.zeros(2)),
    (np.array(1), np.array([1])),
    (np.float32(1), np.float64(1)),
    (np.float64(1), 1.0),
    (np.array(["a", "b"]), np.array(["b", "a"])),
    (np.array([1, "a"], dtype=object), np.array([1, "b"], dtype=object)),
    (np.array([[1], [2]], dtype=object), np.array([1, 2], dtype=object)),
    (np.array([1], "M8[s]"), np.array([1], "M8[ms]")),
    (structured((1, "a")), structured((1, "b"))),
    (np.ma.masked_array([1, 2], [0, 1]), np.ma.masked_array([1, 2], [0, 0])),
    (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)),
    (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
    (dt.timedelta(1), dt.timedelta(1, 1)),
    (Decimal("1.0"), Decimal("1.1")),
    (Decimal(1), 1),
    (UUID(int=1), UUID(int=2)),
    (Fraction(1, 2), Fraction(1, 3)),
    (Colour.RED, Colour.BLUE),
    (Point(1, 2), Point(2, 1)),
    (Point(1, A), Point(1, A + 1)),
    (Point, Colour),
    (len, abs),
    (bytearray(b"a"), bytearray(b"b")),
    (range(3), range(4)),
    (complex(1, 2), complex(2, 1)),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]})),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 2]}, index=[1, 2])),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1.0, 2.0]})),
    (pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": ["x", "None"]})),
    (pd.Series([1, 2]), pd.Series([1, 2], index=[3, 4])),
    (pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02")),
    (pl.DataFrame({"a": [1, None]}), pl.DataFrame({"a": [1, 0]})),
    (pl.DataFrame({"a": [1.0, None]}), pl.DataFrame({"a": [1.0, float("nan")]})),
    (pl.DataFrame({"a": [[1], [2]]}), pl.DataFrame({"a": [[1], [3]]})),
    (pl.Series("a", [1, 2]), pl.Series("a", [2, 1])),
    (pa.table({"a": [1, 2]}), pa.table({"a": [1, 3]})),
    (pa.table({"a": [1, 2]}), pa.table({"b": [1, 2]})),
]


@pytest.mark.parametrize(("a", "b"), DIFFERENT, ids=lambda v: f"{type(v).__name__}")
def test_different_values_differ(a: Any, b: Any) -> None:
    assert fingerprint(a) != fingerprint(b)
    assert fingerprint([0, a]) != fingerprint([0, b])
    assert fingerprint({"k": (a,)}) != fingerprint({"k": (b,)})


def copies() -> list[tuple[Any, Any]]:
    return [
        (float("nan"), float("nan")),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({1: "x", "1": "y", None: 0, (1, 2): 3}, {(1, 2): 3, None: 0, "1": "y", 1: "x"}),
        ({frozenset({1}): 1, frozenset({2}): 2}, {frozenset({2}): 2, frozenset({1}): 1}),
        ({"a", "b", "c"}, {"c", "b", "a"}),
        (A, A.copy(order="F")),
        (A[::2], A[::2].copy()),
        (np.array([np.nan, 1]), np.array([np.nan, 1])),
        (np.array([{"a": A}, None], dtype=object), np.array([{"a": A.copy()}, None], dtype=object)),
        (np.array("", dtype="U0"), np.array("", dtype="U0")),
        (np.zeros(3, dtype="V0"), np.zeros(3, dtype="V0")),
        (Point(A, {"x"}), Point(A.copy(), {"x"})),
        (pd.DataFrame({"a": [1, None], "b": ["x", "y"]}), pd.DataFrame({"a": [1, None], "b": ["x", "y"]})),
        (pl.DataFrame({"a": [1, None]}), pl.DataFrame({"a": [1, None]})),
        (pa.table({"a": [1, None]}), pa.table({"a": [1, None]})),
        (PurePosixPath("/a"), PurePosixPath("/a")),
        ([{"a": i, "b": "x" * i} for i in range(5)], [{"b": "x" * i, "a": i} for i in range(5)]),
    ]


@pytest.mark.parametrize("at", range(len(copies())))
def test_equal_values_are_equal(at: int) -> None:
    a, b = copies()[at]
    assert fingerprint(a) == fingerprint(b)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES, VALUES)
def test_fingerprints_are_equal_where_values_are(a: Any, b: Any) -> None:
    assert (fingerprint(a) == fingerprint(b)) == (repr(sort_keys(a)) == repr(sort_keys(b)))


def sort_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: sort_keys(value[k]) for k in sorted(value)}
    if isinstance(value, (list, tuple)):
        return type(value)(sort_keys(v) for v in value)
    return value


def test_it_is_the_same_in_every_process() -> None:
    code = (
        "from tests.unit.jobs.test_fingerprint import copies; from dj_jobs.fingerprint import fingerprint\n"
        "print([fingerprint(a).hex() for a, _ in copies()])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {str([fingerprint(a).hex() for a, _ in copies()]) + "\n"}


def test_what_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="holds itself"):
        fingerprint(loop)
    shared = [1]
    assert fingerprint([shared, shared]) == fingerprint([[1], [1]])


def test_what_cannot_be_taken_apart_is_refused() -> None:
    with open(os.devnull) as file, pytest.raises(TypeError):
        fingerprint(file)


def test_the_names_of_levels_and_the_categories_of_frames_count() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1], name="i"))
    levels = pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)], names=["x", "y"]))
    grades = pd.DataFrame({"g": pd.Categorical(["a"], categories=["a", "b"], ordered=True)})
    others = (
        (frame, frame.rename_axis("j")),
        (frame, frame.rename_axis("c", axis="columns")),
        (levels, levels.rename_axis(["x", "z"])),
        (grades, pd.DataFrame({"g": pd.Categorical(["a"], categories=["b", "a"], ordered=True)})),
        (grades, pd.DataFrame({"g": pd.Categorical(["a"], categories=["a", "b"], ordered=False)})),
    )
    for one, other in others:
        assert fingerprint(one) == fingerprint(one.copy())
        assert fingerprint(one) != fingerprint(other)


def test_the_bytes_between_fields_do_not_count() -> None:
    padded = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    one = np.frombuffer(b"\x01" + b"\x00" * 7 + b"\x00" * 8, padded)
    other = np.frombuffer(b"\x01" + b"\xff" * 7 + b"\x00" * 8, padded)
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(np.array([(2, 0.0)], padded))


def _filled_up_with(octet: int, kind: type) -> np.ndarray[Any, Any]:
    """Long doubles whose bytes without a meaning all have one value."""
    made = np.zeros(3, kind)
    octets = made.view(np.longdouble).view(np.uint8).reshape(-1, np.dtype(np.longdouble).itemsize)
    octets[:] = octet
    made[:] = [1, -0.0, np.nan]  # which writes what means something
    octets[:, 10:] = octet
    return made


_PLACES: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "alone": lambda a: a,
    "scalar": lambda a: a[0],
    "list": lambda a: [a, a[1]],
    "dict": lambda a: {"x": (a,)},
    "rows": lambda a: [{"x": item} for item in a],
    "objects": lambda a: np.array([a[0], a[2], "z"], dtype=object),
    "fields": lambda a: [a.view([("x", a.dtype)]), a.view([("deep", [("x", a.dtype, (1,))])])],
    "masked": lambda a: np.ma.masked_array(a, [False, True, False]),
    "reversed": lambda a: a[::-1],
    "two dimensions": lambda a: np.stack([a, a])[:, ::2],
    "memory": lambda a: memoryview(a),
    "frame": lambda a: pd.DataFrame({"x": a}),
}


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="long doubles have no bytes to spare here")
@pytest.mark.parametrize("kind", [np.longdouble, np.clongdouble])
@pytest.mark.parametrize("place", _PLACES)
def test_the_bytes_that_fill_up_a_long_double_do_not_count(kind: type, place: str) -> None:
    made = [_filled_up_with(octet, kind) for octet in (0, 0x5A)]
    assert made[0].tobytes() != made[1].tobytes()
    assert fingerprint(_PLACES[place](made[0])) == fingerprint(_PLACES[place](made[1]))


def test_long_doubles_differ_by_their_last_bit() -> None:
    one = np.longdouble(1)
    assert fingerprint(one) != fingerprint(np.nextafter(one, np.longdouble(2)))
    assert fingerprint(np.array([one, 2])) != fingerprint(np.array([2, one]))
    assert fingerprint(np.array([1 + 2j], np.clongdouble)) != fingerprint(np.array([1 + 3j], np.clongdouble))
    big = np.arange(100_000, dtype=np.longdouble)
    other = big.copy()
    other[-1] = 0
    assert fingerprint(big) != fingerprint(other)
    assert fingerprint(big) == fingerprint(big.astype(big.dtype.newbyteorder("=")))
