"""`dj-worker dispatch` on each server."""

from __future__ import annotations

import signal

import pytest

from dj_workers.cli.exit_codes import ExitCode
from tests.workers.celery_lab import CeleryLab, until

BLOCKS = {
    "postgresql": ["BEGIN", "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE"],
    "mysql": ["LOCK TABLES {} WRITE"],
}
BLOCKED = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, %s) > 0",
    "mysql": "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table%%' "
    "AND locate(%s, info) > 0",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_in_the_middle_of_a_refresh(
    celery: CeleryLab, number: signal.Signals
) -> None:
    lab = celery.lab
    lab.Square.jobs.refresh()
    dispatcher = celery.start("dispatch", lab.name, "--tables", "Square", "--interval", "0.1")
    dispatcher.wait_for("keeping 1 queues filled")
    here = lab.schema.connection
    backend = here.settings.backend
    with here.clone() as other:
        for statement in BLOCKS[backend]:
            other.query(statement.format(lab.Number.full_table_name))
        schema = (str(lab.schema.database),)
        until(lambda: here.query(BLOCKED[backend], schema).fetchall() != [], "refresh that waits")
        dispatcher.popen.send_signal(signal.SIGTERM)
        dispatcher.wait_for("stopping")
        dispatcher.popen.send_signal(number)
        assert dispatcher.popen.wait(60) == ExitCode.AT_ONCE
    assert "Traceback" not in dispatcher.log
