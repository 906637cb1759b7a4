"""Headings as people see them."""

from dj_schema.definition.spec import Literal, Null
from dj_schema.heading import Attribute, Heading
from dj_schema.types import parse_type


def attribute(name, type_text, **fields):
    type_ = parse_type(type_text)
    return Attribute(name, type_, type_.kind, **fields)


def test_a_heading_is_shown_in_columns_without_hidden_attributes():
    heading = Heading(
        (
            attribute("animal", "int32", in_key=True, comment="ear\ntag"),
            attribute("weight", "decimal(4,1)", is_nullable=True, default=Null()),
            attribute("name", "varchar(20)", default=Literal("")),
            Attribute("age", None, "int"),
            attribute("_job_version", "varchar(64)", is_hidden=True),
        ),
        "Animals",
    )
    assert str(heading).split("\n") == [
        "# Animals",
        "animal        : int32         # ear tag",
        "---",
        "weight = null : decimal(4,1)",
        "name = ''     : varchar(20)",
        "age           : (int)",
    ]


def test_a_heading_without_attributes_is_shown():
    assert str(Heading(())) == "---"
