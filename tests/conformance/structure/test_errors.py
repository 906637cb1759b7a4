"""The classes of errors of their page, as each server makes them happen."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from dj_query.schema import Schema
from dj_schema import errors
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError, QueryError
from tests.conformance.structure.tables import table_class

NewSchema = Callable[..., Schema]
BELOW_QUERY_ERROR = (
    "QuerySyntaxError", "AccessError", "DuplicateError", "IntegrityError", "UnknownAttributeError",
    "MissingAttributeError",
)  # fmt: skip
BESIDE_IT = (
    "LostConnectionError",
    "QueryError",
    "MissingTableError",
    "MissingExternalFile",
    "BucketInaccessible",
)


@pytest.mark.rule("errors", "hierarchy")
def test_the_tree_of_classes(dj: ModuleType) -> None:
    assert dj.DataJointError is dj.errors.DataJointError is DataJointError
    for name in BELOW_QUERY_ERROR:
        assert issubclass(getattr(dj.errors, name), QueryError)
    for name in BESIDE_IT:
        assert issubclass(getattr(dj.errors, name), DataJointError)
        assert not issubclass(getattr(dj.errors, name), QueryError) or name == "QueryError"
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert all(issubclass(c, DataJointError) for c in classes)


@pytest.mark.rule("errors", "QuerySyntaxError", "DuplicateError", "IntegrityError", "UnknownAttributeError")
@pytest.mark.rule("errors", "MissingAttributeError", "MissingTableError", "information")
def test_each_mistake_has_its_class_and_says_what_to_do(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "p : int8\n---\nname : varchar(9)"))
    child = schema(table_class(dj, "Child", "-> Parent"), context={"Parent": parent})
    parent.insert1({"p": 1, "name": "a"})
    child.insert1((1,))
    free = dj.FreeTable(child.full_table_name)

    def query_a_dropped_table() -> None:
        with connection.clone() as other:
            dj.FreeTable(other, child.full_table_name).drop_quick()
        len(free)

    for mistake, kind, message in (
        (
            lambda: parent.insert1({"p": 1, "name": "b"}),
            "DuplicateError",
            "skip_duplicates=True.*replace=True",
        ),
        (lambda: child.insert1((2,)), "IntegrityError", "insert the parent first"),
        (lambda: parent.delete_quick(), "IntegrityError", ""),
        (lambda: parent.to_arrays("nothing"), "UnknownAttributeError", "no attribute 'nothing'"),
        (lambda: parent & "nothing = 5", "UnknownAttributeError", "no attribute 'nothing'"),
        (lambda: parent.proj("nothing"), "UnknownAttributeError", "no attribute 'nothing'"),
        (lambda: parent.insert1({"p": 2}), "MissingAttributeError", "'name'"),
        (
            lambda: parent.insert1({"p": 2, "name": "x", "more": 1}),
            "UnknownAttributeError",
            "ignore_extra_fields",
        ),
        (lambda: len(parent & "name = ("), "QuerySyntaxError", ""),
        (lambda: connection.query("SELEKT 1"), "QuerySyntaxError", ""),
        (query_a_dropped_table, "MissingTableError", "Is it declared"),
        (lambda: dj.FreeTable(f"{schema.name}.nothing"), "MissingTableError", "list_tables"),
    ):
        with pytest.raises(getattr(dj.errors, kind), match=f"(?s){message}") as caught:
            mistake()
        assert caught.value.args == (str(caught.value),)
        assert type(caught.value).__name__ == kind
    parent.insert1({"p": 1, "name": "b"}, skip_duplicates=True)
    parent.insert1({"p": 1, "name": "c"}, replace=True)
    assert parent.fetch1("name") == "c"
    assert schema.is_activated()
