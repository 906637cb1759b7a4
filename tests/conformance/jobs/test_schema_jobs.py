"""`schema.jobs` and `dj.jobs`: the jobs of whole schemas."""

from __future__ import annotations

from typing import Any

EMPTY = {"pending": 0, "reserved": 0, "success": 0, "error": 0, "ignore": 0, "total": 0}


def test_a_schema_gives_its_job_tables_and_their_progress(
    result: Any, declare: Any, source: Any, dj: Any
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 2:
            raise ValueError("no")
        self.insert1(key)

    other = declare("Other", make=make)
    never = declare("Never", make=make)
    schema = dj.Schema(source.database, connection=source.connection)
    assert len(schema.jobs) == 0
    result.jobs.refresh()
    other.populate(reserve_jobs=True, suppress_errors=True)
    assert [jobs.table_name for jobs in schema.jobs] == ["~~other", "~~result"]
    assert schema.jobs[1].pending.progress()["pending"] == 6
    assert len(schema.jobs[1:]) == 1
    expected = {
        result.table_name: {**EMPTY, "pending": 6, "total": 6},
        other.table_name: {**EMPTY, "error": 1, "total": 1},
        never.table_name: EMPTY,
    }
    assert schema.jobs.progress() == expected
    assert "__result: 6 pending" in repr(schema.jobs)
    whole = {f"{schema.database}.{name}": counts for name, counts in expected.items()}
    assert dj.jobs.progress(schema) == dj.jobs.progress(schema.database) == whole


def test_the_progress_of_a_schema_is_one_statement(result: Any, declare: Any, source: Any, dj: Any) -> None:
    for name in ("A", "B", "C"):
        declare(name, make=lambda self, key: self.insert1(key)).jobs.refresh()
    connection = source.connection
    dj.jobs.progress(source.database)
    before = connection.n_statements
    assert dj.jobs.progress(source.database)[f"{source.database}.__b"]["pending"] == 6
    assert connection.n_statements - before == 1
