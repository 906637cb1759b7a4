"""Types as values: what reads, what it means, and that it prints back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_schema.errors import DefinitionError
from dj_schema.types import (
    INTEGER_RANGES,
    CodecType,
    CoreType,
    NativeType,
    kind_of_native,
    parse_type,
    quote,
    unquote,
)


@pytest.mark.parametrize(
    ("text", "type_", "kind"),
    [
        *((name, CoreType(name), "int") for name in INTEGER_RANGES),
        ("float32", CoreType("float32"), "float"),
        ("Float64", CoreType("float64"), "float"),
        ("decimal( 7, 4 )", CoreType("decimal", (7, 4)), "decimal"),
        ("decimal(7)", CoreType("decimal", (7, 0)), "decimal"),
        ("bool", CoreType("bool"), "bool"),
        ("char", CoreType("char", (1,)), "string"),
        ("char(6)", CoreType("char", (6,)), "string"),
        ("varchar (40)", CoreType("varchar", (40,)), "string"),
        ("enum('a', \"b\")", CoreType("enum", ("a", "b")), "string"),
        ("date", CoreType("date"), "date"),
        ("datetime", CoreType("datetime"), "datetime"),
        ("datetime(3)", CoreType("datetime", (3,)), "datetime"),
        ("json", CoreType("json"), "json"),
        ("uuid", CoreType("uuid"), "uuid"),
        ("bytes", CoreType("bytes"), "bytes"),
        ("<blob>", CodecType("blob"), "bytes"),
        ("< blob @ >", CodecType("blob", ""), "bytes"),
        ("<object@raw-1.a>", CodecType("object", "raw-1.a"), "bytes"),
        ("INT  unsigned", NativeType("int unsigned"), "int"),
        ("int auto_increment", NativeType("int auto_increment"), "int"),
        ("year", NativeType("year"), "int"),
        ("tinyint(1)", NativeType("tinyint(1)"), "bool"),
        ("boolean", NativeType("boolean"), "bool"),
        ("double precision", NativeType("double precision"), "float"),
        ("numeric(9,2)", NativeType("numeric(9,2)"), "decimal"),
        ("longtext", NativeType("longtext"), "string"),
        ("timestamp(6)", NativeType("timestamp(6)"), "datetime"),
        ("time", NativeType("time"), "time"),
        ("jsonb", NativeType("jsonb"), "json"),
        ("longblob", NativeType("longblob"), "bytes"),
        ("binary(16)", NativeType("binary(16)"), "bytes"),
    ],
)
def test_a_type_is_read_and_printed_back(text, type_, kind):
    assert parse_type(text) == type_
    assert parse_type(str(type_)) == type_
    assert type_.kind == kind


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("in32", "int32 perhaps"),
        ("varchr(3)", "varchar perhaps"),
        ("type", "a core type such as"),
        ("", "Unsupported attribute type ''"),
        ("int32(4)", "int32 without arguments"),
        ("json()", "are not numbers"),
        ("varchar", "varchar(n) with n"),
        ("varchar(0)", "from 1 to 65535"),
        ("varchar(65536)", "from 1 to 65535"),
        ("varchar(12, 3)", "varchar(n)"),
        ("varchar(many)", "are not numbers"),
        ("varchar(" + "9" * 5000 + ")", "are not numbers"),
        ("decimal", "decimal(p,s)"),
        ("decimal(66,2)", "p up to 65"),
        ("decimal(4,5)", "s up to 30 and up to p"),
        ("datetime(7)", "n from 0 to 6"),
        ("enum", "quoted labels"),
        ("enum()", "quoted labels"),
        ("enum('a',)", "quoted labels"),
        ("enum('a' 'b')", "quoted labels"),
        ("enum(a, b)", "quoted labels"),
        ("enum('a', 'a')", "distinct labels"),
        ("int not null", "'not null' is not part of a type"),
        ("enum('a') default 'a'", "'default' is not part of a type"),
        ("attach", "<attach>"),
        ("blob@cold", "<blob@cold>"),
        ("filepath", "<filepath@>"),
        ("<blob", "<blob>"),
        ("<>", "<name@store>"),
        ("int; drop table x", "Unsupported attribute type"),
    ],
)
def test_what_is_no_type_says_what_would_be(text, fragment):
    with pytest.raises(DefinitionError) as caught:
        parse_type(text)
    assert fragment in str(caught.value)
    assert caught.value.expected


def test_a_word_of_sql_within_a_label_is_a_label():
    assert parse_type("enum('not null', 'check')").labels == ("not null", "check")


@pytest.mark.parametrize(
    ("bits", "signed", "unsigned"),
    [(8, (-128, 127), (0, 255)), (64, (-(2**63), 2**63 - 1), (0, 2**64 - 1))],
)
def test_integers_have_the_ranges_of_their_bits(bits, signed, unsigned):
    assert INTEGER_RANGES[f"int{bits}"] == signed
    assert INTEGER_RANGES[f"uint{bits}"] == unsigned


@pytest.mark.parametrize("text", ["serial", "BIGSERIAL", "int unsigned auto_increment"])
def test_types_that_count_are_known(text):
    assert NativeType(text).is_auto_increment


def test_a_type_that_does_not_count_is_known():
    assert not NativeType("bigint unsigned").is_auto_increment


def test_the_kind_of_a_foreign_type_is_unknown():
    assert kind_of_native("geometry") == "unknown"


def test_external_codecs_are_told_by_the_at_sign():
    assert parse_type("<blob@>").is_external
    assert not parse_type("<blob>").is_external


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'it''s'", "it's"),
        (r"'it\'s'", "it's"),
        ('"say ""hi"""', 'say "hi"'),
        (r"'C:\data\new'", r"C:\data\new"),
        (r"'a\\b'", r"a\b"),
        (r"'\d+'", r"\d+"),
        ("'\"\"'", '""'),
    ],
)
def test_strings_mean_what_they_look_like(written, meant):
    assert unquote(written) == meant


@given(st.text())
def test_quoted_text_reads_back(text):
    assert unquote(quote(text)) == text


@given(st.lists(st.text(), min_size=1, unique=True))
def test_enums_of_any_labels_print_back(labels):
    type_ = CoreType("enum", tuple(labels))
    assert parse_type(str(type_)) == type_


@given(st.text())
def test_any_text_is_a_type_or_a_definition_error(text):
    try:
        type_ = parse_type(text)
    except DefinitionError:
        return
    assert parse_type(str(type_)) == type_
