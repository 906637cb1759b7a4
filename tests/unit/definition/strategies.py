"""Specs of any shape that `checks.py` lets pass item by item; whole tables may still repeat names."""

import string
from decimal import Decimal

from hypothesis import strategies as st

from dj_schema.definition.defaults import fit_default
from dj_schema.definition.spec import (
    AttributeSpec,
    CurrentTimestamp,
    ForeignKeySpec,
    IndexSpec,
    Literal,
    Null,
    TableSpec,
)
from dj_schema.types import INTEGER_RANGES, CodecType, CoreType, NativeType

names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
one_line = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=30)
comments = one_line.map(lambda text: " ".join(text.split()).lstrip(": "))
tables = st.lists(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), min_size=1, max_size=3
).filter(lambda parts: "proj" not in parts)

types = st.one_of(
    st.sampled_from(
        [CoreType(n) for n in (*INTEGER_RANGES, "float32", "float64", "bool", "date", "datetime", "json")]
    ),
    st.sampled_from([CoreType("uuid"), CoreType("bytes"), CodecType("blob"), CodecType("object", "")]),
    st.sampled_from(
        [NativeType(n) for n in ("int unsigned", "double", "text", "longblob", "timestamp(6)", "time")]
    ),
    st.builds(lambda n: CoreType("varchar", (n,)), st.integers(1, 100)),
    st.builds(lambda n: CoreType("datetime", (n,)), st.integers(0, 6)),
    st.integers(1, 65).flatmap(
        lambda p: st.builds(lambda s: CoreType("decimal", (p, s)), st.integers(0, min(30, p)))
    ),
    st.lists(one_line, min_size=1, max_size=4, unique=True).map(
        lambda labels: CoreType("enum", tuple(labels))
    ),
)


def values(type_):
    """Values that fit the type; None where it takes none."""
    if isinstance(type_, CodecType) or type_.kind in ("bytes", "json", "uuid"):
        return None
    if isinstance(type_, CoreType) and type_.name == "enum":
        return st.sampled_from(type_.labels)
    if isinstance(type_, CoreType) and type_.name == "varchar":
        return one_line.map(lambda text: text[: type_.args[0]])
    if isinstance(type_, CoreType) and type_.name == "decimal":
        precision, scale = type_.args
        most = 10**precision - 1
        return st.integers(-most, most).map(lambda n: f"{Decimal(f'{n}e-{scale}'):f}")
    low, high = INTEGER_RANGES.get(getattr(type_, "name", ""), (0, 2**31))
    return {
        "int": st.integers(low, high),
        "float": st.floats(allow_nan=False, allow_infinity=False, width=32),
        "bool": st.booleans(),
        "string": one_line,
        "date": st.dates().map(str),
        "datetime": st.datetimes().map(lambda moment: str(moment.replace(microsecond=0))),
        "time": st.times().map(str),
    }[type_.kind]


@st.composite
def attributes(draw):
    type_ = draw(types)
    choices = [st.none(), st.just(Null())]
    if (fitting := values(type_)) is not None:
        choices.append(fitting.map(Literal))
    if not isinstance(type_, CodecType) and type_.kind in ("date", "datetime"):
        choices.append(st.just(CurrentTimestamp()))
    default = draw(st.one_of(choices))
    return AttributeSpec(
        draw(names), type_, None if default is None else fit_default(type_, default), draw(comments)
    )


foreign_keys = st.builds(
    ForeignKeySpec,
    tables.map(".".join),
    st.lists(st.tuples(names, names), max_size=3, unique_by=(lambda r: r[0], lambda r: r[1])).map(tuple),
    st.booleans(),
    st.booleans(),
    comments,
)
columns = st.one_of(
    names,
    names.map(lambda name: f"{name}.length:decimal(4, 1)"),
    st.sampled_from(["(YEAR(born))", "(a + (b * 2))", "(concat(a, ', )', b))"]),
)
indexes = st.builds(IndexSpec, st.lists(columns, min_size=1, max_size=3).map(tuple), st.booleans())
items = st.lists(st.one_of(attributes(), foreign_keys, indexes), max_size=5).map(tuple)
specs = st.builds(TableSpec, comments, items, items)
definition_like_text = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "->",
                "---",
                "___",
                "#",
                ":",
                "=",
                "(",
                ")",
                "[nullable]",
                ".proj(",
                "'",
                '"',
                "\\",
                "index(",
                "unique ",
            ]
        ),
        st.sampled_from(
            ["a", "b_1", "int32", "varchar(9)", "enum('x')", "<blob@s>", "null", "NOW()", "1e999", "\n"]
        ),
        st.text(string.printable, max_size=3),
    )
).map(" ".join)
