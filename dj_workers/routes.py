"""Which queue a table's work goes through, and how urgent a message is; for senders and takers alike."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from dj_schema.errors import ConfigError
from dj_schema.settings import Config
from dj_workers.plan import TableClass, name_of

LEAST_URGENT = 9  # of a message; jobs know more degrees


def queue_of(table: Any, config: Config) -> str:
    """Return the queue of a table.

    The first of these that says one: the setting `celery.queues`, for the table's name and then for the
    first pattern that fits; the attribute `queue` of the class; a queue of the table's own.

    Parameters
    ----------
    table : table or class of one

    Raises
    ------
    ConfigError
        Where it is no name of a queue.
    """
    cls: Any = table if isinstance(table, type) else type(table)
    name = name_of(cls)
    settings = config.celery
    by_pattern = next((q for pattern, q in settings.queues.items() if fnmatchcase(name, pattern)), None)
    own = _own_queue(cls)
    queue = settings.queues.get(name) or by_pattern or own or settings.queue_prefix + name
    if not isinstance(queue, str) or "," in queue:
        raise ConfigError(f"the queue of {name} is to be a name without a comma, not {queue!r}.")
    return queue


def _own_queue(cls: type) -> Any:
    """What the class says; an attribute of the table that is called so is no name of a queue."""
    return next((base.__dict__["queue"] for base in cls.__mro__ if "queue" in base.__dict__), None)


def queues_of(tables: Iterable[TableClass], config: Config) -> list[str]:
    """Return the queues of tables, each once, in order."""
    return list(dict.fromkeys(queue_of(table, config) for table in tables))


def message_priority(job_priority: int) -> int:
    """Return the priority of the message for a job: 0 is the most urgent, as with jobs."""
    return min(job_priority, LEAST_URGENT)
