"""What becomes of values on their way to a server, without one."""

from __future__ import annotations

import datetime as dt
import math
import pickle
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from dj_query.values import comparable, plain
from dj_query.write.encode import encode_column, is_stored_as_it_is
from dj_schema.errors import DataError
from dj_schema.heading import Attribute
from dj_schema.types import parse_type


def _attribute(type_: str, **more: Any) -> Attribute:
    parsed = parse_type(type_)
    return Attribute("v", parsed, parsed.kind, storage=parsed, **more)


def _encoded(type_: str, values: list[Any], has_nan: bool = True, **more: Any) -> list[Any]:
    return list(
        encode_column(_attribute(type_, **more), values, lambda: [{}] * len(values), has_nan, range(7, 99))
    )


def test_a_column_that_is_ready_is_not_copied() -> None:
    for type_, values in (("int32", [1, None]), ("varchar(3)", ["a", None]), ("float64", [0.5, 1])):
        assert encode_column(_attribute(type_), values, list, True) is values


VALUES = [
    0, -1, 255, 2**31, 2**63, True, None, 0.5, math.nan, math.inf, -0.0, "", "a", "abcd", " a ", "é", "\0",
    "\ud800", "1", b"a", Decimal(1), np.int8(1), np.float64(1.5), dt.date(2024, 1, 1), uuid4(), [1],
]  # fmt: skip


@pytest.mark.parametrize("has_nan", [True, False])
@pytest.mark.parametrize("type_", ["int8", "uint8", "int64", "float64", "char(2)", "varchar(3)"])
def test_what_is_seen_at_once_to_be_ready_stays_as_it_is(type_: str, has_nan: bool) -> None:
    quick = is_stored_as_it_is(_attribute(type_), has_nan)
    assert quick is not None
    ready = [value for value in VALUES if quick(value)]
    assert ready
    for value in ready:
        (stored,) = _encoded(type_, [value], has_nan=has_nan)
        assert stored is value


def test_what_tells_ready_values_may_travel_with_a_query() -> None:
    quick = pickle.loads(pickle.dumps(is_stored_as_it_is(_attribute("int8"), True)))
    assert quick(1)
    assert not quick(300)


@pytest.mark.parametrize("type_", ["bool", "float32", "enum('a','b')", "datetime", "decimal(5,2)", "json"])
def test_of_some_types_no_value_is_seen_at_once_to_be_ready(type_: str) -> None:
    assert is_stored_as_it_is(_attribute(type_), True) is None


def test_canonical_datetimes_stay_texts_and_others_become_moments() -> None:
    texts = ["2024-01-02 03:04:05", "2024-01-02T03:04:05"]
    assert _encoded("datetime", texts) == texts
    assert _encoded("datetime", ["2024-01-02T03:04+05"]) == [dt.datetime(2024, 1, 1, 22, 4)]
    assert _encoded("datetime", ["2024-W01-1T00:00:00"]) == [dt.datetime(2024, 1, 1)]
    with pytest.raises(DataError, match="row 8"):
        _encoded("datetime", ["2024-01-02 03:04:05", "2024-02-30 03:04:05"])


def test_what_servers_would_read_as_another_moment_goes_as_the_moment_or_not_at_all() -> None:
    for wrong in ("2024-01-01+10:00:00", "2024-01-01Z10:00:00", "2024-01-01x10:30", "2024-01-01-10:00:00"):
        for values in ([wrong], [wrong, "2024-01-02 03:04:05"]):
            with pytest.raises(DataError, match="YYYY-MM-DD HH:MM:SS"):
                _encoded("datetime", values)
        with pytest.raises(DataError, match="YYYY-MM-DD HH:MM:SS"):
            comparable(_attribute("datetime"), wrong)
    moment = dt.datetime(2024, 1, 2, 3, 4, 5)
    for text in ("2024-01-02 03:04:05Z", "20240102T030405", "2024-01-02T05:04:05+02:00"):
        assert _encoded("datetime", [text]) == [moment]
        assert comparable(_attribute("datetime"), text) == moment
    assert _encoded("datetime", ["2024-01-02 03:04", "2024-01-02"]) == ["2024-01-02 03:04", "2024-01-02"]


def test_the_row_in_a_message_is_its_place() -> None:
    with pytest.raises(DataError, match="row 9: 'abc' does not fit attribute 'v' of type varchar"):
        _encoded("varchar(2)", ["a", None, "abc"])


def test_nan_where_there_is_none() -> None:
    assert _encoded("float64", [math.nan, 1.0, None], has_nan=False, is_nullable=True) == [None, 1.0, None]
    with pytest.raises(DataError, match="NaN"):
        _encoded("float64", [math.nan], has_nan=False)
    with pytest.raises(DataError, match="infinity"):
        _encoded("float64", [math.inf], has_nan=False, is_nullable=True)


def test_numpy_scalars_are_plain_values() -> None:
    assert plain(np.int8(3)) == 3
    assert plain(np.datetime64("NaT")) is None
    assert plain(np.datetime64("2024-01-02")) == dt.datetime(2024, 1, 2)


def test_values_of_conditions_are_moments_in_utc() -> None:
    aware = dt.datetime(2024, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    assert comparable(_attribute("datetime"), aware) == dt.datetime(2024, 1, 1, 22)
    for type_, wrong in (
        ("int32", "one"),
        ("bool", "maybe"),
        ("uuid", "no"),
        ("varchar(9)", "\ud800"),
        ("bytes", "x"),
    ):
        with pytest.raises(DataError, match="'v'"):
            comparable(_attribute(type_), wrong)


def test_values_of_conditions_have_the_digits_that_are_stored() -> None:
    for type_, text, microsecond in (
        ("datetime(3)", "2024-01-01 10:00:00.1235", 124_000),
        ("datetime(3)", "2024-01-01 10:00:00.1234", 123_000),
        ("datetime(0)", "2024-01-01 10:00:00.4", 0),
        ("datetime", "2024-01-01 10:00:00.123456", 0),
        ("datetime(6)", "2024-01-01 10:00:00.123456", 123_456),
    ):
        moment = dt.datetime(2024, 1, 1, 10, 0, 0, microsecond)
        assert comparable(_attribute(type_), dt.datetime.fromisoformat(text)) == moment
        found = comparable(_attribute(type_), text)
        assert (dt.datetime.fromisoformat(found) if isinstance(found, str) else found) == moment
