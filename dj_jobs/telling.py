"""Telling what happens to the jobs of one table: outcomes as events, for whoever listens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Claim, Outcome, Result

if TYPE_CHECKING:
    from uuid import UUID

    from dj_schema.table_info import TableName

_KINDS = {
    Result.SUCCESS: Kind.SUCCEEDED,
    Result.EMPTY: Kind.EMPTY,
    Result.ERROR: Kind.FAILED,
    Result.RETRY: Kind.RETRIED,
    Result.SKIP: Kind.SKIPPED,
    Result.LOST: Kind.FENCED,
    Result.CANCELLED: Kind.CANCELLED,
    Result.RELEASED: Kind.RELEASED,
}


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells of the jobs of a table that one worker computes."""

    table: TableName
    worker: str
    events: Events

    @property
    def _name(self) -> str:
        return ".".join(self.table)

    def claimed(self, claims: Sequence[Claim]) -> None:
        """Tell that keys became ours."""
        if self.events and claims:
            token = claims[0].token
            self.events.emit(Event(Kind.CLAIMED, self._name, n=len(claims), worker=self.worker, token=token))

    def rescued(self, n: int) -> None:
        """Tell that keys of dead workers are pending again."""
        if self.events:
            self.events.emit(Event(Kind.RESCUED, self._name, n=n, worker=self.worker))

    def released(self, n: int, token: UUID | None = None) -> None:
        """Tell that keys went back which we had claimed, and not begun."""
        if self.events and n:
            self.events.emit(Event(Kind.RELEASED, self._name, n=n, worker=self.worker, token=token))

    def started(
        self, key: Mapping[str, Any], attempt: int, token: UUID | None, timeout_s: float | None
    ) -> None:
        """Tell that a make is about to be called."""
        if self.events:
            name, worker = self._name, self.worker
            self.events.emit(
                Event(Kind.STARTED, name, dict(key), 1, attempt, worker, token=token, timeout_s=timeout_s)
            )

    def ended(self, outcome: Outcome, attempt: int, token: UUID | None = None) -> None:
        """Tell what became of a key, once that is committed."""
        if not self.events:
            return
        phases = outcome.phases
        self.events.emit(
            Event(
                _KINDS[outcome.result],
                self._name,
                outcome.key,
                attempt=attempt,
                worker=self.worker,
                duration_s=outcome.duration_s,
                error=outcome.error,
                fetch_s=phases.fetch_s,
                compute_s=phases.compute_s,
                insert_s=phases.insert_s,
                token=token,
            )
        )
