"""Changing one row, and checking rows before they are sent."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import numpy as np
import pytest


@pytest.fixture
def subject(new_schema: Any, dj: Any) -> Any:
    @new_schema()
    class Subject(dj.Manual):
        definition = """
        subject_id : int32
        session : varchar(10)
        ---
        name : varchar(20)
        notes = null : varchar(100)
        weight = 1.5 : float64
        sex = 'U' : enum('F','M','U')
        dob = null : date
        tag = null : uuid
        meta = null : json
        data = null : <blob>
        unique index (name)
        """

    Subject.insert([{"subject_id": i, "session": "a", "name": f"s{i}"} for i in range(3)])
    return Subject


KEY = {"subject_id": 1, "session": "a"}


@pytest.mark.rule("data-manipulation", "3.2")
def test_update1_changes_one_row(subject: Any) -> None:
    new = {
        "name": "it's \\ % 🧠",
        "notes": "",
        "weight": np.float32(2.5),
        "sex": "F",
        "dob": "2024-01-02",
        "tag": str(UUID(int=3)),
        "meta": {"a": [1, None]},
        "data": {"x": np.arange(3)},
    }
    subject.update1({**KEY, **new})
    row = (subject & KEY).fetch1()
    assert row.pop("data")["x"].tolist() == [0, 1, 2]
    assert row == {
        **KEY,
        **{k: v for k, v in new.items() if k != "data"},
        "weight": 2.5,
        "dob": dt.date(2024, 1, 2),
        "tag": UUID(int=3),
    }
    assert subject.to_arrays("name", order_by="KEY").tolist() == ["s0", new["name"], "s2"]


@pytest.mark.rule("data-manipulation", "3.4")
def test_update1_with_none_resets_to_the_default(subject: Any, dj: Any) -> None:
    subject.update1({**KEY, "notes": "x", "weight": 9, "sex": "M", "data": [1]})
    subject.update1({**KEY, "notes": None, "weight": None, "sex": None, "data": None})
    row = (subject & KEY).fetch1()
    assert (row["notes"], row["weight"], row["sex"], row["data"]) == (None, 1.5, "U", None)
    with pytest.raises(dj.errors.MissingAttributeError, match="'name'"):
        subject.update1({**KEY, "name": None})


@pytest.mark.rule("data-manipulation", "3.3-key", "3.3-one", "3.3-whole")
def test_update1_has_three_rules(subject: Any, dj: Any) -> None:
    before = subject.to_dicts(order_by="KEY")
    with pytest.raises(dj.DataJointError, match="session"):
        subject.update1({"subject_id": 1, "name": "x"})
    with pytest.raises(dj.DataJointError, match="none with key"):
        subject.update1({"subject_id": 9, "session": "a", "name": "x"})
    with pytest.raises(dj.DataJointError, match="restricted"):
        (subject & "subject_id > 0").update1({**KEY, "name": "x"})
    with pytest.raises(dj.DataJointError, match="dict"):
        subject.update1([(1, "a", "x")])
    with pytest.raises(dj.errors.UnknownAttributeError, match="'nmae'.*'name'"):
        subject.update1({**KEY, "nmae": "x"})
    with pytest.raises(dj.DataJointError, match="session"):
        subject.update1({"subject_id": 1, "session": None, "name": "x"})
    assert subject.to_dicts(order_by="KEY") == before


def test_update1_refuses_what_does_not_fit(subject: Any, dj: Any) -> None:
    before = subject.to_dicts(order_by="KEY")
    for name, value in (("name", "x" * 21), ("sex", "X"), ("weight", "heavy"), ("meta", {1}), ("name", "\0")):
        with pytest.raises(dj.errors.DataError, match=f"'{name}'"):
            subject.update1({**KEY, name: value})
    with pytest.raises(dj.errors.DuplicateError):
        subject.update1({**KEY, "name": "s2"})
    assert subject.to_dicts(order_by="KEY") == before


def test_update1_without_anything_new_or_with_the_same_is_no_error(subject: Any) -> None:
    before = subject.to_dicts(order_by="KEY")
    subject.update1(dict(KEY))
    subject.update1({**KEY, "name": "s1"})
    assert subject.to_dicts(order_by="KEY") == before


def test_update1_is_part_of_an_open_transaction(subject: Any, connection: Any) -> None:
    with pytest.raises(ZeroDivisionError), connection.transaction:  # noqa: PT012
        subject.update1({**KEY, "name": "changed"})
        assert (subject & KEY).fetch1("name") == "changed"
        1 / 0  # noqa: B018
    assert (subject & KEY).fetch1("name") == "s1"


@pytest.mark.rule("table-declaration", "10.3")
@pytest.mark.rule("data-manipulation", "5.1", "5.3")
@pytest.mark.rule("insert-data", "validate")
def test_validate_finds_what_insert_would_refuse(subject: Any, connection: Any) -> None:
    good = {"subject_id": 5, "session": "b", "name": "n"}
    rows = [
        good,
        {**good, "sex": "X"},
        {**good, "nmae": 1},
        {"subject_id": 5, "session": "b"},
        {**good, "subject_id": None},
        {**good, "tag": "no"},
        {**good, "meta": object()},
        {**good, "dob": "never", "name": "x" * 21},
        "nonsense",
        (1, 2),
    ]
    before = connection.n_statements
    result = subject.validate(rows)
    assert connection.n_statements == before
    assert not result
    assert not result.is_valid
    assert result.rows_checked == len(rows)
    found = [(i, name) for i, name, _ in result.errors]
    assert found == [
        (1, "sex"),
        (2, "nmae"),
        (3, "name"),
        (4, "subject_id"),
        (5, "tag"),
        (6, "meta"),
        (7, "name"),
        (7, "dob"),
        (8, None),
        (9, None),
    ]
    assert all(isinstance(why, str) and why for _, _, why in result.errors)
    assert "Row 1, field 'sex': " in result.summary()
    assert len(result.summary().splitlines()) == len(result.errors)


@pytest.mark.rule("data-manipulation", "5.1")
@pytest.mark.rule("insert-data", "validate")
def test_validate_passes_what_insert_takes(subject: Any) -> None:
    import pandas as pd

    good = [{"subject_id": i, "session": "b", "name": f"n{i}", "weight": None} for i in range(3)]
    for form in (good, pd.DataFrame(good), (row for row in good), []):
        result = subject.validate(form)
        assert result
        assert result.errors == []
    assert subject.validate([{**good[0], "more": 1}], ignore_extra_fields=True)
    assert subject.validate(good).rows_checked == 3
    assert len(subject()) == 3
