"""Keys of every kind as jobs, and key sources of every shape."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest

from dj_schema import errors

KEYS: dict[str, tuple[str, list[Any]]] = {
    "uuid": ("k : uuid", [uuid.UUID(int=i) for i in (1, 255, 2**127)]),
    "text": ("k : varchar(30)", ["a", "it's", '"q" %s {} \\ `', "ü\N{GRINNING FACE}"]),
    "char": ("k : char(3)", ["a", "abc"]),
    "enum": ("k : enum('x', 'y z')", ["x", "y z"]),
    "date": ("k : date", [dt.date(1999, 12, 31), dt.date(2026, 2, 28)]),
    "datetime": ("k : datetime(6)", [dt.datetime(2026, 1, 1, 1, 2, 3, 456789), dt.datetime(1970, 1, 1)]),
    "decimal": ("k : decimal(9, 3)", [Decimal("-1.500"), Decimal("0.001")]),
    "bool": ("k : bool", [True, False]),
    "int64": ("k : int64", [-(2**63), 2**63 - 1]),
    "uint8": ("k : uint8", [0, 255]),
    "pair": ("k : int32\n l : varchar(5)", [(1, "a"), (1, "b"), (2, "a")]),
    "names of claims": ("picked : int8\n old_priority : int8", [(1, 2), (3, 4)]),
}


@pytest.mark.parametrize("kind", KEYS)
def test_each_key_is_computed_once(dj: Any, new_schema: Any, kind: str) -> None:
    schema = new_schema()
    definition, values = KEYS[kind]
    names = [line.split(":")[0].strip() for line in definition.splitlines()]
    context: dict[str, Any] = {}

    def declare(name: str, tier: Any, text: str, **members: Any) -> Any:
        cls = type(tier)(name, (tier,), {"definition": text, "__module__": __name__, **members})
        context[name] = schema(cls, context=context)
        return context[name]

    parent = declare("Parent", dj.Manual, definition)
    rows = [dict(zip(names, v if isinstance(v, tuple) else (v,), strict=True)) for v in values]
    parent.insert(rows)
    seen: list[Any] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        assert len(parent & key) == 1
        seen.append(key)
        if len(seen) == 1:
            raise OSError("the first time")
        self.insert1(key)

    retry = dj.Retry(attempts=2, backoff=0.001)
    child = declare("Child", dj.Computed, "-> Parent\n---\ny = 0 : int32", make=make, retry=retry)
    assert child.populate(rows[0], reserve_jobs=True)["success"] == 1
    assert child.populate(reserve_jobs=True)["success"] == len(rows) - 1
    assert sorted(map(str, seen[1:])) == sorted(map(str, rows))
    assert len(child.jobs) == 0
    child.delete_quick()
    seen.append(None)
    assert child.populate()["success"] == len(rows)
    child.delete_quick()
    child.jobs.refresh()
    key = rows[-1]
    assert child.jobs.reserve(key)
    child.jobs.error(key, "no")
    assert child.jobs.retry(key) == 1
    child.jobs.ignore(key)
    assert child.jobs.ignored.to_dicts()[0].items() >= key.items()


def test_a_key_of_another_schema_is_a_job(dj: Any, new_schema: Any) -> None:
    lab, study = new_schema(), new_schema()
    kind = type(dj.Lookup)(
        "Kind", (dj.Lookup,), {"definition": "kind : enum('y','x')", "contents": [("x",), ("y",)]}
    )
    members = {"definition": "-> Kind.proj(of='kind')", "make": lambda self, key: self.insert1(key)}
    result = type(dj.Computed)("Result", (dj.Computed,), members)
    result = study(result, context={"Kind": lab(kind)})
    result.jobs.refresh({"of": "x"}, priority=1)
    assert result.populate(reserve_jobs=True, priority=1)["success"] == 1
    assert result.keys() == [{"of": "x"}]
    assert result.populate(reserve_jobs=True)["success"] == 1
    assert len(result.jobs) == 0


def test_jobs_match_their_table_and_its_parents(dj: Any, new_schema: Any) -> None:
    lab, study = new_schema(), new_schema()
    source = lab(type(dj.Manual)("Source", (dj.Manual,), {"definition": "source : int8\n---\ngroup : int8"}))
    members = {"definition": "-> Source", "make": lambda self, key: self.insert1(key)}
    result = type(dj.Imported)("Result", (dj.Imported,), members)
    result = study(result, context={"Source": source})
    source.insert([(1, 10), (2, 20), (3, 20)])
    result.jobs.refresh()
    result.jobs.ignore({"source": 3})
    again = result
    for _ in range(2):  # as it was declared, and as another session reads it
        assert (source & again.jobs.ignored).keys() == [{"source": 3}]
        assert (again.jobs.pending & (source & "group = 20")).keys() == [{"source": 2}]
        assert len(again.jobs.pending * source) == 2
        assert len(source - again.jobs) == 0
        study.connection.catalog.forget()
        again = dj.VirtualModule("study", study.name, connection=study.connection).Result


@pytest.mark.parametrize("type_", ["int auto_increment", "serial"])
def test_two_keys_that_count_make_a_job(dj: Any, new_schema: Any, type_: str) -> None:
    schema = new_schema()
    parent = schema(type(dj.Manual)("Parent", (dj.Manual,), {"definition": f"k : {type_}\n---\nx : int8"}))
    members = {"definition": "-> Parent\n-> Parent.proj(l='k')", "make": lambda self, key: self.insert1(key)}
    child = schema(type(dj.Computed)("Child", (dj.Computed,), members), context={"Parent": parent})
    parent.insert({"x": i} for i in range(2))
    assert child.populate(reserve_jobs=True)["success"] == 4
    assert not any(a.is_auto_increment for a in child.jobs.heading.all)


def test_renamed_and_several_foreign_keys(dj: Any, new_schema: Any) -> None:
    schema = new_schema()

    @schema
    class Unit(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "unit : int32"

    @schema
    class Method(dj.Lookup):  # type: ignore[name-defined,misc]
        definition = "method : varchar(8)"
        contents = (("a",), ("b",))

    @schema
    class Pair(dj.Computed):  # type: ignore[name-defined,misc]
        definition = """
        -> Unit.proj(one='unit')
        -> Unit.proj(other='unit')
        -> Method
        """

        def make(self, key: dict[str, Any]) -> None:
            self.insert1(key)

    Unit.insert([(i,) for i in range(3)])
    assert Pair.populate({"one": 1}, reserve_jobs=True)["success"] == 6
    assert Pair.populate(Method & "method = 'a'", reserve_jobs=True)["success"] == 6
    assert Pair.populate("one = other", {"method": "b"})["success"] == 2
    assert Pair.populate(reserve_jobs=True)["success"] == 4
    assert len(Pair()) == 18


@pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])
def test_a_singleton_is_computed(dj: Any, source: Any, reserve_jobs: bool) -> None:
    @source._schema
    class Total(dj.Computed):  # type: ignore[name-defined,misc]
        definition = """
        ---
        total : int64
        """

        @property
        def key_source(self) -> Any:
            return source & "x >= 0"

        def make(self, key: dict[str, Any]) -> None:
            assert key == {}
            self.insert1({"total": sum(source.to_arrays("x").tolist())})

    assert Total.populate(reserve_jobs=reserve_jobs)["success"] == 1
    assert Total.populate(reserve_jobs=reserve_jobs)["success"] == 0
    assert Total.fetch1("total") == 150
    Total.delete_quick()
    source.delete_quick()
    assert Total.populate(reserve_jobs=reserve_jobs)["success"] == 0


SOURCES = {
    "restricted": lambda dj, s, t: s & "x > 10",
    "restricted by the table itself": lambda dj, s, t: (s & "x > 10") - t,
    "secondary attributes": lambda dj, s, t: (s & "x > 10").proj("x", twice="2 * x"),
    "aggregated": lambda dj, s, t: dj.U("id").aggr(s, n="sum(x)") & "n > 10",
    "restricted by an aggregation": lambda dj, s, t: s & (dj.U("id").aggr(s, n="sum(x)") & "n > 10"),
    "joined": lambda dj, s, t: (s * s.proj(z="x")) & "z > 10",
    "more key attributes": lambda dj, s, t: (s & "x > 10") * s.proj(other="id"),
    "renamed": lambda dj, s, t: s.proj(old="id", n="x").proj(id="old", n="n") & "n > 10",
    "united": lambda dj, s, t: (s & "id in (2, 3)").proj() + (s & "id in (4, 5)").proj(),
    "a class": lambda dj, s, t: s & "id > 1",
}


@pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])
@pytest.mark.parametrize("shape", SOURCES)
def test_a_key_source_of_any_shape(
    dj: Any, declare: Any, source: Any, shape: str, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        assert list(key) == ["id"]
        self.insert1(key)

    table = declare(make=make, key_source=property(lambda self: SOURCES[shape](dj, source, type(self))))
    assert table.progress() == (4, 4)
    assert table.populate("id < 3", reserve_jobs=reserve_jobs)["success"] == 1
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 3
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 0
    assert table.to_arrays("id", order_by="id").tolist() == [2, 3, 4, 5]


def test_secondary_attributes_of_the_key_source_restrict(declare: Any, source: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)

    table = declare(make=make, key_source=property(lambda self: source & "id > 0"))
    assert table.populate("x > 40", reserve_jobs=True)["success"] == 1
    assert table.populate("x > 30")["success"] == 1
    assert table.populate({"x": 30}, reserve_jobs=True)["success"] == 1


def test_a_key_source_that_lacks_an_attribute_is_refused(dj: Any, declare: Any, source: Any) -> None:
    table = declare(make=lambda self, key: None, key_source=property(lambda self: source.proj(other="id")))
    with pytest.raises(errors.DataJointError, match="lacks"):
        table.populate()
    with pytest.raises(errors.DataJointError, match="lacks"):
        table.jobs.refresh()


FORMS: dict[str, tuple[str, Any, Any]] = {
    "time": ("time", dt.timedelta(hours=1), dt.timedelta(hours=1)),
    "time of day": ("time", dt.timedelta(hours=1, minutes=2), dt.time(1, 2)),
    "text of a time": ("time", dt.timedelta(hours=1), "01:00:00"),
    "date": ("date", dt.date(2026, 1, 2), "2026-01-02"),
    "datetime": ("datetime", dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05"),
    "datetime(3)": ("datetime(3)", dt.datetime(2026, 1, 2, 3, 4, 5, 678000), "2026-01-02T03:04:05.678"),
    "uuid": ("uuid", uuid.UUID(int=5), str(uuid.UUID(int=5))),
    "decimal": ("decimal(9,3)", Decimal("1.5"), "1.50"),
    "bool": ("bool", True, 1),
    "int": ("int32", 7, "7"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_a_make_may_write_its_key_in_any_form(
    dj: Any, new_schema: Any, form: str, reserve_jobs: bool
) -> None:
    schema = new_schema()
    type_, value, written = FORMS[form]

    @schema
    class Parent(dj.Manual):  # type: ignore[name-defined,misc]
        definition = f"k : {type_}"

    @schema
    class Child(dj.Computed):  # type: ignore[name-defined,misc]
        definition = "-> Parent"

        def make(self, key: dict[str, Any]) -> None:
            assert key == {"k": value}
            self.insert1({"k": written})

    Parent.insert1({"k": value})
    assert Child.populate(reserve_jobs=reserve_jobs)["success"] == 1
    assert Child.keys() == [{"k": value}]
