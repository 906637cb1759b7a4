"""What an insert takes, and what becomes of rows that are there already."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

DAY = dt.date(2024, 1, 2)


@pytest.fixture
def lab(new_schema: Any, dj: Any) -> SimpleNamespace:
    """Return a subject with defaults of each sort, and a copy of it."""
    schema = new_schema()

    @schema
    class Subject(dj.Manual):
        definition = """
        subject_id : int32
        ---
        name : varchar(30)
        dob = null : date
        weight = 1.5 : float64
        notes = "" : varchar(100)
        added = CURRENT_TIMESTAMP(3) : datetime(3)
        """

    @schema
    class Copy(dj.Manual):
        definition = """
        subject_id : int32
        ---
        name : varchar(30)
        dob = null : date
        """

    return SimpleNamespace(Subject=Subject, Copy=Copy, schema=schema)


def _rows(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"subject_id": i, "name": f"s{i}", "dob": DAY} for i in range(start, start + n)]


@pytest.mark.rule("data-manipulation", "2.1", "2.3")
@pytest.mark.rule("insert-data", "multiple-rows")
def test_dicts_take_defaults_for_what_is_absent_or_none(lab: Any) -> None:
    lab.Subject.insert(
        [
            {"subject_id": 1, "name": "a"},
            {"name": "b", "subject_id": 2, "weight": None, "notes": None, "added": None},
            {"subject_id": 3, "name": "c", "weight": 2.0, "dob": "2024-01-02"},
        ]
    )
    assert lab.Subject.to_arrays("weight", order_by="KEY").tolist() == [1.5, 1.5, 2.0]
    assert lab.Subject.to_arrays("dob", order_by="KEY").tolist() == [None, None, DAY]
    assert lab.Subject.to_arrays("notes").tolist() == ["", "", ""]
    assert all(isinstance(v, dt.datetime) for v in lab.Subject.to_arrays("added"))


def test_sequences_are_in_the_order_of_the_heading(lab: Any) -> None:
    lab.Copy.insert([(1, "a", None), [2, "b", "2024-01-02"], np.array([3, "c", DAY], dtype=object)])
    assert lab.Copy.to_dicts(order_by="KEY") == [
        {"subject_id": 1, "name": "a", "dob": None},
        {"subject_id": 2, "name": "b", "dob": DAY},
        {"subject_id": 3, "name": "c", "dob": DAY},
    ]


@pytest.mark.parametrize("n", [1, 3, 200])
@pytest.mark.rule("data-manipulation", "2.2")
def test_numpy_records_are_rows(lab: Any, n: int) -> None:
    dtype = [("subject_id", "i4"), ("name", "U10"), ("dob", "datetime64[ns]")]
    records = np.array([(i, f"s{i}", np.datetime64("2024-01-02")) for i in range(n)], dtype=dtype)
    lab.Copy.insert(records)
    assert lab.Copy.to_dicts(order_by="KEY") == _rows(n)
    lab.Copy.delete()
    lab.Copy.insert(list(records))
    assert lab.Copy.to_dicts(order_by="KEY") == _rows(n)
    lab.Copy.delete()
    lab.Copy.insert1(records[0])
    assert lab.Copy.fetch1() == _rows(1)[0]


def test_a_fetched_array_can_be_inserted_again(lab: Any) -> None:
    lab.Subject.insert(_rows(60))
    lab.Copy.insert(lab.Subject.proj("name", "dob").to_arrays())
    assert lab.Copy.to_dicts(order_by="KEY") == _rows(60)


@pytest.mark.parametrize("is_index", [True, False])
@pytest.mark.rule("data-manipulation", "2.2")
@pytest.mark.rule("insert-data", "from-pandas")
def test_a_frame_is_inserted_with_its_index_as_key(lab: Any, is_index: bool) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "subject_id": [1, 2],
            "name": ["a", "b"],
            "dob": [pd.Timestamp("2024-01-02"), pd.NaT],
            "weight": [float("nan"), 3.5],
        }
    )
    lab.Subject.insert(frame.set_index("subject_id") if is_index else frame)
    assert lab.Subject.proj("name", "dob", "weight").to_dicts(order_by="KEY") == [
        {"subject_id": 1, "name": "a", "dob": DAY, "weight": 1.5},
        {"subject_id": 2, "name": "b", "dob": None, "weight": 3.5},
    ]


@pytest.mark.rule("data-manipulation", "2.2")
def test_fetched_frames_can_be_inserted_again(lab: Any) -> None:
    lab.Subject.insert(_rows(60))
    lab.Copy.insert(lab.Subject.proj("name", "dob").to_pandas())
    assert lab.Copy.to_dicts(order_by="KEY") == _rows(60)
    lab.Copy.delete()
    lab.Copy.insert(lab.Subject.proj("name", "dob").to_arrow())
    assert lab.Copy.to_dicts(order_by="KEY") == _rows(60)


@pytest.mark.rule("data-manipulation", "2.2", "2.3")
@pytest.mark.rule("insert-data", "from-query")
def test_a_query_is_inserted_on_the_server(lab: Any, connection: Any) -> None:
    lab.Subject.insert(_rows(60))
    before = connection.n_statements
    lab.Copy.insert((lab.Subject & "subject_id < 50").proj("name", "dob"))
    assert connection.n_statements == before + 1
    assert lab.Copy.to_dicts(order_by="KEY") == _rows(50)
    lab.Copy.insert(lab.Subject.proj("name", "dob"), skip_duplicates=True)
    assert len(lab.Copy()) == 60
    lab.Copy.insert(lab.Subject & "subject_id = 3", ignore_extra_fields=True, skip_duplicates=True)
    lab.Copy.insert(lab.Subject.proj("dob", name="concat(name, '!')"), replace=True)
    assert (lab.Copy & "subject_id = 7").fetch1("name") == "s7!"
    assert lab.Copy.proj("dob").to_dicts(order_by="KEY")[59] == {"subject_id": 59, "dob": DAY}


def test_a_table_class_is_a_query(lab: Any) -> None:
    lab.Copy.insert(_rows(3))
    lab.Subject.insert(lab.Copy)
    assert lab.Subject.proj("name", "dob").to_dicts(order_by="KEY") == _rows(3)


def test_a_query_without_what_the_table_needs_is_refused(lab: Any, dj: Any) -> None:
    lab.Subject.insert(_rows(3))
    with pytest.raises(dj.errors.MissingAttributeError, match="name"):
        lab.Copy.insert(lab.Subject.proj("dob"))
    with pytest.raises(dj.errors.UnknownAttributeError, match="weight"):
        lab.Copy.insert(lab.Subject)
    assert not len(lab.Copy())


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.rule("data-manipulation", "2.2")
def test_a_csv_file_is_read(lab: Any, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "subjects.csv"
    path.write_text(
        'subject_id,name,dob,weight,notes\n1,"a, b",2024-01-02,2.5,"ü ""q"""\n2,,,,\n', encoding="utf-8"
    )
    lab.Subject.insert(kind(path))
    assert lab.Subject.proj("name", "dob", "weight", "notes").to_dicts(order_by="KEY") == [
        {"subject_id": 1, "name": "a, b", "dob": DAY, "weight": 2.5, "notes": 'ü "q"'},
        {"subject_id": 2, "name": "", "dob": None, "weight": 1.5, "notes": ""},
    ]


def test_a_csv_file_that_is_not_there_or_has_too_many_fields_is_refused(
    lab: Any, dj: Any, tmp_path: Path
) -> None:
    with pytest.raises(dj.DataJointError, match="no file"):
        lab.Subject.insert(tmp_path / "none.csv")
    (tmp_path / "long.csv").write_text("subject_id,name\n1,a\n2,b,c\n")
    with pytest.raises(dj.DataJointError, match="line 3 .*more fields"):
        lab.Subject.insert(tmp_path / "long.csv")
    assert not len(lab.Subject())


def test_a_generator_is_taken_and_nothing_is_nothing(lab: Any) -> None:
    lab.Copy.insert(row for row in _rows(70))
    assert len(lab.Copy()) == 70
    for nothing in (
        [],
        (),
        iter([]),
        {}.values(),
        np.array([], dtype=[("subject_id", "i4"), ("name", "U3")]),
    ):
        lab.Copy.insert(nothing)
    assert len(lab.Copy()) == 70


def test_a_frame_without_rows_is_nothing(lab: Any) -> None:
    import pandas as pd

    lab.Copy.insert(pd.DataFrame({"subject_id": [], "name": []}))
    assert not len(lab.Copy())


@pytest.mark.parametrize("n", [1, 3, 300])
@pytest.mark.rule("data-manipulation", "2.1", "2.4")
@pytest.mark.rule("insert-data", "duplicates")
def test_skip_duplicates_keeps_and_replace_overwrites(lab: Any, n: int) -> None:
    lab.Subject.insert([{**row, "notes": "old", "weight": 9.0} for row in _rows(n)])
    new = [{**row, "name": "new"} for row in _rows(n + 2)]
    lab.Subject.insert(new, skip_duplicates=True)
    assert lab.Subject.to_arrays("name", order_by="KEY").tolist() == [f"s{i}" for i in range(n)] + ["new"] * 2
    lab.Subject.insert(new, replace=True)
    assert set(lab.Subject.to_arrays("name")) == {"new"}
    assert len(lab.Subject()) == n + 2
    # a row that is replaced keeps nothing of the old one
    assert set(lab.Subject.to_arrays("notes")) == {""}
    assert set(lab.Subject.to_arrays("weight")) == {1.5}


@pytest.mark.parametrize("n", [2, 200])
def test_of_rows_with_one_key_the_last_replaces(lab: Any, n: int) -> None:
    lab.Copy.insert([{"subject_id": 1, "name": f"v{i}"} for i in range(n)] + _rows(n, 10), replace=True)
    assert (lab.Copy & {"subject_id": 1}).fetch1("name") == f"v{n - 1}"
    lab.Copy.insert(
        [{"subject_id": 1, "name": "x"}, {"subject_id": 1, "name": "y", "dob": DAY}], replace=True
    )
    assert (lab.Copy & {"subject_id": 1}).fetch1("name", "dob") == ("y", DAY)


@pytest.mark.parametrize("n", [2, 200])
def test_of_rows_with_one_key_the_first_stays_with_skip_duplicates(lab: Any, n: int) -> None:
    lab.Copy.insert([{"subject_id": 1, "name": f"v{i}"} for i in range(n)], skip_duplicates=True)
    assert lab.Copy.to_dicts() == [{"subject_id": 1, "name": "v0", "dob": None}]


def test_replace_and_skip_duplicates_exclude_each_other(lab: Any, dj: Any) -> None:
    with pytest.raises(dj.DataJointError, match="exclude"):
        lab.Copy.insert(_rows(1), replace=True, skip_duplicates=True)


def test_replace_never_touches_a_row_of_another_key(new_schema: Any, dj: Any) -> None:
    schema = new_schema()

    @schema
    class Named(dj.Manual):
        definition = """
        k : int32
        ---
        name : varchar(10)
        v = 0 : int32
        unique index (name)
        """

    Named.insert([(1, "a", 1), (2, "b", 2)])
    with pytest.raises(dj.errors.DuplicateError, match="in a unique index; change or delete it first"):
        Named.insert([{"k": 3, "name": "a"}], replace=True)
    assert Named.to_dicts(order_by="k") == [{"k": 1, "name": "a", "v": 1}, {"k": 2, "name": "b", "v": 2}]
    Named.insert([{"k": 2, "name": "c"}, {"k": 4, "name": "d", "v": 4}], replace=True)
    assert [tuple(r.values()) for r in Named.to_dicts(order_by="k")] == [
        (1, "a", 1),
        (2, "c", 0),
        (4, "d", 4),
    ]


def test_table_of_a_key_alone_can_be_replaced_and_skipped(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Only", (dj.Manual,), {"definition": "a : int32\nb : varchar(3)"}))
    for n in (1, 70):
        rows = [{"a": i, "b": "x"} for i in range(n)]
        table.insert(rows, skip_duplicates=True)
        table.insert(rows, replace=True)
        assert len(table()) == n


def test_a_row_of_defaults_only(new_schema: Any, dj: Any) -> None:
    table = new_schema()(
        type("Auto", (dj.Manual,), {"definition": "k : int auto_increment\n---\nv = 7 : int32"})
    )
    table.insert1({})
    table.insert([{}, {"v": None}, {"v": 8}])
    assert table.to_arrays("v", order_by="k").tolist() == [7, 7, 7, 8]
    assert table.to_arrays("k", order_by="k").tolist() == [1, 2, 3, 4]


@pytest.mark.rule("data-manipulation", "2.1", "2.5")
@pytest.mark.rule("insert-data", "extra-fields")
def test_fields_that_the_table_has_not_are_refused_or_passed_over(lab: Any, dj: Any) -> None:
    rows = [{**row, "nmae": 1} for row in _rows(2)]
    with pytest.raises(dj.errors.UnknownAttributeError, match="row 0.*'nmae'.*Did you mean 'name'"):
        lab.Copy.insert(rows)
    assert not len(lab.Copy())
    lab.Copy.insert(rows, ignore_extra_fields=True)
    lab.Copy.insert1({**_rows(1, 5)[0], "other": object()}, ignore_extra_fields=True)
    assert lab.Copy.to_dicts(order_by="KEY") == [*_rows(2), *_rows(1, 5)]


@pytest.mark.rule("data-manipulation", "2.1", "2.7", "7.3")
def test_each_chunk_is_committed(lab: Any, dj: Any) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from _rows(250)
        yield {"subject_id": 0, "name": "again"}

    with pytest.raises(dj.errors.DuplicateError):
        lab.Copy.insert(rows(), chunk_size=100)
    assert len(lab.Copy()) == 200
    for wrong in (0, -1, 1.5):
        with pytest.raises(dj.DataJointError, match="chunk_size"):
            lab.Copy.insert(_rows(2), chunk_size=wrong)


def test_chunks_are_taken_from_every_form(lab: Any, tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "x.csv"
    path.write_text("subject_id,name\n" + "".join(f"{i},s{i}\n" for i in range(7)))
    for form in (path, pd.DataFrame(_rows(7)), tuple(_rows(7)), (r for r in _rows(7))):
        lab.Copy.insert(form, chunk_size=3)
        assert len(lab.Copy()) == 7
        lab.Copy.delete()


@pytest.mark.rule("data-manipulation", "2.8")
@pytest.mark.rule("insert-data", "single-row")
def test_insert1_takes_one_row(lab: Any, dj: Any) -> None:
    lab.Copy.insert1({"subject_id": 1, "name": "a"})
    lab.Copy.insert1((2, "b", None))
    lab.Copy.insert1({"subject_id": 2, "name": "c"}, replace=True)
    lab.Copy.insert1({"subject_id": 2, "name": "d"}, skip_duplicates=True)
    assert lab.Copy.to_arrays("name", order_by="KEY").tolist() == ["a", "c"]
    with pytest.raises(dj.DataJointError, match="insert1"):
        lab.Copy.insert({"subject_id": 3, "name": "e"})


@pytest.mark.rule("data-manipulation", "2.1", "2.6")
def test_computed_tables_are_filled_by_make_unless_told_otherwise(lab: Any, dj: Any) -> None:
    Copy = lab.Copy  # noqa: F841 - the definition names it

    @lab.schema
    class Result(dj.Computed):
        definition = "-> Copy\n---\nv : int32"

        class Detail(dj.Part):
            definition = "-> master\ni : int32"

    lab.Copy.insert(_rows(2))
    for table, row in ((Result, {"subject_id": 0, "v": 1}), (Result.Detail, {"subject_id": 0, "i": 1})):
        with pytest.raises(dj.DataJointError, match="allow_direct_insert"):
            table.insert1(row)
        table.insert1(row, allow_direct_insert=True)
        assert table.fetch1() == row


@pytest.mark.rule("data-manipulation", "6.1")
@pytest.mark.rule("insert-data", "master-part")
def test_parts_follow_their_master(new_schema: Any, dj: Any, connection: Any) -> None:
    @new_schema()
    class Session(dj.Manual):
        definition = "session_id : int32\n---\nday : date"

        class Trial(dj.Part):
            definition = "-> master\ntrial : int32\n---\nrt = null : float32"

    with connection.transaction:
        Session.insert1({"session_id": 1, "day": DAY})
        Session.Trial.insert([{"session_id": 1, "trial": i, "rt": 0.5} for i in range(80)])
    assert len(Session.Trial()) == 80


def test_the_same_text_is_stored_by_each_way(lab: Any) -> None:
    nasty = "%s %(a)s%% \\'\"`\t\n\r\x1a\x08;--/*🧠"
    lab.Copy.insert1({"subject_id": 0, "name": nasty})
    lab.Copy.insert([{"subject_id": i, "name": nasty} for i in range(1, 4)])
    lab.Copy.insert([{"subject_id": i, "name": nasty} for i in range(4, 100)])
    lab.Copy.insert([{"subject_id": i, "name": nasty} for i in range(200)], skip_duplicates=True)
    lab.Copy.insert([{"subject_id": i, "name": nasty} for i in range(150, 250)], replace=True)
    lab.Copy.insert([{"subject_id": 250, "name": nasty}], replace=True)
    assert set(lab.Copy.to_arrays("name")) == {nasty}
    assert len(lab.Copy & {"name": nasty}) == 251


def test_names_with_odd_characters_are_only_names(new_schema: Any, dj: Any) -> None:
    """Words of SQL as attribute names."""
    table = new_schema()(
        type(
            "Group",
            (dj.Manual,),
            {"definition": "select : int32\nkey : int32\n---\norder : varchar(9)\nvalues = 1 : int32"},
        )
    )
    for n in (1, 3, 100):
        rows = [{"select": i, "key": n, "order": "%s"} for i in range(n)]
        table.insert(rows)
        table.insert(rows, replace=True)
        table.insert(rows, skip_duplicates=True)
    assert len(table & {"order": "%s", "values": 1}) == 104
    table.update1({"select": 0, "key": 1, "order": "desc"})
    assert len(table & "`order` = 'desc'") == 1


def test_rows_larger_than_a_statement_should_be_are_inserted(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Big", (dj.Manual,), {"definition": "k : int32\n---\nb = null : bytes"}))
    big = bytes(range(256)) * 4096 * 6  # 6 MB
    rows = [{"k": i, "b": big if i % 20 == 0 else (b"x" * i if i % 3 else None)} for i in range(60)]
    table.insert(rows)
    assert table.to_dicts(order_by="k") == rows
