"""``jobs.verify = "lock"``: what a make fetches stays locked in share mode until its insert is committed.

They are fetched in a transaction of a session of its own, which stays open while the make computes, and in
which it inserts. So nothing is fetched twice: what was read cannot change, and whether a query gives more
rows than before is told by counting. Where a query cannot be locked as a whole (it groups, unites or nests),
or the session was lost, the inputs are fetched again and compared, as they are without locks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from dj_schema.dialects.base import Result, Row, Session
from dj_schema.errors import DataJointError
from dj_schema.transaction import saving_statements, transaction

if TYPE_CHECKING:
    from dj_schema.connection import Connection

_NOT_PLAIN = re.compile(
    r"\b(?:DISTINCT|UNION|GROUP\s+BY|HAVING|LEFT\s+JOIN|OVER|LIMIT|OFFSET|FETCH|EXCEPT|INTERSECT)\b"
    r"|\(\s*SELECT\b|\b(?!(?:IN|AND|OR|NOT|ON|CAST|coalesce|WHERE|AS|FROM|USING)\b)\w+\s*\(",
    re.I,
)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_ENDS_BY_ITSELF = re.compile(r";|--|#(?![>-])|/\*|\b(?:FOR|LOCK|INTO)\b", re.I)  # nothing may be added to it
_OF_TRANSACTIONS = ("SAVEPOINT", "RELEASE", "ROLLBACK TO")
_COUNT, _AS_SEEN = "SELECT count(*) FROM (", ") AS seen"


class InputLocks:
    """The share locks of one call of a make.

    Attributes
    ----------
    is_whole : bool
        All that was fetched is locked.
    """

    def __init__(self, connection: Connection) -> None:
        self._main = connection
        self._own = connection.clone()
        self._transaction: ExitStack | None = None
        self._seen: list[tuple[str, Sequence[Any] | None, int]] = []
        self.is_whole = True

    def fetch(self, fetch: Callable[[], Any], opened: Callable[[int], None]) -> Any:
        """Call what fetches, with its reads locked.

        Parameters
        ----------
        opened : callable
            Called with the session that will hold the locks, before it has any.
        """
        isolation = self._own.dialect.jobs.CLAIM_ISOLATION  # without locks on rows that are not there
        with ExitStack() as stack:
            stack.enter_context(transaction(self._own, guarded=True, isolation=isolation))
            opened(self._own.connection_id)
            self._transaction = stack.pop_all()
        with self._main.borrowing(self._own, self._locking), saving_statements(self._main, True):
            return fetch()

    def _locking(self, session: Session) -> Session:
        suffix = self._own.dialect.jobs.SHARE_LOCK

        def run(text: str, params: Sequence[Any] | None) -> Result:
            if text.startswith(_OF_TRANSACTIONS):
                return session.execute(text, params)
            if not _is_plain(text):
                self.is_whole = False
                return session.execute(text, params)
            result = session.execute(text + suffix, params)
            if len({name.lower() for name in result.columns}) < len(result.columns):
                self.is_whole = False  # no server but PostgreSQL counts the rows of such a query
            self._seen.append((text, params, len(result.rows)))
            return result

        def unlocked() -> None:
            self.is_whole = False

        return _LockingSession(session, run, unlocked)

    @contextmanager
    def insertion(self) -> Iterator[bool]:
        """The transaction in which the make inserts; commits at the end.

        Yields
        ------
        bool
            Whether all that was fetched is still as it was. Where not, nothing is known of it.
        """
        opened, self._transaction = self._transaction, None
        if opened is None or not self._is_held():
            self._own.close()
            with transaction(self._main, guarded=True):
                yield False
            return
        try:
            with opened, self._main.borrowing(self._own):
                yield self.is_whole and self._has_no_more_rows()
        finally:
            self._own.close()

    def _is_held(self) -> bool:
        try:
            self._own.run("SELECT 1", is_read=True)
        except DataJointError:
            return False
        return self._own.in_transaction

    def _has_no_more_rows(self) -> bool:
        return all(
            self._main.run("".join((_COUNT, text, _AS_SEEN)), params, is_read=True).rows[0][0] == n
            for text, params, n in self._seen
        )

    def close(self) -> None:
        """Let the locks go."""
        opened, self._transaction = self._transaction, None
        if opened is not None:
            self._own.close()
            self._own.leave_block()


def _is_plain(text: str) -> bool:
    """Whether a text is a query whose rows are those of tables, and that can be locked at its end."""
    is_select = text.lstrip().upper().startswith("SELECT")
    return is_select and not _NOT_PLAIN.search(text) and not _ENDS_BY_ITSELF.search(_QUOTED.sub("", text))


class _LockingSession:
    """A session whose plain reads lock what they return."""

    def __init__(
        self,
        session: Session,
        run: Callable[[str, Sequence[Any] | None], Result],
        unlocked: Callable[[], None],
    ) -> None:
        self._session = session
        self._run = run
        self._unlocked = unlocked
        self.id = session.id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @property
    def in_transaction(self) -> bool:
        return self._session.in_transaction

    def execute(self, text: str, params: Sequence[Any] | None) -> Result:
        return self._run(text, params)

    def fetch_arrow(self, text: str, params: Sequence[Any], in_transaction: bool) -> Any:
        return None  # so that `execute` is asked, which locks

    def stream(
        self, text: str, params: Sequence[Any], batch_rows: int, in_transaction: bool
    ) -> Iterator[list[Row]]:
        self._unlocked()
        return self._session.stream(text, params, batch_rows, in_transaction)
