"""Rules that a definition keeps by itself."""

import pytest
from hypothesis import given

from dj_schema.definition.checks import check_indexes, check_spec
from dj_schema.definition.grammar import parse_definition
from dj_schema.definition.spec import AttributeSpec, ForeignKeySpec, IndexSpec, Literal, TableSpec
from dj_schema.errors import DefinitionError
from dj_schema.names import Tier
from dj_schema.types import CoreType
from tests.unit.definition.strategies import specs

INT = CoreType("int32")


@pytest.mark.parametrize(
    "text",
    [
        "a : int32",
        "---\na : int32",
        "-> Session",
        "made = CURRENT_TIMESTAMP : datetime(6)\n---\nb : int32",
        "made = NOW : date",
        "a : <name_codec>\n---\nb = null : <blob>",
        "a : int32\nindex(a)\n---\nb : int32\nindex(b, a)\nindex(a, b)",
        "-> Person.proj(one='person')\n-> Person.proj(two='person')",
        "a : int32\n---\n-> [nullable, unique] Session",
        "order : int32\n---\nselect : int32",
        "record : int unsigned auto_increment",
        "a" * 64 + " : int32",
    ],
)
def test_definitions_that_hold(text):
    check_spec(parse_definition(text))


@pytest.mark.parametrize(
    ("text", "line_number", "fragment"),
    [
        ("a = null : int32", 1, "Primary key attributes cannot be nullable, and 'a' is"),
        ("a : int32 = null\n---\nb : int32", 1, "Primary key attributes cannot be nullable"),
        ("-> [nullable] Session", 1, "Primary key attributes cannot be nullable, and those of Session"),
        ("a = 1 : int32\n---\nb : int32", 1, "cannot have a fixed default"),
        ("a : json", 1, "json cannot be in the primary key"),
        ("a : bytes", 1, "bytes cannot be in the primary key"),
        ("a : longblob", 1, "longblob cannot be in the primary key"),
        ("a : int32\n---\nb : int32\na : int64", 4, "the attribute 'a' is defined twice"),
        ("-> Session\n---\n-> Session", 3, "the reference to Session is defined twice"),
        ("-> A.proj(x='y')\n-> A.proj(x='y')", 2, "the reference to A is defined twice"),
        ("a : int32\nindex(a)\nunique index(a)", 3, "the index is defined twice"),
        ("a : int32\nindex(a, a)", 2, "the index has 'a' twice"),
        ("a : int32 # :int64:x", 1, "the comment of attribute 'a' must not start with colon"),
        ("-> Session # :x", 1, "the comment of the reference to Session must not start with colon"),
        ("#: about\na : int32", None, "the comment of the table must not start with colon"),
        ("# : about\na : int32", None, "the comment of the table must not start with colon"),
        ("_a : int32", 1, "starts with an underscore"),
        ("a : int32\n---\n___ : int32", 3, "starts with an underscore"),
        ("a" * 65 + " : int32", 1, "has 65 characters"),
        ("-> Session.proj(" + "a" * 65 + "='b')", 1, "a name of up to 64 characters"),
        ("-> master\n---\nb : int32", 1, "in a table that is no part"),
        ("", None, "the definition has no attributes"),
        ("# only words", None, "the definition has no attributes"),
        ("---", None, "the definition has no attributes"),
        ("---\nindex((1))", None, "the definition has no attributes"),
        ("a : int32 # \0", 1, "a line break or a NUL"),
    ],
)
def test_definitions_that_do_not_hold(text, line_number, fragment):
    spec = parse_definition(text)
    with pytest.raises(DefinitionError) as caught:
        check_spec(spec)
    assert fragment in str(caught.value)
    assert caught.value.line_number == line_number
    assert caught.value.expected


@pytest.mark.parametrize(
    ("item", "fragment"),
    [
        (AttributeSpec("Name", INT), "'Name' cannot name an attribute"),
        (AttributeSpec("a b", INT), "'a b' cannot name an attribute"),
        (AttributeSpec("a", INT, comment="x\ny"), "a line break or a NUL"),
        (AttributeSpec("a", CoreType("enum", ("x\n",))), "a line break or a NUL"),
        (AttributeSpec("a", CoreType("varchar", (9,)), Literal("x\ny")), "a line break or a NUL"),
        (
            AttributeSpec("a", CoreType("uint8"), Literal(256)),
            "attribute 'a': the default '256' does not fit uint8",
        ),
        (AttributeSpec("a", INT, Literal("1")), "as int32 keeps it"),
        (ForeignKeySpec("A", (("x y", "z"),)), "'x y' cannot name an attribute"),
        (IndexSpec(()), "the index names no attributes"),
        (IndexSpec(("a); drop table b",)), "is no column of an index"),
    ],
)
def test_specs_made_without_text_are_checked_too(item, fragment):
    spec = TableSpec("", (AttributeSpec("id", INT),), (item,))
    with pytest.raises(DefinitionError) as caught:
        check_spec(spec)
    assert fragment in str(caught.value)


def test_hidden_attributes_are_for_the_system():
    spec = parse_definition("a : int32\n---\n_job_version = '' : varchar(64)")
    check_spec(spec, allow_hidden=True)
    with pytest.raises(DefinitionError, match="marks columns of the system"):
        check_spec(spec)


@pytest.mark.parametrize("kind", [{"is_part": True}, {"tier": Tier.PART}])
def test_a_part_references_its_master(kind):
    check_spec(parse_definition("-> master\nidx : int32"), **kind)
    check_spec(parse_definition("-> Session\nidx : int32"), **kind)
    with pytest.raises(DefinitionError, match="does not reference its master"):
        check_spec(parse_definition("idx : int32"), **kind)


@pytest.mark.parametrize("tier", [Tier.COMPUTED, Tier.IMPORTED])
def test_the_key_of_an_auto_populated_table_comes_from_its_parents(tier):
    own_key = parse_definition("-> Session\nidx : int32\n---\nx : float64")
    with pytest.raises(DefinitionError, match="an attribute of its own, 'idx'") as caught:
        check_spec(own_key, tier=tier)
    assert caught.value.line_number == 2
    assert tier.name.lower() in str(caught.value)
    check_spec(own_key, tier=tier, allow_new_key_attributes=True)
    check_spec(own_key, tier=Tier.MANUAL)
    check_spec(own_key, tier=tier, is_part=True)
    check_spec(parse_definition("-> Session\n---\nx : float64"), tier=tier)


def test_indexes_are_on_attributes_of_the_table():
    spec = parse_definition("-> Session\n---\ncar : json\nindex(session, car.length)\nindex((YEAR(day)))")
    check_indexes(spec, ["session", "car"])
    with pytest.raises(DefinitionError, match="'session', which the table does not have") as caught:
        check_indexes(spec, ["car"])
    assert caught.value.line_number == 4
    with pytest.raises(DefinitionError, match="'car', which"):
        check_indexes(spec, ["session"])


@given(specs)
def test_a_check_passes_or_says_what_was_expected(spec):
    fault = None
    try:
        check_spec(spec)
    except DefinitionError as caught:
        fault = caught
    assert fault is None or fault.expected
