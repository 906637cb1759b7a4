"""Definitions that do not read: each names its line and what was expected there."""

import pytest

from dj_schema.definition.grammar import parse_definition
from dj_schema.errors import DataJointError, DefinitionError

MALFORMED = [
    # the separator
    ("a : int32\n---\nb : int32\n---\nc : int32", 4, "one line `---`"),
    ("a : int32\n--\nb : int32", 2, "`---` or `-> Table`"),
    ("a : int32\n__\nb : int32", 2, "`---` or `-> Table`"),
    ("a : int32\n--- b : int32", 2, "`---` or `-> Table`"),
    ("a : int32\n- > B", 2, "`---` or `-> Table`"),
    ("a : int32\n====", 2, "no colon"),
    # attributes
    ("a int32", 1, "no colon and no type"),
    ("a", 1, "no colon and no type"),
    ("...", 1, "no colon and no type"),
    ("a = 5", 1, "no colon and no type"),
    ("import os", 1, "no colon and no type"),
    ("\n\na : int32\nb :", 4, "the attribute 'b' has no type"),
    ("a : # later", 1, "the attribute 'a' has no type"),
    (": int32", 1, "'' cannot name an attribute"),
    ("A : int32", 1, "'A' cannot name an attribute"),
    ("myName : int32", 1, "a lowercase letter"),
    ("1st : int32", 1, "'1st' cannot name an attribute"),
    ("my-name : int32", 1, "'my-name' cannot name an attribute"),
    ("my name : int32", 1, "'my name' cannot name an attribute"),
    ("`a` : int32", 1, "'`a`' cannot name an attribute"),
    ("größe : int32", 1, "'größe' cannot name an attribute"),
    ("a, b : int32", 1, "'a, b' cannot name an attribute"),
    # defaults
    ("a = : int32", 1, "nothing after the `=`"),
    ("a : int32 =", 1, "nothing after the `=`"),
    ("a : int32 = # c", 1, "nothing after the `=`"),
    ("a = 1 : int32 = 2", 1, "two defaults"),
    ("a = 1 = 2 : int32", 1, "is no default"),
    ("a = open : varchar(9)", 1, "'open' is no default"),
    ("a = None : varchar(9)", 1, "'None' is no default"),
    ("a = 'x' 'y' : varchar(9)", 1, "is no default"),
    ("a = 12:30 : time", 1, "Unsupported attribute type"),
    ("a = 0x10 : int32", 1, "'0x10' is no default"),
    ("a = 1,5 : float64", 1, "'1,5' is no default"),
    ("a = NOW(9) : datetime(6)", 1, "'NOW(9)' is no default"),
    ("a = CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP : datetime", 1, "is no default"),
    ("a = 'x : varchar(9)", 1, "is never closed"),
    ('a = "x : varchar(9)  # a "comment', 1, "no colon and no type"),
    (r"a = 'C:\' : varchar(9)", 1, "is never closed"),
    ("a : int32\n---\nb = 300 : uint8", 3, "an integer from 0 to 255"),
    ("a : int32\n---\nb = 'toolong' : char(3)", 3, "at most 3 characters"),
    ("a : int32\n---\nb = '' : <blob>", 3, "default value for <blob> can only be NULL"),
    ("a : int32\n---\nb = '{}' : json", 3, "default value for json can only be NULL"),
    ("a : int32\n---\nb = 'z' : enum('x', 'y')", 3, "one of its labels"),
    ("a : int32\n---\nb = NOW : int32", 3, "on a datetime, timestamp or date"),
    # types
    ("a : integr", 1, "Unsupported attribute type 'integr'"),
    ("a : int32 b", 1, "Unsupported attribute type 'int32 b'"),
    ("a : int32 : int64", 1, "Unsupported attribute type"),
    ("a : varchar", 1, "varchar(n) with n from 1"),
    ("a : varchar(0)", 1, "varchar(n) with n from 1"),
    ("a : varchar(9", 1, "as many `)` as `(`"),
    ("a : varchar 9)", 1, "as many `)` as `(`"),
    ("a : decimal(2,3)", 1, "decimal(p,s)"),
    ("a : datetime(7)", 1, "n from 0 to 6"),
    ("a : int32 not null", 1, "the modifier 'not null'"),
    ("a : int32 primary key", 1, "the modifier 'primary key'"),
    ("a : varchar(9) character set utf8", 1, "the modifier 'character set'"),
    ("a : int32 comment 'x'", 1, "Unsupported attribute type"),
    ("a : enum(x, y)", 1, "quoted labels"),
    ("a : enum('x', 'y", 1, "is never closed"),
    ("a : enum('x' 'y')", 1, "quoted labels"),
    ("a : enum('x', 'x')", 1, "distinct labels"),
    ("a : <blob", 1, "<blob>"),
    ("a : blob@store", 1, "<blob@store>"),
    ("a : <blob@my store>", 1, "<name@store>"),
    ("a : object", 1, "<object@>"),
    # foreign keys
    ("->", 1, "the reference names no table"),
    ("-> # later", 1, "the reference names no table"),
    ("-> [nullable]", 1, "the reference names no table"),
    ("-> [nullable Session", 1, "the options stay open"),
    ("-> [nullable, nullable] Session", 1, "the option 'nullable' comes twice"),
    ("-> [optional] Session", 1, "there is no option 'optional'"),
    ("-> [nullable unique] Session", 1, "nullable, unique or both"),
    ("-> [nullable,] Session", 1, "there is no option ''"),
    ("-> Session, Trial", 1, "cannot name a table"),
    ("-> Session Trial", 1, "cannot name a table"),
    ("-> lab..Session", 1, "cannot name a table"),
    ("-> Session()", 1, "cannot name a table"),
    ("-> 'Session'", 1, "cannot name a table"),
    ("-> Session.proj", 1, "`-> Table.proj(new='old')`"),
    ("-> Session.proj(a='b'", 1, "`-> Table.proj(new='old')`"),
    ("-> Session.proj(a='b').proj(c='a')", 1, "`-> Table.proj(new='old')`"),
    ("-> Session.proj('a')", 1, "pairs new='old'"),
    ("-> Session.proj(a='b', a='c')", 1, "no name twice"),
    ("-> Session.proj(a='c', b='c')", 1, "no name twice"),
    ("-> Session.proj(A='c')", 1, "pairs new='old'"),
    ("-> Session.proj(a='b+1')", 1, "pairs new='old'"),
    ("-> Session.proj(a='b)", 1, "pairs new='old'"),
    # indexes
    ("a : int32\nindex", 2, "the index names no attributes"),
    ("a : int32\nunique index a", 2, "the index names no attributes"),
    ("a : int32\nindex()", 2, "a column of the index is missing"),
    ("a : int32\nindex(a,)", 2, "a column of the index is missing"),
    ("a : int32\nindex(a", 2, "stays open"),
    ("a : int32\nindex(a # )", 2, "stays open"),
    ("a : int32\nindex('a)", 2, "stays open"),
    ("a : int32\nindex(a) b", 2, "'b' follows the index"),
    ("a : int32\nindex(a))", 2, "')' follows the index"),
    ("a : int32\nindex(YEAR(a))", 2, "an SQL expression in brackets"),
    ("a : int32\nindex((a) + (b))", 2, "an SQL expression in brackets"),
    ("a : int32\nindex(a b)", 2, "'a b' is no column"),
    ("a : int32\nindex(())", 2, "'()' is no column"),
    ("a : int32\nindex(`a`)", 2, "'`a`' is no column"),
    ("a : int32\nindex by_a (a)", 2, "the index names no attributes"),
]


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
