"""Notices, and their grouping: pure, the time is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dj_jobs.events import Event
from dj_jobs.job import error_message

ERROR = "error"
DRAINED = "drained"
STUCK = "stuck"
KINDS = (ERROR, DRAINED, STUCK)

_MOST_GROUPS = 10  # in one message
_MOST_KEYS = 3  # of a group
_LONGEST_LINE = 300


@dataclass(frozen=True)
class Notice:
    """What is told.

    Attributes
    ----------
    kind : str
        ``error``, ``drained`` or ``stuck``; the most urgent of what is put together.
    n : int
        How many things it tells of.
    """

    kind: str
    title: str
    text: str
    n: int = 1


@dataclass
class _Group:
    n: int
    message: str
    keys: list[Mapping[str, Any]] = field(default_factory=list)


class Digest:
    """Gathers what happens, and gives it out as one notice from time to time.

    Parameters
    ----------
    gather_s : float
        From the first thing to its notice, since a failure rarely comes alone.
    interval_s : float
        Between two notices, at least.
    """

    def __init__(self, gather_s: float, interval_s: float) -> None:
        self._gather_s = gather_s
        self._interval_s = interval_s
        self._failures: dict[tuple[str, str], _Group] = {}
        self._others: dict[tuple[str, str], Notice] = {}
        self._since: float | None = None
        self._last_sent: float | None = None

    def add_failure(self, event: Event, now: float) -> None:
        """Take in a failure that is final."""
        error = event.error
        message = error_message(error) if error is not None else "failed"
        group = self._failures.setdefault((event.table, message.partition(":")[0]), _Group(0, message))
        group.n += event.n
        if event.key is not None and len(group.keys) < _MOST_KEYS:
            group.keys.append(event.key)
        self._note(now)

    def add(self, notice: Notice, now: float) -> None:
        """Take in something else; of what is told twice, the last holds."""
        self._others[(notice.kind, notice.title)] = notice
        self._note(now)

    def _note(self, now: float) -> None:
        if self._since is None:
            self._since = now

    def due_at(self) -> float | None:
        """Return when the next notice is due; None where there is nothing to tell."""
        if self._since is None:
            return None
        earliest = self._since + self._gather_s
        return earliest if self._last_sent is None else max(earliest, self._last_sent + self._interval_s)

    def take(self, now: float) -> Notice | None:
        """Return all that was gathered as one notice, and begin anew."""
        if self._since is None:
            return None
        parts = [self._failures_as_notice()] if self._failures else []
        parts += self._others.values()
        self._failures, self._others = {}, {}
        self._since, self._last_sent = None, now
        parts.sort(key=lambda part: KINDS.index(part.kind))
        title = parts[0].title + (f" (and {len(parts) - 1} more)" if len(parts) > 1 else "")
        text = "\n\n".join(f"{part.title}\n{part.text}".rstrip() for part in parts)
        return Notice(parts[0].kind, title, text, sum(part.n for part in parts))

    def _failures_as_notice(self) -> Notice:
        n = sum(group.n for group in self._failures.values())
        tables = sorted({table for table, _ in self._failures})
        where = tables[0] if len(tables) == 1 else f"{len(tables)} tables"
        groups = sorted(self._failures.items(), key=lambda item: -item[1].n)
        lines = [_line(table, group) for (table, _), group in groups[:_MOST_GROUPS]]
        if len(groups) > _MOST_GROUPS:
            lines.append(f"and {len(groups) - _MOST_GROUPS} kinds of failure more; see dj-worker errors")
        return Notice(ERROR, f"{n} {'job' if n == 1 else 'jobs'} of {where} failed", "\n".join(lines), n)


def _line(table: str, group: _Group) -> str:
    keys = "; ".join(" ".join(f"{k}={v}" for k, v in key.items()) for key in group.keys)
    more = f" and {group.n - len(group.keys)} more" if group.n > len(group.keys) else ""
    message = " ".join(group.message.split())
    short = message if len(message) <= _LONGEST_LINE else message[:_LONGEST_LINE] + "..."
    return f"{table}, {group.n} x {short} [{keys}{more}]"
