"""A schema that one implementation declared and filled is used by the other, on PostgreSQL and MySQL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.catalog_text import catalog_of

BY = ("ours", "peer")

# After both have computed, and after deletes, in the tables where something is deleted on each server.
COUNTED = {
    "Integer": 2, "Child": 1, "Diamond": 1, "Session": 3, "Session.Trial": 3, "Session.Note": 1,
    "TrialPair": 1, "Loaded": 3, "Summary": 6, "Summary.Item": 12,
}  # fmt: skip
LEFT = {
    "Integer": 1, "Child": 0, "Diamond": 0, "Session": 2, "Session.Trial": 1, "Session.Note": 0,
    "TrialPair": 0, "Loaded": 2, "Summary": 4, "Summary.Item": 8,
}  # fmt: skip


def _without_name(seen: Any, schema: str) -> Any:
    return json.loads(json.dumps(seen).replace(schema, "SCHEMA"))


def _only_in(these: list[Any], those: list[Any]) -> list[Any]:
    return [row for row in these if row not in those]


@pytest.mark.parametrize("server", ["postgresql", "mysql"], indirect=True)  # the peer knows no MariaDB
def test_each_uses_what_the_other_declared_and_filled_as_its_own(
    run: Callable[..., Any], new_schema_name: Callable[[], str], server: Any, connection: Any
) -> None:
    names = {by: new_schema_name() for by in BY}
    for by, name in names.items():
        run(by, "declare", name)
    _compare_catalogs(names, connection)
    for reader in BY:
        _compare_looks(reader, {by: run(reader, "look", name) for by, name in names.items()}, names)
    for by, other in (BY, reversed(BY)):
        before = catalog_of(connection, names[other])
        used = run(by, "bind", names[other])
        assert catalog_of(connection, names[other]) == before  # nothing was declared again, or changed
        _check_use(used, has_uuids=server.name != "postgresql")


def _compare_catalogs(names: dict[str, str], connection: Any) -> None:
    catalogs = {by: _without_name(catalog_of(connection, name), name) for by, name in names.items()}
    for what in catalogs["ours"]:
        assert _only_in(catalogs["ours"][what], catalogs["peer"][what]) == []
        assert _only_in(catalogs["peer"][what], catalogs["ours"][what]) == []


def _compare_looks(reader: str, seen: dict[str, Any], names: dict[str, str]) -> None:
    seen = {by: _without_name(look, names[by]) for by, look in seen.items()}
    for look in seen.values():
        look["tables"].sort()
        look["lineage"] = {k: v for k, v in look["lineage"].items() if ".~" not in k}
        for table in look.values():
            if "definition" in table:
                table["definition"] = re.sub(r"\s+", "", table["definition"])  # which nobody reads
                # our default of a moment is cut to its column's digits; the peer shows it as it is
                table["definition"] = re.sub(
                    r"\"?date_trunc\('second'::text,CURRENT_TIMESTAMP\)\"?",
                    "CURRENT_TIMESTAMP",
                    table["definition"],
                )
    for part in seen["ours"]:
        assert seen["ours"][part] == seen["peer"][part], f"{part} as {reader} reads it"


def _check_use(used: dict[str, Any], has_uuids: bool) -> None:
    assert used["joined"] == 2
    assert {table: n for table, n in used["counted"].items() if table in LEFT} == COUNTED
    of_uuids = {"Ident": 1, "Renamed": 1} if has_uuids else {}
    assert {t: n for t, n in used["left"].items() if n != used["counted"][t]} == {**LEFT, **of_uuids}
    assert used["jobs"] == []
