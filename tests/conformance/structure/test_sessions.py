"""What tests read of sessions can be read whatever the sessions of other tests do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dj_schema import errors
from dj_schema.connection import Connection
from tests.support.sessions import (
    end,
    is_running,
    is_waiting_for_name,
    is_waiting_for_row,
    is_waiting_for_table,
    live_sessions,
)


def test_they_are_read_while_one_waits_with_a_text_beyond_the_basic_plane(
    new_schema: Any, dj: Any, connection: Connection
) -> None:
    class Item(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "k : int32\n---\ns : varchar(10)"

    item = new_schema()(Item)
    item.insert1([1, "a"])
    update = f"UPDATE {item.full_table_name} SET s"
    with connection.clone() as other, connection.clone() as waiter, ThreadPoolExecutor(1) as pool:
        session = waiter.connection_id
        with other.transaction:
            other.query(f"{update} = 'b'")
            written = pool.submit(waiter.query, f"{update} = %s", ["\N{BRAIN}"])
            while not is_waiting_for_row(connection, session):
                assert not written.done(), written.result()
            assert is_running(connection, session, "UPDATE")
            assert not is_running(connection, session, "DELETE")
            assert not is_waiting_for_table(connection, session)
            assert not is_waiting_for_name(connection, session)
            assert session in live_sessions(connection)
            end(connection, session)
            assert session not in live_sessions(connection)
            assert not is_running(connection, session)
        with pytest.raises(errors.LostConnectionError):
            written.result()
