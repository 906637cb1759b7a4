"""A row that does not fit is refused with an error that names it, and leaves the table as it was."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def lab(new_schema: Any, dj: Any) -> SimpleNamespace:
    schema = new_schema()

    @schema
    class Species(dj.Lookup):
        definition = "species : varchar(20)"
        contents = (("mouse",), ("rat",))

    @schema
    class Subject(dj.Manual):
        definition = """
        subject_id : int32
        ---
        -> Species
        age = 0 : uint8
        sex = 'U' : enum('F','M','U')
        weight = null : float64
        mass = null : float32
        price = null : decimal(5,2)
        code = null : char(3)
        dob = null : date
        seen = null : datetime(3)
        notes = null : json
        tag = null : uuid
        raw = null : bytes
        is_alive = 1 : bool
        data = null : <blob>
        unique index (code)
        """

    return SimpleNamespace(Subject=Subject, Species=Species)


def _row(i: int, **more: Any) -> dict[str, Any]:
    return {"subject_id": i, "species": "mouse", **more}


class _Opaque:
    pass


MISFITS: list[tuple[str, Any, str]] = [
    ("subject_id", 2**31, "2147483647"),
    ("subject_id", "one", "int32"),
    ("subject_id", 1.5, "whole number"),
    ("age", 256, "0 to 255"),
    ("age", -1, "0 to 255"),
    ("age", math.nan, "whole number"),
    ("age", math.inf, "whole number"),
    ("age", np.float64("nan"), "whole number"),
    ("age", [1], "integer"),
    ("age", dt.date(2024, 1, 1), "integer"),
    ("species", "m" * 21, "20 characters"),
    ("species", "a\0b", "null character"),
    ("species", "a\ud800", "surrogate"),
    ("species", b"mouse", "string"),
    ("species", {"a": 1}, "string"),
    ("sex", "X", "'F', 'M', 'U'"),
    ("sex", "f", "'F', 'M', 'U'"),
    ("sex", "", "'F', 'M', 'U'"),
    ("weight", "heavy", "float64"),
    ("weight", [1.0], "number"),
    ("mass", 1e39, "float32"),
    ("price", "12,5", "number"),
    ("price", 1000, "3 digits before"),
    ("price", Decimal("999.995"), "3 digits before"),
    ("price", Decimal("NaN"), "digits"),
    ("price", math.inf, "digits"),
    ("code", "abcd", "3 characters"),
    ("dob", "yesterday", "date"),
    ("dob", "2024-02-30", "day"),
    ("dob", 20240101, "date"),
    ("seen", "12 o'clock", "datetime"),
    ("seen", 5, "datetime"),
    ("notes", _Opaque(), "JSON"),
    ("notes", {1, 2}, "JSON"),
    ("notes", {"a": math.nan}, "JSON"),
    ("tag", "not a uuid", "UUID"),
    ("tag", 5, "UUID"),
    ("raw", "text", "<blob>"),
    ("raw", [1, 2], "<blob>"),
    ("is_alive", "maybe", "True, False"),
    ("is_alive", 2, "True, False"),
    ("data", _Opaque(), "'data'"),
]


@pytest.mark.parametrize("n_before", [0, 5, 120])
@pytest.mark.rule("data-manipulation", "7.1", "8.1", "8.2")
def test_a_misfit_is_named_and_nothing_is_inserted(lab: Any, dj: Any, n_before: int) -> None:
    lab.Subject.insert1(_row(1000))
    for name, value, expected in MISFITS:
        rows = [_row(i) for i in range(n_before)] + [{**_row(n_before), name: value}]
        with pytest.raises(dj.DataJointError) as caught:
            lab.Subject.insert(rows)
        message = str(caught.value)
        assert f"'{name}'" in message, message
        assert expected in message, message
        assert isinstance(caught.value, dj.errors.DataError)
        assert f"row {n_before}:" in message, message
    assert lab.Subject.keys() == [{"subject_id": 1000}]


def test_the_row_is_named_by_its_place_in_what_was_given(lab: Any, dj: Any) -> None:
    mixed = [_row(0), _row(1, age=3), _row(2), _row(3, age=300)]
    with pytest.raises(dj.errors.DataError, match="row 3: 300"):
        lab.Subject.insert(mixed)
    with pytest.raises(dj.errors.DataError, match="row 25: 300"):
        lab.Subject.insert([_row(i, age=300 if i == 25 else 1) for i in range(30)], chunk_size=10)
    assert len(lab.Subject()) == 20


@pytest.mark.parametrize("n", [1, 4, 200])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.rule("data-manipulation", "2.4", "7.1", "8.1", "8.2")
def test_duplicate_is_refused_and_the_table_stays_as_it_was(lab: Any, dj: Any, n: int, mixed: bool) -> None:
    lab.Subject.insert1(_row(n - 1, age=7))
    rows = [_row(i, **({"age": 1} if mixed and i % 2 else {})) for i in range(n)]
    with pytest.raises(dj.errors.DuplicateError, match="skip_duplicates"):
        lab.Subject.insert(rows)
    assert lab.Subject.proj("age").to_dicts() == [{"subject_id": n - 1, "age": 7}]


@pytest.mark.parametrize("n", [1, 4, 200])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.rule("data-manipulation", "7.1", "8.1", "8.2")
def test_missing_parent_is_refused_and_the_table_stays_as_it_was(
    lab: Any, dj: Any, n: int, mixed: bool
) -> None:
    rows = [_row(i, **({"age": 1} if mixed and i % 2 else {})) for i in range(n)]
    rows[-1] = {**rows[-1], "species": "unicorn"}
    with pytest.raises(dj.errors.IntegrityError, match="parent"):
        lab.Subject.insert(rows)
    for option in ({"skip_duplicates": True}, {"replace": True}):
        with pytest.raises(dj.errors.IntegrityError, match="parent"):
            lab.Subject.insert(rows, **option)
    assert not len(lab.Subject())


@pytest.mark.parametrize("n", [2, 200])
def test_second_unique_index_is_guarded(lab: Any, dj: Any, n: int) -> None:
    with pytest.raises(dj.errors.DuplicateError):
        lab.Subject.insert([_row(i, code="abc" if i in (0, n - 1) else None) for i in range(n)])
    assert not len(lab.Subject())


@pytest.mark.parametrize("n", [3, 200])
@pytest.mark.rule("data-manipulation", "7.2", "8.2")
def test_failure_in_a_transaction_leaves_what_was_before_it(
    lab: Any, dj: Any, connection: Any, n: int
) -> None:
    rows = [_row(i, **({"age": 1} if i % 2 else {})) for i in range(n)]
    with connection.transaction:
        lab.Subject.insert1(_row(500))
        with pytest.raises(dj.errors.DuplicateError):
            lab.Subject.insert([*rows, _row(500, age=1)])
        lab.Subject.insert1(_row(501))
    assert lab.Subject.keys(order_by="KEY") == [{"subject_id": 500}, {"subject_id": 501}]


@pytest.mark.rule("data-manipulation", "8.1")
def test_what_must_be_given_is_named(lab: Any, dj: Any) -> None:
    wrong: list[Any] = [
        [{"species": "mouse"}],
        [{"subject_id": None, "species": "mouse"}],
        [_row(1), {"subject_id": 2}],
        [{"subject_id": 1, "species": None}],
        [_row(i) for i in range(80)] + [{"subject_id": 80, "species": None}],
        [{}],
    ]
    for rows in wrong:
        with pytest.raises(dj.errors.MissingAttributeError, match="'(subject_id|species)'"):
            lab.Subject.insert(rows)
    assert not len(lab.Subject())


def test_what_is_no_row_is_refused(lab: Any, dj: Any) -> None:
    for rows in (5, None, object(), b"bytes", [5], ["text"], [None], [(1, "mouse")], np.arange(3), lambda: 1):
        with pytest.raises(dj.DataJointError):
            lab.Subject.insert(rows)
    with pytest.raises(dj.DataJointError, match="row of 2 values.*attributes"):
        lab.Subject.insert([(1, "mouse")])
    assert not len(lab.Subject())


def test_error_of_the_server_names_the_table(new_schema: Any, dj: Any, connection: Any) -> None:
    table = new_schema()(type("Native", (dj.Manual,), {"definition": "k : int32\n---\nt = null : time"}))
    for n in (1, 100):
        with pytest.raises(dj.errors.DataError, match="native"):
            table.insert([{"k": i, "t": "900:00:00" if i == n - 1 else "12:00:00"} for i in range(n)])
    assert not len(table())


def test_native_blob_takes_bytes_only(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Old", (dj.Manual,), {"definition": "k : int32\n---\nb : longblob"}))
    with pytest.raises(dj.errors.DataError, match="<blob>"):
        table.insert1({"k": 1, "b": np.zeros(3)})
    table.insert1({"k": 1, "b": b"\0\1"})
    assert table.fetch1("b") == b"\0\1"


def test_an_error_in_a_generator_leaves_the_table_as_it_was(lab: Any) -> None:
    def rows() -> Any:
        yield _row(1)
        raise RuntimeError("source is gone")

    with pytest.raises(RuntimeError, match="source is gone"):
        lab.Subject.insert(rows())
    assert not len(lab.Subject())
