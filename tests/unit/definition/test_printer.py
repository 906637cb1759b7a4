"""The canonical text of a definition."""

from dj_schema.definition.grammar import parse_definition
from dj_schema.definition.printer import print_definition
from dj_schema.definition.spec import AttributeSpec, Null, TableSpec
from dj_schema.types import CoreType


def test_the_canonical_form():
    text = """
      #Recordings
      ->Animal
      ->[unique,nullable]lab.Rig.proj(main_rig="rig",)
      nr:uint16#counts from 1
      ______
      grade:decimal(3,2)=4
      note = "it's" : VARCHAR( 20 )
      on : bool = 1
      at = now() : datetime(3)
      # not kept
      trace: <blob@ raw> = NULL
      kind = "b" : enum("a", "b")
      UNIQUE INDEX ( nr,  (YEAR(at)) ) # nor this
    """
    assert print_definition(parse_definition(text)).split("\n") == [
        "# Recordings",
        "-> Animal",
        "-> [nullable, unique] lab.Rig.proj(main_rig='rig')",
        "nr : uint16  # counts from 1",
        "---",
        "grade = 4.00 : decimal(3,2)",
        "note = 'it''s' : varchar(20)",
        "on = true : bool",
        "at = CURRENT_TIMESTAMP : datetime(3)",
        "trace = null : <blob@raw>",
        "kind = 'b' : enum('a','b')",
        "unique index(nr, (YEAR(at)))",
    ]


def test_a_singleton_prints_its_separator():
    spec = parse_definition("---\na : int32")
    assert print_definition(spec) == "---\na : int32"


def test_nothing_below_prints_no_separator():
    assert print_definition(parse_definition("a : int32\n---")) == "a : int32"


def test_a_comment_of_many_lines_from_a_database_still_prints_as_one():
    attribute = AttributeSpec("a", CoreType("int32"), Null(), "one\ntwo")
    text = print_definition(TableSpec("x\r\ny", (), (attribute,)))
    assert text == "# x y\n---\na = null : int32  # one two"
