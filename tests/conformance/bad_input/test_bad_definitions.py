"""Definitions and names that cannot be: nothing is declared, and the error says what would be right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from dj_schema.errors import DataJointError, DefinitionError
from tests.conformance.structure.tables import table_class, tables_in
from tests.support.malformed import MALFORMED

# What reads, but does not hold together.
CONTRADICTIONS: list[tuple[Any, str]] = [
    ("-> NoSuch", "could not be resolved"),
    ("-> number", "could not be resolved"),
    ("-> math", "could not be resolved"),
    ("-> Plain", "could not be resolved"),
    ("a : int32\n---\na : int32", "defined twice"),
    ("a : int32\na : int8", "defined twice"),
    ("-> Person\n---\nperson : varchar(3)", "is there already, from a foreign key"),
    ("-> Person.proj(x='nmae')", "no primary key attribute 'nmae'"),
    ("-> Person.proj(x='name')", "no primary key attribute 'name'"),
    ("-> Person\n-> Person", "defined twice"),
    ("-> Bad", "its own parent in its own primary key"),
    ("a = null : int32", "cannot be nullable"),
    ("a = 5 : int32", "cannot have a fixed default"),
    ("-> [nullable] Person", "cannot be nullable"),
    ("a : <blob>", "cannot be in the primary key"),
    ("a : json", "cannot be in the primary key"),
    ("a : bytes", "cannot be in the primary key"),
    ("a : int32\n---\nb : <nosuch>", "import the module that defines it"),
    ("a : int32\nindex(b)", "which the table does not have"),
    ("a : int32\nindex(a, a)", "each attribute once"),
    ("a : int32\n---\nb : <blob>\nindex(b)", "cannot be in an index"),
    ("a : int32\n---\nb : json\nunique index(b)", "cannot be in an index"),
    ("a : int32\n---\nb : bytes\nindex(b)", "cannot be in an index"),
    ("a" * 65 + " : int32", "characters. Expected at most 6"),
    ("a : int32\n---\nb : varchar(100000)", "varchar(n) with n from 1"),
    ("a : int32\n---\nb : decimal(70,2)", "decimal(p,s) with p up to 65"),
    ("a : int32\n---\nb : decimal(40,35)", "s up to 30"),
    ("_a : int32", "marks columns of the system"),
    ("a : int32\n---\nb = 1000 : int8", "does not fit int8"),
    ("a : int32\n---\nb = 'x' : int32", "does not fit int32"),
    ("a : int32\n---\nb = 'never' : date", "does not fit date"),
    ("a : int32\n---\nb = 'x' : uuid", "can only be NULL"),
    ("a : int32\n---\nb = 99999 : decimal(4,2)", "does not fit decimal(4,2)"),
    ("a : int32\n---\nb = 5 : bool", "does not fit bool"),
    ("a : int32\n---\nb = 'xxxxxx' : varchar(5)", "at most 5 characters"),
    ("a : int32\n---\nb : geometry", "Unsupported attribute type"),
    ("a : int32\n---\nb : varchar(5) unsigned", "Unsupported attribute type"),
    ("a = 5 : int auto_increment", "counts by itself"),
    ("a : varchar(5) auto_increment", "Unsupported attribute type"),
    ("-> master", "stands in a table that is no part"),
    ("a : int32\nindex((a); DROP TABLE person)", "no column of an index"),
    ("a : int32\n---\n-> Person.proj(x='person', y='person')", "no name twice"),
    ("a : int32  # a\0b", "a NUL"),
    ("a : int32\0", "Unsupported attribute type"),
    ("a : int32  # \ud800", "surrogate"),
    ("a : int32\n---\nb = '\ud800' : varchar(5)", "surrogate"),
    ("a : int32\n---\nb = '\0' : varchar(5)", "a NUL"),
    ("a : int32\n---\nb : enum('\0')", "a NUL"),
    ("a : int32\x0bb : int32", "Unsupported attribute type"),
    ("", "no attributes"),
    ("# only a comment", "no attributes"),
    (5, "no definition"),
    (None, "no definition"),
    (["a : int32"], "no definition"),
    (b"a : int32", "no definition"),
    (lambda: "a : int32", "no definition"),
]
# What no server has, each for a reason of its own.
NOT_ON_ANY = [
    ("\n".join(f"k{i} : int8" for i in range(33)), "at most 16 attributes in a key or index"),
    ("a : int32\n---\nindex((RAND()))", "the same value"),
    ("a : int32\n---\n" + "\n".join(f"b{i} : int8" for i in range(1700)), "fewer attributes"),
]
NOT_ON_POSTGRESQL = [
    ("xmin : int32", "another name"),
    ("a : int32\n---\nctid = null : int32", "another name"),
]
# What PostgreSQL has, and these servers do not.
NOT_ON_MYSQL = [
    ("a : varchar(4000)", "3072 bytes"),
    ("a : int32\n---\nb : char(300)", "at most 255 characters"),
    ("a : int32\n---\n" + "\n".join(f"b{i} : varchar(15000)" for i in range(5)), "65535 bytes in all"),
    ("a : int auto_increment\nb : int auto_increment", "one auto_increment attribute"),
    ("a : int32  # " + "x" * 2000, "at most 1024 characters"),
]
CLASS_NAMES = [
    "bad_name",
    "Ünï",
    "lower",
    "A" * 70,
    "A__B",
    "X Y",
    "X;DROP TABLE person",
    "",
    "1A",
    "A`",
    'A"',
]
SCHEMA_NAMES = [
    "", "a b", "a`b", 'a"b', "a'b", "a;b", "a.b", "a/b", "a%b", "ä", "x" * 64, "a\nb", "a\0b", "\ud800",
    5, None, b"a", "information_schema", "mysql", "pg_catalog",
]  # fmt: skip


class Plain:
    """A class that is no table."""


@pytest.fixture
def declare(lab: Any, dj: Any) -> Callable[..., Any]:
    """Return what declares a definition beside the tables that are there."""
    context = {"Person": lab.Person, "Pet": lab.Pet, "number": 5, "math": math, "Plain": Plain}
    return lambda text, **kinds: lab.schema(table_class(dj, "Bad", text, **kinds), context=context)


def _refusal(declare: Callable[..., Any], text: Any, fragment: str) -> str | None:
    """Return what is wrong with the refusal of a definition; None where all is well."""
    try:
        declare(text)
        return f"{text!r} was declared"
    except DefinitionError as e:
        is_right = fragment in str(e) and (e.expected or "import the module" in str(e))
        return None if is_right else f"{text!r}: {e}"
    except DataJointError as e:
        return None if fragment in str(e) else f"{text!r:.200}: {type(e).__name__}: {e}"


def test_a_definition_that_does_not_hold_is_refused_and_nothing_is_declared(
    declare: Callable[..., Any], lab: Any, connection: Any, unchanged: Any
) -> None:
    with unchanged():
        cases = [*CONTRADICTIONS, *NOT_ON_ANY, *((text, fragment) for text, _, fragment in MALFORMED)]
        cases += NOT_ON_POSTGRESQL if connection.dialect.name == "postgresql" else NOT_ON_MYSQL
        assert len(cases) > 150
        wrong = [found for case in cases if (found := _refusal(declare, *case)) is not None]
    assert wrong == []


@pytest.mark.parametrize(
    ("definition", "line_number", "line"),
    [
        ("-> Person\n---\nperson : varchar(3)", 3, "person : varchar(3)"),
        ("-> Person.proj(x='nmae')", 1, "-> Person.proj(x='nmae')"),
        ("a : int32\n-> Bad", 2, "-> Bad"),
        ("a : int32\nb : <blob>", 2, "b : <blob>"),
        ("a : int32\nb : bytes", 2, "b : bytes"),
    ],
)
def test_what_contradicts_another_table_is_told_with_its_line(
    declare: Callable[..., Any], lab: Any, definition: str, line_number: int, line: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        declare(definition)
    assert (caught.value.line_number, caught.value.line) == (line_number, line)


def test_contents_that_do_not_fit_leave_no_table(
    declare: Callable[..., Any], lab: Any, dj: Any, unchanged: Any
) -> None:
    class Part(dj.Part):
        definition = "-> master\np : int32"

    with unchanged():
        for contents in ([("x",)], 5, [(1, 2)], [{"b": 1}], [None], [{"a": None}]):
            with pytest.raises(DataJointError):
                declare("a : int32", tier="Lookup", contents=contents, Part=Part)
    declare("a : int32", tier="Lookup", contents=[(1,)], Part=Part)


def test_what_is_no_table_class_and_what_cannot_name_one_is_refused(
    lab: Any, dj: Any, unchanged: Any
) -> None:
    part = table_class(dj, "Solo", "a : int32", tier="Part")
    inner = table_class(dj, "Inner", "-> master\nb : int32", tier="Part")
    nested = table_class(dj, "Nested", "-> master\na : int32", tier="Part", Inner=inner)
    with unchanged():
        for name in CLASS_NAMES:
            with pytest.raises(DefinitionError, match=r"cannot name a table|at most 6\d"):
                lab.schema(table_class(dj, name, "a : int32"))
        for no_table in (5, None, "Person", Plain, Plain(), part, dj.Manual.__mro__[-1]):
            with pytest.raises(DataJointError, match=r"no table class|with its master"):
                lab.schema(no_table)
        with pytest.raises(DefinitionError, match="does not reference its master"):
            lab.schema(table_class(dj, "Bad", "a : int32", Solo=part))
        with pytest.raises(DefinitionError, match="cannot have parts"):
            lab.schema(table_class(dj, "Bad", "a : int32", Nested=nested))


@pytest.mark.parametrize(
    "codec", ["<blob@>", "<blob@cold>", "<attach>", "<object@>", "<npy@cold>", "<filepath@cold>"]
)
def test_what_would_be_stored_outside_of_the_database_is_refused(
    lab: Any, dj: Any, unchanged: Any, codec: str
) -> None:
    with unchanged(), pytest.raises(DefinitionError, match="stores no files and nothing outside") as e:
        lab.schema(table_class(dj, "Bad", f"a : int32\n---\nb : {codec}"))
    assert codec in str(e.value)


def test_what_cannot_name_a_schema_is_refused_and_no_schema_is_made(dj: Any, connection: Any) -> None:
    before = set(dj.list_schemas(connection))
    for name in SCHEMA_NAMES:
        with pytest.raises(DataJointError, match=r"name"):
            dj.Schema(connection=connection).activate(name)
    made = set(dj.list_schemas(connection)) - before  # also by other tests on this server, of any name
    assert not made.intersection(str(name)[:63] for name in SCHEMA_NAMES)


def test_tables_in_sees_what_is_left(lab: Any, connection: Any) -> None:
    assert {"person", "pet", "pet__toy", "other", "__sum"} <= tables_in(connection, lab.schema.database)
