"""Semantic matching: what has one origin matches, what has not is refused; hidden attributes never match."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import datajoint as dj
from dj_query.table import FreeTable
from dj_schema.declare import create_lineage_table, declare_table, table_info_of
from dj_schema.definition.grammar import parse_definition
from dj_schema.names import Tier
from tests.support.lab import Lab, connect, make_lab
from tests.support.servers import ServerUnderTest

COMBINATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "join": lambda a, b: a * b,
    "restrict": lambda a, b: a & b,
    "anti-restrict": lambda a, b: a - b,
    "aggregate": lambda a, b: a.aggr(b, n="count(*)"),
    "union": lambda a, b: a.proj() + b.proj(),
}


@pytest.mark.rule("semantic-matching", "clash", "union")
@pytest.mark.rule("operators", "semantic-matching")
@pytest.mark.rule("query-algebra", "2.11", "4.9", "5.9", "9.3")
@pytest.mark.parametrize("combine", COMBINATIONS.values(), ids=COMBINATIONS)
def test_keys_of_one_name_and_different_origin_are_refused(lab: Lab, combine: Any) -> None:
    with pytest.raises(
        dj.DataJointError, match=r"on attribute `subject_id`: different lineages \(.*subject_id vs"
    ):
        combine(lab.Subject, lab.Stray.proj())


@pytest.mark.rule("semantic-matching", "clash")
@pytest.mark.rule("query-algebra", "9.3")
@pytest.mark.parametrize("name", ["join", "restrict", "anti-restrict"])
def test_secondary_attributes_of_one_name_without_origin_are_refused(lab: Lab, name: str) -> None:
    with pytest.raises(
        dj.DataJointError, match=r"`species`: different lineages \(None vs None\).*\.proj\(\)"
    ):
        COMBINATIONS[name](lab.Subject, lab.Subject.proj("species", other_id="subject_id"))


def test_a_table_restricts_itself_by_its_key(lab: Lab) -> None:
    assert len(lab.Subject & (lab.Subject & "sex = 'F'").proj()) == 2
    with pytest.raises(dj.DataJointError, match="`species`: different lineages"):
        lab.Subject & (lab.Subject & "sex = 'F'")


@pytest.mark.rule("semantic-matching", "clash")
def test_message_names_what_to_do(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError) as caught:
        lab.Subject * lab.Stray.proj()
    schema = lab.schema.database
    assert str(caught.value) == (
        f"Cannot join on attribute `subject_id`: different lineages ({schema}.subject.subject_id vs "
        f"{schema}.stray.subject_id). Use .proj() to rename one of the attributes."
    )


@pytest.mark.rule("semantic-matching", "resolve", "join", "restrict")
@pytest.mark.rule("query-algebra", "2.9", "4.2", "4.7", "6.1", "9.5")
def test_without_the_check_all_namesakes_match(lab: Lab) -> None:
    stray = lab.Stray.proj()
    joined = lab.Subject.join(stray, semantic_check=False)
    assert joined.to_arrays("subject_id").tolist() == [1]
    assert len(lab.Subject.restrict(stray, semantic_check=False)) == 1
    assert len(lab.Subject.restrict(dj.Not(stray), semantic_check=False)) == 4
    assert len(lab.Subject.extend(stray, semantic_check=False)) == 5
    assert len(lab.Subject.join(lab.Stray, semantic_check=False)) == 0  # 1 is a mouse here and a cat there


@pytest.mark.rule("semantic-matching", "resolve")
@pytest.mark.rule("operators", "semantic-matching")
@pytest.mark.rule("query-algebra", "9.4")
def test_renaming_resolves_a_clash(lab: Lab) -> None:
    assert len(lab.Subject * lab.Stray.proj(stray_id="subject_id")) == 10


@pytest.mark.rule("semantic-matching", "match", "renamed-foreign-key")
@pytest.mark.rule("query-algebra", "9.2")
def test_renamed_attributes_of_one_origin_match_under_one_name(lab: Lab) -> None:
    assert len(lab.Session.proj(animal="subject_id") * lab.Subject.proj(animal="subject_id")) == 5


@pytest.mark.rule("semantic-matching", "clash")
def test_computed_attribute_matches_nothing(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match="different lineages"):
        lab.Subject * lab.Mouse.proj(weight="1 + 1")


@pytest.mark.rule("semantic-matching", "removed-at", "removed-caret")
def test_removed_operators_say_what_to_write(lab: Lab) -> None:
    with pytest.raises(
        dj.DataJointError, match=r"@ operator has been removed.*\.join\(other, semantic_check=False\)"
    ):
        lab.Subject @ lab.Session
    with pytest.raises(dj.DataJointError, match=r"\^ operator has been removed.*\.restrict\(other"):
        lab.Subject ^ lab.Session


@pytest.mark.rule("semantic-matching", "no-lineage-table", "lineage-available")
def test_without_lineage_names_match_after_a_warning(
    server: ServerUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    definitions = {"First": "id : int32\n---\na : int32", "Second": "id : int32\n---\nb : int32"}
    with connect(server) as connection:
        lab = make_lab(connection, definitions)
        try:
            lab.First.insert([(1, 1), (2, 2)])
            lab.Second.insert([(2, 5)])
            quote = connection.dialect.quote
            connection.query(f"DROP TABLE {quote}{lab.schema.database}{quote}.{quote}~lineage{quote}")
            with connect(server) as later:
                names = [f"{lab.schema.database}.{n}" for n in ("first", "second")]
                first, second = (dj.FreeTable(later, name) for name in names)
                with caplog.at_level(logging.WARNING, "datajoint"):
                    rows = (first * second).to_dicts()
            assert rows == [{"id": 2, "a": 2, "b": 5}]
            assert lab.First.heading.lineage_available
            without = [
                first, first & "a = 1", first.proj(x="a"), first * second, first.proj() + second.proj(),
                first.aggr(second, n="count(b)"), dj.U("a") & first, first.extend(second.proj("b")),
            ]  # fmt: skip
            assert [query.heading.lineage_available for query in without] == [False] * len(without)
            assert "Semantic check disabled: ~lineage table not found" in caplog.text
            assert "schema.rebuild_lineage()" in caplog.text
        finally:
            lab.schema.drop(prompt=False)


# -- hidden attributes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def computed(server: ServerUnderTest) -> Iterator[Lab]:
    """Two tables with the hidden attributes of computed ones."""
    with connect(server) as connection:
        schema = dj.Schema(f"dj_test_hidden_{uuid.uuid4().hex[:8]}", connection=connection)
        assert schema.database is not None
        create_lineage_table(connection, schema.database)
        infos: dict[str, Any] = {}
        for name, text in {
            "First": "i : int32\n---\na : int32",
            "Second": "-> First\n---\nb : int32",
        }.items():
            spec = parse_definition(text)
            table_name = (schema.database, f"__{name.lower()}")
            info = table_info_of(
                spec, table_name, Tier.COMPUTED, lambda fk: infos[fk.target], add_job_metadata=True,
                allow_new_key_attributes=True,
            )  # fmt: skip
            infos[name] = declare_table(connection, info)
        tables = {name: FreeTable.of_info(connection, info) for name, info in infos.items()}
        tables["First"].insert([(1, 10), (2, 20)], allow_direct_insert=True)
        tables["Second"].insert([(2, 30)], allow_direct_insert=True)
        yield Lab(**tables, schema=schema, connection=connection)
        schema.drop(prompt=False)


@pytest.mark.rule("query-algebra", "4.3")
def test_hidden_attributes_never_match(computed: Lab) -> None:
    assert (computed.First * computed.Second).to_dicts() == [{"i": 2, "a": 20, "b": 30}]
    assert len(computed.First & computed.Second) == 1
    assert len(computed.First - computed.Second) == 1
    assert len(computed.First.aggr(computed.Second, n="count(b)")) == 2
    assert len(computed.First.proj("a") + computed.Second) == 2


def test_hidden_attributes_are_named_to_be_seen(computed: Lab) -> None:
    assert computed.First.proj(...).heading.names == ["i", "a"]
    assert "_job_version" not in computed.First.to_dicts()[0]
    assert len(computed.First & "_job_start_time IS NULL") == 2


def test_condition_on_a_hidden_attribute_holds_in_a_join(computed: Lab) -> None:
    query = (computed.First & "_job_duration IS NULL") * (computed.Second & "_job_duration IS NULL")
    assert query.to_dicts() == [{"i": 2, "a": 20, "b": 30}]
    assert all(not name.startswith("_") for name in query.heading.by_name)


# -- the rules of primary-keys.md that need an origin ----------------------------------------------------


@pytest.mark.rule("primary-keys", "order-of-checks")
def test_origins_are_checked_before_what_determines_what(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match="different lineages"):
        lab.Stray.proj().join(lab.Session, left=True)
    by_name = lab.Stray.proj().join(lab.Mouse, left=True, semantic_check=False)
    assert by_name.primary_key == ["subject_id"]
    assert len(by_name) == 2


# -- references over several tables, and renamed ---------------------------------------------------------

FAMILY = {
    "Person": "person_id : int32\n---\nfull_name : varchar(20)",
    "Marriage": "-> Person.proj(husband='person_id')\n-> Person.proj(wife='person_id')\n---\nmarried : date",
    "Course": "course_id : int32\n---\ntitle : varchar(20)",
    "Favorite": "student : int32\n---\n-> Course",
    "Required": "major : int32\n---\n-> Course",
}
FAMILY_ROWS: dict[str, list[tuple[Any, ...]]] = {
    "Person": [(1, "Ada"), (2, "Bo"), (3, "Cy")],
    "Marriage": [(2, 1, "2020-05-05")],
    "Course": [(1, "logic"), (2, "sets")],
    "Favorite": [(10, 1), (11, 2)],
    "Required": [(20, 2), (21, 2)],
}


@pytest.fixture(scope="module")
def family(server: ServerUnderTest) -> Iterator[Lab]:
    with connect(server) as connection:
        lab = make_lab(connection, FAMILY)
        for name, rows in FAMILY_ROWS.items():
            getattr(lab, name).insert(rows)
        yield lab
        lab.schema.drop(prompt=False)


@pytest.mark.rule("semantic-matching", "multi-hop", "match")
def test_origin_passes_through_several_references(lab: Lab) -> None:
    assert len(lab.Subject * lab.Trial) == 6
    assert len(lab.Session * lab.Trial) == 6
    assert len(lab.Subject & lab.Trial) == 2


@pytest.mark.rule("semantic-matching", "secondary-foreign-key")
def test_secondary_references_to_one_table_match(family: Lab) -> None:
    both = family.Favorite * family.Required
    assert both.primary_key == ["student", "major"]
    assert both.keys(order_by="KEY") == [{"student": 11, "major": 20}, {"student": 11, "major": 21}]


@pytest.mark.rule("semantic-matching", "renamed-foreign-key", "match")
def test_renamed_references_have_one_origin_and_match_under_one_name(family: Lab) -> None:
    heading = family.Marriage.heading
    assert (
        heading["husband"].lineage == heading["wife"].lineage == f"{family.schema.database}.person.person_id"
    )
    assert len(family.Marriage * family.Person) == 3  # no common name: every pair
    wives = family.Marriage.proj(person_id="wife") * family.Person
    assert wives.fetch1("full_name") == "Ada"


@pytest.mark.rule("semantic-matching", "parent-without-lineage", "rebuild", "lineage-property")
def test_parent_without_origin_is_the_origin_after_a_warning(
    server: ServerUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(server) as connection:
        parents = make_lab(connection, {"Root": "r : int32", "Parent": "-> Root\np : int32"})
        name = parents.schema.database
        quote = connection.dialect.quote
        connection.query(f"DELETE FROM {quote}{name}{quote}.{quote}~lineage{quote}")
        connection.catalog.forget()
        children = dj.Schema(f"dj_test_lab_{uuid.uuid4().hex[:8]}", connection=connection)
        try:
            parent = dj.FreeTable(connection, f"{name}.parent")
            child = type("Child", (dj.Manual,), {"definition": "-> parent\nc : int32"})
            with caplog.at_level(logging.WARNING, "datajoint"):
                children(child, context={"parent": parent})
            assert (
                f"Lineage for `{name}`.`parent`.`r` not found (parent schema's ~lineage table may be missing "
                "or incomplete). Using it as origin. Once the parent schema's lineage is rebuilt, run "
                "schema.rebuild_lineage() on this schema to correct the lineage."
            ) in caplog.text
            assert children.lineage[f"{children.database}.child.r"] == f"{name}.parent.r"
            parents.schema.rebuild_lineage()
            children.rebuild_lineage()
            assert children.lineage[f"{children.database}.child.r"] == f"{name}.root.r"
            assert children.lineage[f"{children.database}.child.p"] == f"{name}.parent.p"
        finally:
            children.drop(prompt=False)
            parents.schema.drop(prompt=False)
