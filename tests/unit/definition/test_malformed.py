"""Definitions that do not read: each names its line and what was expected there."""

import pytest

from dj_schema.definition.grammar import parse_definition
from dj_schema.errors import DataJointError, DefinitionError
from tests.support.malformed import MALFORMED


@pytest.mark.parametrize(("text", "line_number", "fragment"), MALFORMED)
def test_a_malformed_definition_names_the_line_and_what_was_expected(text, line_number, fragment):
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text)
    fault = caught.value
    assert fragment in str(fault)
    assert fault.line_number == line_number
    assert fault.line == text.split("\n")[line_number - 1]
    assert fault.expected
    assert f"line {line_number}: " in str(fault)
    assert str(fault).count("Expected") == 1


def test_definition_errors_are_errors_of_ours():
    assert issubclass(DefinitionError, DataJointError)
