"""What is read from the bytes that arrived is what the driver reads, packet by packet."""

from __future__ import annotations

import pytest

from dj_schema.connection import Connection
from dj_schema.errors import DataJointError

VALUES = [
    "NULL", "0", "-5", "18446744073709551615", "1.5e300", "12345.678900", "TRUE", "''", "'a'",
    f"'{'x' * 250}'", f"'{'x' * 251}'", f"'{'é' * 2000}'", f"'{'x' * 70_000}'", r"'%s\\'",
    "DATE '2024-02-29'", "TIMESTAMP '2024-02-29 01:02:03'", "CAST('{\"a\": [1, null]}' AS JSON)",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_the_same_each_time(connection: Connection, value: str) -> None:
    """The first time the columns are not known; and a second statement finds nothing left of the first."""
    if "JSON" in value and connection.dialect.name != "mysql":
        value = value.replace("AS JSON", "AS CHAR(20)")
    text = f"SELECT {value} AS a, {value} AS b UNION ALL SELECT {value}, NULL"
    found = [connection.run(text) for _ in range(3)]
    assert found[0].rows == found[1].rows == found[2].rows
    assert [[type(v) for v in row] for row in found[0].rows] == [[type(v) for v in r] for r in found[2].rows]
    assert found[2].columns == ("a", "b")
    assert found[2].n_rows == 2
    assert connection.run("SELECT 7").rows == [(7,)]


def test_no_rows_and_errors_come_between(connection: Connection) -> None:
    for _ in range(3):
        none = connection.run("SELECT 1 AS a WHERE FALSE")
        assert (none.rows, none.n_rows, none.columns) == ([], 0, ("a",))
        with pytest.raises(DataJointError):
            connection.run("SELECT no_such_column")
        assert connection.run("SELECT 1 AS a").rows == [(1,)]


def test_a_transaction_is_seen_as_open_between_short_results(connection: Connection) -> None:
    for _ in range(3):
        with connection.transaction:
            assert connection.run("SELECT 1").rows == [(1,)]
            assert connection.session().in_transaction
        assert not connection.session().in_transaction
        assert connection.run("SELECT 1").rows == [(1,)]
