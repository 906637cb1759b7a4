"""What is printed reads back, and no text breaks the reader."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dj_schema.definition.checks import check_spec
from dj_schema.definition.grammar import parse_definition
from dj_schema.definition.printer import print_definition
from dj_schema.definition.spec import TableSpec
from dj_schema.errors import DefinitionError
from tests.unit.definition.strategies import definition_like_text, specs


def outcome_of(function, argument):
    try:
        return function(argument), None
    except DefinitionError as fault:
        return None, fault


@settings(max_examples=300)
@given(specs)
def test_a_printed_spec_reads_back_as_the_same_spec(spec):
    assert parse_definition(print_definition(spec)) == spec


@given(specs)
def test_printing_is_canonical(spec):
    text = print_definition(spec)
    assert print_definition(parse_definition(text)) == text


@settings(max_examples=300)
@given(st.one_of(st.text(), definition_like_text))
@example("a = 1e999999999 : int32")
@example("a = 1e99999999999999999999 : decimal(3,1)")
@example("a = " + "9" * 6000 + " : int64")
@example("a = " + "9" * 6000 + " : float64")
@example("a : varchar(" + "9" * 6000 + ")")
@example("a = '" + "\\" * 3001 + " : varchar(9)")
@example("index(" + "(" * 3000)
@example("a : enum(" + "'" * 3001)
def test_any_text_is_a_spec_that_prints_back_or_a_definition_error(text):
    spec, fault = outcome_of(parse_definition, text)
    if spec is None:
        assert fault.line_number is not None
        assert fault.expected
        return
    assert isinstance(spec, TableSpec)
    assert parse_definition(print_definition(spec)) == spec
    _, fault = outcome_of(check_spec, spec)
    assert fault is None or fault.expected
