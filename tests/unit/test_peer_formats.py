"""Names and comments in the database that another program computes too (recorded from datajoint 2.3.5)."""

from __future__ import annotations

import pytest

from dj_schema.dialects.mysql import ddl as mysql
from dj_schema.dialects.postgres import ddl as postgres
from dj_schema.heading import Attribute
from dj_schema.table_info import Index
from dj_schema.types import CoreType, parse_type


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (("x", "y"), "enum_52102d8e"),
        (("y", "x"), "enum_52102d8e"),
        (("a", "b", "it's"), "enum_47a33fa3"),
        (("pending", "reserved", "success", "error", "ignore"), "enum_609a743e"),
    ],
)
def test_types_of_enums_have_the_shared_name(labels: tuple[str, ...], name: str) -> None:
    assert postgres.shared_enum_name(labels) == name


@pytest.mark.parametrize(
    ("table", "columns", "name"),
    [
        ("__comp", ("kind",), "idx___comp_kind"),
        ("~~comp", ("status", "priority", "scheduled_time"), "idx_~~comp_status_priority_scheduled_time"),
    ],
)
def test_indexes_have_the_shared_name(table: str, columns: tuple[str, ...], name: str) -> None:
    assert postgres.index_name(table, Index(columns, False)) == name


def test_long_names_of_indexes_are_cut_and_stay_distinct() -> None:
    made = {postgres.index_name("t" * 60, Index((f"column_{i}",), False)) for i in range(20)}
    assert len(made) == 20
    assert all(len(name.encode()) <= 63 for name in made)


@pytest.mark.parametrize(
    "type_", ["int32", "decimal(5,2)", "varchar(20)", "enum('x','y')", "<blob>", "datetime(3)"]
)
def test_comments_carry_the_type(type_: str) -> None:
    parsed = parse_type(type_)
    own = Attribute("a", parsed, "int", comment="words")
    assert postgres.column_comment(own) == mysql.column_comment(own) == f":{type_}:words"
    inherited = Attribute("a", parsed, "int", comment="words", is_inherited=True)
    assert (postgres.column_comment(inherited), mysql.column_comment(inherited)) == ("", "words")


def test_an_enum_too_long_for_a_comment_of_mysql_is_known_by_its_column() -> None:
    labels = tuple(f"a label of some length {i}" for i in range(60))
    assert (
        mysql.column_comment(Attribute("a", CoreType("enum", labels), "string", comment="words")) == "words"
    )
