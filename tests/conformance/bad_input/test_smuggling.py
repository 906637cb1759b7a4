"""SQL where a value, a name, a path, a comment or a default is expected: it is refused, or only a text."""

from __future__ import annotations

from typing import Any

import pytest

from dj_schema.errors import DataJointError
from tests.conformance.structure.tables import seen_by_another, table_class

# Each ends a quote, a statement or a placeholder on some server, were it not bound or quoted.
PAYLOADS = [
    "'; DROP TABLE person; --",
    '"; DROP TABLE person; --',
    "`; DROP TABLE person; --",
    "') OR 1=1 --",
    "\\'; DROP TABLE person; #",
    '\\"; DROP TABLE person; #',
    "\\",
    "'",
    '"',
    "''",
    "`",
    "%s",
    "%(a)s",
    "%",
    "{0}",
    "{}",
    "$1",
    ":a",
    "?",
    "/* x */ OR 1=1",
    "x' UNION SELECT 1,2 --",
    "$$; DROP TABLE person; $$",
    "E'\\x27 OR 1=1'",
    "\u02bc OR 1=1",
    "\uff07 OR 1=1",
    "\u00bf\u0027",
    "1; SELECT pg_sleep(9)",
    "person OR 1=1",
]


def test_values_are_only_values(new_schema: Any, dj: Any, lab: Any, unchanged: Any) -> None:
    schema = new_schema()
    text = schema(
        table_class(dj, "Text", "text : varchar(60)\n---\nother : varchar(60)\nfacts : json\ndata : <blob>")
    )
    child = schema(table_class(dj, "Child", "-> Text"), context={"Text": text})
    with unchanged():
        rows = [{"text": p, "other": p, "facts": {"a": p, p: 1}, "data": {p: p}} for p in PAYLOADS]
        text.insert(rows)
        text.insert(rows * 3, skip_duplicates=True)
        text.insert(rows, replace=True)
        for row in rows:
            payload = row["text"]
            child.insert1({"text": payload})
            assert (text & {"text": payload}).to_dicts() == [row]
            assert (text & [{"text": payload}, {"other": payload}]).fetch1() == row
            assert (text & {"facts.a": payload}).fetch1("text") == payload
            assert (text & dj.Not({"other": payload})).proj().to_dicts() != []
            text.update1({"text": payload, "other": payload[::-1]})
            assert (text & {"other": payload[::-1]} & {"text": payload}).fetch1("data") == {payload: payload}
            assert len(child & (text & {"text": payload})) == 1
        assert len(text()) == len(PAYLOADS)
        for payload in PAYLOADS[::2]:
            assert (text & {"text": payload}).delete() == 1
        assert (len(text()), len(child())) == (len(PAYLOADS) // 2,) * 2


def test_strings_in_conditions_are_only_strings(lab: Any, unchanged: Any) -> None:
    with unchanged():
        for payload in PAYLOADS:
            quoted = payload.replace("\\", "\\\\").replace("'", "''")
            assert (lab.Person & f"name = '{quoted}'").to_dicts() == []
            assert (lab.Person.proj(x=f"'{quoted}'") & "person = 1").fetch1("x") == payload


def test_names_are_only_names(lab: Any, dj: Any, unchanged: Any) -> None:
    """An attribute that is not there is unknown, whatever stands in its name; none gets into a statement."""
    with unchanged():
        everything = lab.Person.to_dicts()
        for payload in PAYLOADS:
            assert (lab.Person & {payload: 1}).to_dicts() == everything  # no attribute of the table
            for ask in (
                lambda p: lab.Person.proj(p),
                lambda p: lab.Person.proj(**{p: "name"}),
                lambda p: lab.Person.to_arrays(p),
                lambda p: lab.Person.to_dicts(order_by=p),
                lambda p: (lab.Person & dj.Top(1, p)).to_dicts(),
                lambda p: (dj.U(p) & lab.Person).to_dicts(),
                lambda p: lab.Person.aggr(lab.Pet, **{p: "count(*)"}).to_dicts(),
                lambda p: lab.Person.insert1({"person": 7, "name": "x", p: 1}),
                lambda p: lab.Person.update1({"person": 1, p: 1}),
                lambda p: lab.schema[p],
                lambda p: dj.FreeTable(lab.connection, f"{lab.schema.database}.{p}"),
                lambda p: dj.FreeTable(lab.connection, f"{p}.person"),
                lambda p: dj.virtual_schema(f"djt_no{p}", connection=lab.connection),
                lambda p: dj.Schema(f"djt_no{p}", connection=lab.connection),
            ):
                with pytest.raises(DataJointError):
                    pytest.fail(f"{payload!r} gave {ask(payload)!r:.200}")


def test_paths_into_json_are_only_paths(lab: Any, unchanged: Any) -> None:
    with unchanged():
        for payload in PAYLOADS:
            for path in (f"facts.{payload}", f"facts.a{payload}", f"facts.a[{payload}]"):
                _harmless(lambda path: (lab.Person & {path: "no such value"}).to_dicts(), path)
                _harmless(lambda path: lab.Person.proj(x=path).to_dicts(), path)


def _harmless(ask: Any, path: str) -> None:
    """Refused, or without any row that was not asked for."""
    try:
        rows = ask(path)
    except DataJointError:
        return
    assert all(row.get("x") in (None, 0, 1, 2, "0", "1", "2") for row in rows)


def test_comments_defaults_and_labels_are_only_texts(
    new_schema: Any, dj: Any, connection: Any, lab: Any, unchanged: Any
) -> None:
    schema = new_schema()
    with unchanged():
        for i, payload in enumerate(PAYLOADS):
            quoted = payload.replace("\\", "\\\\").replace("'", "''")
            definition = (
                f"# c {payload}\n"
                f"k : int32   # c {payload}\n"
                "---\n"
                f"text = '{quoted}' : varchar(60)   # c {payload}\n"
                f"label : enum('{quoted}', 'other')   # c {payload}"
            )
            table = schema(table_class(dj, f"T{i}", definition))
            info = seen_by_another(connection, schema.database, f"t{i}")
            comment = f"c {payload}".strip()
            assert info.heading.comment == comment
            assert {a.comment for a in info.heading.attributes.values()} == {comment}
            table.insert1({"k": 1, "label": payload})
            assert table.fetch1() == {"k": 1, "text": payload, "label": payload}
            assert (table & {"label": payload} & {"text": payload}).to_dicts() != []
    assert len(schema.list_tables()) == len(PAYLOADS)
