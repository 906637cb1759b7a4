"""Rules of the pages on data that take several operations to see."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dj_schema.errors import DataJointError, DuplicateError, IntegrityError


@pytest.fixture
def lab(new_schema: Any, dj: Any) -> SimpleNamespace:
    schema = new_schema()

    @schema
    class Subject(dj.Manual):
        definition = "subject : int32\n---\nname : varchar(20)\nimage = null : <blob>\nunique index(name)"

    @schema
    class Session(dj.Manual):
        definition = "-> Subject\nsession : int8\n---\nvalue : int32"

        class Trial(dj.Part):
            definition = "-> master\ntrial : int8"

    @schema
    class Double(dj.Computed):
        definition = "-> Session\n---\ndouble : int32"

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "double": 2 * (Session & key).fetch1("value")})

    Subject.insert([{"subject": i, "name": f"s{i}"} for i in range(3)])
    Session.insert([{"subject": i, "session": 1, "value": i} for i in range(3)])
    Session.Trial.insert([{"subject": i, "session": 1, "trial": t} for i in range(3) for t in range(2)])
    Double.populate()
    return SimpleNamespace(Subject=Subject, Session=Session, Double=Double, schema=schema)


def _counts(lab: SimpleNamespace) -> list[int]:
    return [len(table()) for table in (lab.Subject, lab.Session, lab.Session.Trial, lab.Double)]


@pytest.mark.rule("insert-data", "blobs")
def test_arrays_and_objects_are_inserted_as_they_are(lab: Any) -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    lab.Subject.insert([(7, "array", image), (8, "object", {"a": [1, None]}), (9, "none", None)])
    stored = (lab.Subject & {"subject": 7}).fetch1("image")
    assert stored.dtype == image.dtype
    assert np.array_equal(stored, image)
    assert (lab.Subject & "subject > 7").to_arrays("image", order_by="KEY").tolist() == [
        {"a": [1, None]},
        None,
    ]


@pytest.mark.rule("delete-data", "recomputation")
def test_what_was_corrected_is_computed_anew(lab: Any, connection: Any) -> None:
    key = {"subject": 1, "session": 1}
    (lab.Session & key).delete()
    assert _counts(lab) == [3, 2, 4, 2]
    with connection.transaction:
        lab.Session.insert1({**key, "value": 50})
        lab.Session.Trial.insert([{**key, "trial": 5}])
    lab.Double.populate()
    assert (lab.Double & key).fetch1("double") == 100
    assert _counts(lab) == [3, 3, 5, 3]


@pytest.mark.rule("delete-data", "safemode")
def test_no_question_is_asked_where_the_setting_says_so(
    lab: Any, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config["safemode"] = True
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert (lab.Subject & "subject = 0").delete() == 0
    with config.override(safemode=False):
        assert (lab.Subject & "subject = 0").delete() == 1
    assert (lab.Subject & "subject = 1").delete(prompt=False) == 1
    assert (lab.Subject & "subject = 2").delete() == 0
    assert _counts(lab) == [1, 1, 2, 1]


@pytest.mark.rule("data-manipulation", "5.4")
def test_what_only_the_server_knows_is_found_by_the_insert(lab: Any) -> None:
    orphan = [{"subject": 99, "session": 1, "value": 1}]
    taken = [{"subject": 50, "name": "s0"}]
    assert lab.Session.validate(orphan)
    assert lab.Subject.validate(taken)
    with pytest.raises(IntegrityError, match="insert the parent first"):
        lab.Session.insert(orphan)
    with pytest.raises(DuplicateError):
        lab.Subject.insert(taken)
    assert _counts(lab) == [3, 3, 6, 3]


@pytest.mark.rule("data-manipulation", "7.2", "8.2")
@pytest.mark.rule("delete-data", "transaction")
def test_transactions_inside_transactions_are_undone_by_themselves(lab: Any, connection: Any) -> None:
    with connection.transaction:
        lab.Subject.insert1({"subject": 10, "name": "outer"})
        for n in range(2):
            with pytest.raises(IntegrityError), connection.transaction:  # noqa: PT012
                (lab.Subject & "subject = 0").delete()
                lab.Subject.insert1({"subject": 11, "name": "inner"})
                with connection.transaction:
                    lab.Subject.insert1({"subject": 12, "name": "innermost"})
                lab.Session.insert1({"subject": 99, "session": 1, "value": n})
        with connection.transaction:
            (lab.Subject & "subject = 1").delete(transaction=False)
            with pytest.raises(DuplicateError):
                lab.Subject.insert([{"subject": i, "name": "s2"} for i in range(60, 120)])
    assert sorted(lab.Subject.to_arrays("subject")) == [0, 2, 10]
    assert _counts(lab) == [3, 2, 4, 2]
    with pytest.raises(DataJointError), connection.transaction:  # noqa: PT012
        lab.Subject.delete()
        raise DataJointError("undo all")
    assert _counts(lab) == [3, 2, 4, 2]


@pytest.mark.rule("data-manipulation", "4.5", "7.1")
@pytest.mark.rule("delete-data", "transaction")
def test_a_delete_that_fails_half_way_leaves_everything(lab: Any, connection: Any) -> None:
    """A table that another program made meanwhile, and that refers to rows that would go."""
    load = connection.dialect.quote
    schema, child = (f"{load}{name}{load}" for name in (lab.schema.database, "late child"))
    connection.query(
        f"CREATE TABLE {schema}.{child} (subject int NOT NULL PRIMARY KEY, "
        f"FOREIGN KEY (subject) REFERENCES {schema}.{load}subject{load} (subject))"
    )
    connection.query(f"INSERT INTO {schema}.{child} VALUES (1)")
    before = _counts(lab)
    try:
        deleted = lab.Subject.delete()
    except IntegrityError:
        assert _counts(lab) == before
    else:
        assert deleted == 3
        assert connection.query(f"SELECT count(*) FROM {schema}.{child}") == [(0,)]
        assert _counts(lab) == [0, 0, 0, 0]


@pytest.mark.rule("data-manipulation", "2.2")
def test_a_frame_comes_back_through_insert_dataframe(lab: Any, dj: Any) -> None:
    frame = lab.Session.to_pandas()
    frame["value"] += 10
    lab.Session.insert_dataframe(frame, replace=True)
    assert lab.Session.to_arrays("value", order_by="KEY").tolist() == [10, 11, 12]
    plain = frame.reset_index().assign(session=2)
    lab.Session.insert_dataframe(plain)
    lab.Session.insert_dataframe(plain.assign(session=3).set_index(["session", "subject"]), index_as_pk=True)
    plain.index.name = "row"
    lab.Session.insert_dataframe(plain.assign(session=4), index_as_pk=False)
    assert len(lab.Session()) == 12
    for wrong, index_as_pk in (
        (plain, None),
        (plain, True),
        (plain.set_index("subject"), None),
        (plain.set_index("subject"), True),
        ([(1, 2, 3)], None),
    ):
        with pytest.raises(DataJointError, match=r"index_as_pk|takes a pandas"):
            lab.Session.insert_dataframe(wrong, index_as_pk=index_as_pk)
    assert len(lab.Session()) == 12
