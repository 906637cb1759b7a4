"""What each form of line means."""

from textwrap import indent

import pytest

from dj_schema.definition.grammar import parse_definition
from dj_schema.definition.spec import (
    AttributeSpec,
    CurrentTimestamp,
    ForeignKeySpec,
    IndexSpec,
    Literal,
    Null,
    TableSpec,
)
from dj_schema.types import CodecType, CoreType, NativeType

INT = CoreType("int32")


def only(line):
    """The one item of a definition of one line."""
    spec = parse_definition(line)
    assert spec.comment == ""
    assert spec.secondary == ()
    (item,) = spec.primary
    return item


def test_a_whole_definition():
    spec = parse_definition(
        """
        # Recordings of one day
        -> Animal
        recording : uint16        # counts from 1

        # what was recorded
        ---
        started = CURRENT_TIMESTAMP : datetime(3)
        -> [nullable] lab.Rig.proj(main_rig='rig')   # where
        trace : <blob@raw>
        index(started)
        """
    )
    assert spec == TableSpec(
        "Recordings of one day",
        (
            ForeignKeySpec("Animal"),
            AttributeSpec("recording", CoreType("uint16"), comment="counts from 1"),
        ),
        (
            AttributeSpec("started", CoreType("datetime", (3,)), CurrentTimestamp()),
            ForeignKeySpec("lab.Rig", (("main_rig", "rig"),), is_nullable=True, comment="where"),
            AttributeSpec("trace", CodecType("blob", "raw")),
            IndexSpec(("started",)),
        ),
    )
    assert [item.line_number for item in spec.primary + spec.secondary] == [3, 4, 8, 9, 10, 11]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_indentation_and_line_breaks_do_not_matter(line_break):
    plain = "# c\na : int32\n---\nb : int32"
    expected = parse_definition(plain)
    assert parse_definition(indent(plain, "\t  ").replace("\n", line_break) + line_break) == expected


@pytest.mark.parametrize("separator", ["---", "-----", "___", "________", "--- # details", "---# details"])
def test_separators(separator):
    spec = parse_definition(f"a : int32\n{separator}\nb : int32")
    assert spec == TableSpec("", (AttributeSpec("a", INT),), (AttributeSpec("b", INT),))


def test_a_definition_without_a_separator_is_all_key():
    assert parse_definition("a : int32\nb : int32").secondary == ()


def test_a_singleton_has_nothing_above_the_separator():
    assert parse_definition("---\nb : int32") == TableSpec("", (), (AttributeSpec("b", INT),))


@pytest.mark.parametrize("text", ["", "\n \n", "---", "\n# only a comment"])
def test_a_definition_of_nothing_reads_as_one(text):
    spec = parse_definition(text)
    assert spec.primary + spec.secondary == ()


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("# about\na : int32", "about"),
        ("\n\n  #about  \na : int32", "about"),
        ("   # beside the quotes\n a : int32", "beside the quotes"),
        ("#\na : int32", ""),
        ("# 'quoted' # twice\na : int32", "'quoted' # twice"),
        ("a : int32\n# not first", ""),
        ("# first\n# second\na : int32", "first"),
    ],
)
def test_the_comment_of_the_table_is_the_first_line(text, comment):
    assert parse_definition(text) == TableSpec(comment, (AttributeSpec("a", INT),))


@pytest.mark.parametrize(
    "line",
    [
        "count = 5 : int32 # c",
        "count : int32 = 5 # c",
        "count=5:int32#c",
        "count:int32=5#c",
        "count  =  '5'  :  int32  #  c  ",
        "count = +5.0 : int32 # c",
    ],
)
def test_the_default_stands_in_either_place(line):
    assert only(line) == AttributeSpec("count", INT, Literal(5), "c")


@pytest.mark.parametrize("word", ["null", "NULL", "Null"])
def test_null_makes_an_attribute_nullable(word):
    for line in (f"x = {word} : float64", f"x : float64 = {word}"):
        assert only(line).is_nullable
        assert only(line).default == Null()


def test_a_quoted_null_is_a_string():
    assert only("x = 'null' : varchar(4)").default == Literal("null")


@pytest.mark.parametrize(
    "word",
    [
        "NOW",
        "now",
        "NOW()",
        "CURRENT_TIMESTAMP",
        "current_timestamp",
        "CURRENT_TIMESTAMP()",
        "CURRENT_TIMESTAMP(3)",
    ],
)
@pytest.mark.parametrize("type_", ["datetime", "datetime(6)", "timestamp", "date"])
def test_words_for_the_time_of_the_insert(word, type_):
    assert only(f"made = {word} : {type_}").default == CurrentTimestamp()
    assert only(f"made : {type_} = {word}").default == CurrentTimestamp()


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("a : int32 # it's", AttributeSpec("a", INT, comment="it's")),
        ('a : int32 # say "x', AttributeSpec("a", INT, comment='say "x')),
        ("a : int32 # b # c", AttributeSpec("a", INT, comment="b # c")),
        ("a : int32 # = 5 : x", AttributeSpec("a", INT, comment="= 5 : x")),
        ("a : int32 #", AttributeSpec("a", INT)),
        ("a = '#x' : varchar(4) # y", AttributeSpec("a", CoreType("varchar", (4,)), Literal("#x"), "y")),
        ("a = ':=' : varchar(4)", AttributeSpec("a", CoreType("varchar", (4,)), Literal(":="))),
        ("a : varchar(4) = ' ( '", AttributeSpec("a", CoreType("varchar", (4,)), Literal(" ( "))),
        ('a = "it\'s" : varchar(4)', AttributeSpec("a", CoreType("varchar", (4,)), Literal("it's"))),
        ("a = 'it''s' : varchar(4)", AttributeSpec("a", CoreType("varchar", (4,)), Literal("it's"))),
        ("a = '' : varchar(4)", AttributeSpec("a", CoreType("varchar", (4,)), Literal(""))),
        (
            "a = '#' : enum('#', 'b:c', \"d=')\") # x",
            AttributeSpec("a", CoreType("enum", ("#", "b:c", "d=')")), Literal("#"), "x"),
        ),
        (
            "a : int unsigned auto_increment # id",
            AttributeSpec("a", NativeType("int unsigned auto_increment"), None, "id"),
        ),
        ("index : int32", AttributeSpec("index", INT)),
        ("unique = 1 : bool", AttributeSpec("unique", CoreType("bool"), Literal(True))),
        ("select : int32", AttributeSpec("select", INT)),
        ("_hidden : int32", AttributeSpec("_hidden", INT)),
        ("___x : int32", AttributeSpec("___x", INT)),
    ],
)
def test_attributes(line, item):
    assert only(line) == item


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("-> Session", ForeignKeySpec("Session")),
        ("->Session", ForeignKeySpec("Session")),
        ("-> master", ForeignKeySpec("master")),
        ("-> lab.Session.Trial", ForeignKeySpec("lab.Session.Trial")),
        ("-> Session # which 'one' # it is", ForeignKeySpec("Session", comment="which 'one' # it is")),
        ("-> [nullable] Session", ForeignKeySpec("Session", is_nullable=True)),
        ("-> [ Unique ] Session", ForeignKeySpec("Session", is_unique=True)),
        ("->[unique,nullable]Session", ForeignKeySpec("Session", is_nullable=True, is_unique=True)),
        ("-> [] Session", ForeignKeySpec("Session")),
        ("-> Session.proj()", ForeignKeySpec("Session")),
        ("-> Session.proj(a='b')", ForeignKeySpec("Session", (("a", "b"),))),
        ("-> x.Session.proj( a = \"b\" , c='d', )", ForeignKeySpec("x.Session", (("a", "b"), ("c", "d")))),
        ("-> Session.proj(a=b)", ForeignKeySpec("Session", (("a", "b"),))),
        ("-> Session.projected", ForeignKeySpec("Session.projected")),
    ],
)
def test_foreign_keys(line, item):
    assert only(line) == item


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("index(a)", IndexSpec(("a",))),
        ("INDEX (a, b) # both", IndexSpec(("a", "b"))),
        ("Unique  Index( a )", IndexSpec(("a",), is_unique=True)),
        ("index(a)# a ( open", IndexSpec(("a",))),
        ("index(a, (YEAR(born)))", IndexSpec(("a", "(YEAR(born))"))),
        ("index((concat(a, ', )', b)))", IndexSpec(("(concat(a, ', )', b))",))),
        ("unique index(car.length:decimal(4, 1))", IndexSpec(("car.length:decimal(4, 1)",), is_unique=True)),
        ("index(car.wheels[0].size, a)", IndexSpec(("car.wheels[0].size", "a"))),
    ],
)
def test_indexes(line, item):
    assert only(line) == item


def test_an_index_may_stand_above_the_separator():
    spec = parse_definition("a : int32\nindex(a)\n---\nb : int32")
    assert spec.primary[1] == IndexSpec(("a",))
