"""Each type keeps its default in one form."""

import pytest

from dj_schema.definition.defaults import fit_default, read_default
from dj_schema.definition.printer import print_default
from dj_schema.definition.spec import CurrentTimestamp, Literal, Null
from dj_schema.errors import DefinitionError
from dj_schema.types import parse_type


@pytest.mark.parametrize(
    ("type_text", "texts", "value"),
    [
        ("bool", ["1", "true", "TRUE", "'1'", "'True'"], True),
        ("bool", ["0", "false", "'0'"], False),
        ("tinyint(1)", ["1", "true"], True),
        ("uint8", ["255", "'255'", "255.0", "2.55e2"], 255),
        ("int8", ["true"], 1),
        ("int64", ["-9223372036854775808"], -(2**63)),
        ("uint64", ["18446744073709551615"], 2**64 - 1),
        ("int unsigned", ["7", "'7'"], 7),
        ("year", ["2024"], 2024),
        ("float64", ["50", "50.0", "5e1", "'50'"], 50.0),
        ("float64", ["-0.0", "0", "-0"], 0.0),
        ("float32", [".5"], 0.5),
        ("decimal(3,2)", ["1.5", "1.50", "'1.5'", "15e-1"], "1.50"),
        ("decimal(3,2)", ["0", "-0", "0.00"], "0.00"),
        ("decimal(30,30)", ["1e-30"], "0." + "0" * 29 + "1"),
        ("decimal(65,0)", ["9" * 65], "9" * 65),
        ("numeric(4,1)", ["2"], "2.0"),
        ("numeric", ["2.50"], "2.50"),
        ("char(2)", ["'ab'", '"ab"'], "ab"),
        ("varchar(3)", ["12", "'12'"], "12"),
        ("varchar(2)", ["'éü'"], "éü"),
        ("text", ["'any'"], "any"),
        ("enum('a','b')", ["'b'", '"b"'], "b"),
        ("date", ["'2024-02-29'"], "2024-02-29"),
        (
            "datetime",
            ["'2024-02-29 10:00:00'", "'2024-02-29T10:00'", "'2024-02-29 10:00:00.000'"],
            "2024-02-29 10:00:00",
        ),
        ("datetime", ["'2024-02-29'"], "2024-02-29 00:00:00"),
        ("datetime(1)", ["'2024-02-29 10:00:00.5'"], "2024-02-29 10:00:00.500000"),
        ("timestamp", ["'2024-02-29 10:00:00.123456'"], "2024-02-29 10:00:00.123456"),
        ("time", ["'10:30'"], "10:30"),
    ],
)
def test_every_way_to_write_a_default_is_one_value(type_text, texts, value):
    type_ = parse_type(type_text)
    for text in texts:
        default = read_default(type_, text)
        assert default == Literal(value), text
        assert read_default(type_, print_default(type_, default)) == default


@pytest.mark.parametrize(
    ("type_text", "text", "fragment"),
    [
        ("bool", "2", "true, false, 1 or 0"),
        ("uint8", "256", "an integer from 0 to 255"),
        ("uint8", "-1", "an integer from 0 to 255"),
        ("int8", "1.5", "an integer from -128 to 127"),
        ("int32", "'x'", "a number"),
        ("int32", "''", "a number"),
        ("int64", "1e999999999", "an integer from"),
        ("int", "1e30", "an integer from"),
        ("float64", "1e999", "within the range of float64"),
        ("float32", "1e39", "within the range of float32"),
        ("float64", "true", "on bool or an integer only"),
        ("float64", "'nan'", "a number"),
        ("decimal(3,1)", "100", "at most 2 digits before the point and 1 after it"),
        ("decimal(3,1)", "0.25", "at most 2 digits before the point and 1 after it"),
        ("decimal(3,1)", "1e99999999999999999999", "a number"),
        ("char(1)", "'ab'", "at most 1 characters; this has 2"),
        ("varchar(3)", "true", "on bool or an integer only"),
        ("varchar(3)", "pending", "a quoted string"),
        ("enum('a','b')", "'c'", "one of its labels"),
        ("enum('a','b')", "a", "a quoted string"),
        ("date", "'2023-02-29'", "'YYYY-MM-DD'"),
        ("date", "2023", "'YYYY-MM-DD'"),
        ("date", "'CURRENT_TIMESTAMP'", "without quotes"),
        ("datetime", "'yesterday'", "'YYYY-MM-DD HH:MM:SS'"),
        ("datetime", "'2024-01-01 00:00:00+02:00'", "UTC"),
        ("datetime", "'2024-01-01 00:00:00.5'", "at most 0 digits of a second"),
        ("time", "'late'", "'HH:MM:SS'"),
        ("int32", "CURRENT_TIMESTAMP", "on a datetime, timestamp or date"),
        ("time", "NOW", "on a datetime, timestamp or date"),
        ("<blob>", "''", "can only be NULL"),
        ("<blob@cold>", "CURRENT_TIMESTAMP", "can only be NULL"),
        ("json", "'{}'", "can only be NULL"),
        ("bytes", "''", "can only be NULL"),
        ("longblob", "'x'", "can only be NULL"),
        ("uuid", "'00000000-0000-0000-0000-000000000000'", "can only be NULL"),
        ("int auto_increment", "1", "counts by itself"),
        ("serial", "1", "counts by itself"),
    ],
)
def test_a_default_that_the_type_cannot_hold_is_refused(type_text, text, fragment):
    with pytest.raises(DefinitionError) as caught:
        read_default(parse_type(type_text), text)
    assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("type_text", "of_catalog", "value"),
    [
        ("bool", "1", True),
        ("bool", True, True),
        ("uint16", "5", 5),
        ("float64", "50", 50.0),
        ("decimal(5,3)", "0.500", "0.500"),
        ("decimal(5,3)", "0.5", "0.500"),
        ("decimal(5,3)", 0.5, "0.500"),
        ("datetime(3)", "2024-01-01 00:00:00.250", "2024-01-01 00:00:00.250000"),
        ("varchar(9)", "plain", "plain"),
    ],
)
def test_what_a_catalog_tells_takes_the_form_of_the_definition(type_text, of_catalog, value):
    assert fit_default(parse_type(type_text), Literal(of_catalog)) == Literal(value)


@pytest.mark.parametrize(
    "type_text", ["int32", "<blob@>", "json", "uuid", "enum('a')", "longblob", "datetime"]
)
def test_every_type_can_be_null(type_text):
    assert read_default(parse_type(type_text), "null") == Null()


def test_literals_of_different_types_differ():
    assert Literal(1) != Literal(True)
    assert Literal(1) != Literal(1.0)
    assert len({Literal(1), Literal(True), Literal(1.0), Literal("1")}) == 4
    assert Literal(1) != CurrentTimestamp()
