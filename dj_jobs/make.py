"""The make protocol: in one part, in three, or as a generator; inputs are verified before it inserts."""

from __future__ import annotations

import inspect
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from dj_jobs.fingerprint import fingerprint
from dj_jobs.input_locks import InputLocks
from dj_jobs.job import Phases
from dj_jobs.keys import is_there
from dj_jobs.make_form import Form, as_tuple, form_of, last_names, named, results_for
from dj_jobs.retry import INFRASTRUCTURE, causes, comes_of_fault
from dj_jobs.watch import InterruptedMakeError
from dj_query.make_scope import MakeScope, current_scope
from dj_schema.errors import (
    DataJointError,
    InputChangedError,
    LostConnectionError,
    MakeError,
    PassedOverDeadlockError,
)
from dj_schema.live_session import DOOMED
from dj_schema.transaction import LOST, saving_statements, transaction

if TYPE_CHECKING:
    from dj_query.table import Table

Finish = Callable[[bool], None]
_NOTHING = object()
_passing_over: WeakSet[type] = WeakSet()  # classes whose make has passed over an error of the database


class _PassedOverError(Exception):
    """Has a plain make run again whose transaction PostgreSQL undid for an error that it passed over."""


class Making:
    """One call of the make of a table for one key.

    `prepare` fetches and computes with no transaction open, and does nothing for a plain make;
    `insert` does the rest in one transaction, together with the end of the job.

    Parameters
    ----------
    locking : callable
        Called with the session that is to lock the inputs, where one is.
    joins : bool
        It is part of the transaction that is open, and has none of its own, nor a savepoint.

    Attributes
    ----------
    can_insert_again : bool
        Whether `insert` may be called again after a fault, with what was computed.
    """

    def __init__(
        self,
        table: Table,
        key: Mapping[str, Any],
        make_kwargs: Mapping[str, Any],
        *,
        locking: Callable[[int], None] = lambda _: None,
        joins: bool = False,
    ) -> None:
        self._table: Any = table
        self._locking = locking
        self._joins = joins
        self._key = dict(key)
        self._kwargs = dict(make_kwargs)
        kind: Any = type(table)
        self._form = form_of(kind)
        self._fetch: Callable[[], Any] = self._nothing
        self._insert: Callable[[], None] = self._make
        self._before: bytes | None = None
        self._steps: Generator[Any, None, None] | None = None
        self._locks: InputLocks | None = None
        self._started = time.perf_counter()
        self._times = [0.0, 0.0, 0.0]  # of fetch, compute, insert
        self.can_insert_again = self._form is Form.THREE_PARTS
        self._saves_statements = self._form is not Form.ONE_PART or kind in _passing_over

    def __enter__(self) -> Making:
        self._table.connection.makes.add(threading.get_ident())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._steps is not None:
                self._steps.close()
        finally:
            self._table.connection.makes.discard(threading.get_ident())
            if self._locks is not None:
                self._locks.close()

    @property
    def phases(self) -> Phases:
        """How long each part took, up to now."""
        if self._form in (Form.THREE_PARTS, Form.GENERATOR):
            return Phases(*self._times)
        return Phases(compute_s=time.perf_counter() - self._started)

    def prepare(self) -> None:
        """Fetch and compute."""
        if self._form is Form.THREE_PARTS:
            self._prepare_parts()
        elif self._form is Form.GENERATOR:
            self._prepare_generator()

    def insert(self, finish: Finish, confirm: Callable[[], None] = lambda: None) -> bool:
        """Insert in one transaction, and end the job in it.

        Parameters
        ----------
        finish : callable
            Called after the rows, with whether there are any.
        confirm : callable
            Called first; raises where the rows are not ours to write any more.

        Returns
        -------
        bool
            Whether rows were inserted.

        Raises
        ------
        InputChangedError
            Where what was fetched is no longer what the database holds; nothing was inserted.
        """
        started = time.perf_counter()
        try:
            with suppress(_PassedOverError):
                return self._inserted(finish, confirm)
            _passing_over.add(type(self._table))
            self._saves_statements = True
            return self._inserted(finish, confirm)
        finally:
            self._times[2] += time.perf_counter() - started

    def _inserted(self, finish: Finish, confirm: Callable[[], None]) -> bool:
        table, scope, before = self._table, MakeScope(self._table, self._key), current_scope.get()
        with self._insertion() as is_verified:
            try:  # no context manager: one that is interrupted as it begins would leave the scope set
                current_scope.set(scope)
                confirm()
                with saving_statements(table.connection, self._saves_statements):
                    if self._before is not None and not is_verified:
                        _verify(table, self._key, self._before, self._fetch)
                    self._insert_rows()
                has_rows = self._has_rows(scope)
                finish(has_rows)
            finally:
                current_scope.set(before)
        return has_rows

    def _has_rows(self, scope: MakeScope) -> bool:
        """Whether a row of the table itself was inserted; where it need not be there, the server is asked."""
        is_in_doubt = scope.is_in_doubt or self._table.connection.transaction_state.has_undone
        return scope.has_rows and (not is_in_doubt or is_there(self._table, self._key))

    def _insert_rows(self) -> None:
        """Let it insert, and see whether it passed over an error that has undone its transaction."""
        connection = self._table.connection
        state = connection.transaction_state
        state.has_undone = state.has_refused = False  # a group has had other makes in it
        beside = sys.exception()
        cause: Exception | None = None
        try:
            self._insert()
        except Exception as e:
            if not comes_of_fault(e, beside):
                if state.is_cut_off:
                    raise LostConnectionError(LOST) from e
                if state.is_doomed or state.has_deadlock:
                    raise PassedOverDeadlockError(DOOMED) from e
            if not (connection.is_failed and _may_follow(e, beside, has_refused=state.has_refused)):
                raise
            cause = e
        if connection.is_failed and self._saves_statements:
            raise connection.passed_over() from cause
        if connection.is_failed:
            raise _PassedOverError

    @contextmanager
    def _insertion(self) -> Iterator[bool]:
        """The transaction of the insert; yields whether the inputs are known to be what was fetched."""
        locks, self._locks = self._locks, None  # for one try; one after that fetches again
        if locks is not None:
            with locks.insertion() as is_verified:
                yield is_verified
        else:
            with transaction(self._table.connection, guarded=True, join=self._joins):
                yield False

    def _fetched(self, fetch: Callable[[], Any]) -> Any:
        """Fetch, with locks on the rows where the settings say so."""
        connection = self._table.connection
        if connection.config.jobs.verify != "lock":
            return fetch()
        self._locks = InputLocks(connection)
        return self._locks.fetch(fetch, self._locking)

    # -- in one part -------------------------------------------------------------------------------

    @staticmethod
    def _nothing() -> None:
        return None

    def _make(self) -> None:
        returned = self._table.make(dict(self._key), **self._kwargs)
        if returned is not None and (inspect.isgenerator(returned) or inspect.iscoroutine(returned)):
            returned.close()
            raise MakeError(
                f"the make of {type(self._table).__name__} returned a {type(returned).__name__}, which never "
                "ran; where a decorator hides a make that yields, let it use functools.wraps."
            )

    # -- in three parts ----------------------------------------------------------------------------

    def _prepare_parts(self) -> None:
        table, key, kwargs = self._table, self._key, self._kwargs
        compute, insert = table.make_compute, table.make_insert
        self._fetch = lambda: as_tuple(table.make_fetch(dict(key), **kwargs))
        with self._timed(0):
            fetched = self._fetched(self._fetch)
            self._before = fingerprint(fetched)
        inputs = (fetched,) if last_names(compute, kwargs)[-1:] == ["fetched"] else fetched
        with self._timed(1):
            computed = as_tuple(compute(dict(key), *inputs, **named(compute, kwargs)))
        results = results_for(last_names(insert, kwargs), fetched, computed)
        self._insert = lambda: insert(dict(key), *results, **named(insert, kwargs))

    # -- as a generator ----------------------------------------------------------------------------

    def _prepare_generator(self) -> None:
        table, key, kwargs = self._table, self._key, self._kwargs

        def fetch() -> Any:
            with closing(table.make(dict(key), **kwargs)) as steps:
                return next(steps)

        steps = self._steps = table.make(dict(key), **kwargs)
        with self._timed(0):
            fetched = self._fetched(lambda: _next(table, steps))
            self._before = None if fetched is None else fingerprint(fetched)
        del fetched  # it may be large, and the generator has it
        with self._timed(1):
            _next(table, steps)
        self._fetch = fetch
        self._insert = self._end_generator

    def _end_generator(self) -> None:
        assert self._steps is not None
        if next(self._steps, _NOTHING) is not _NOTHING:
            raise MakeError(_two_yields(self._table))

    @contextmanager
    def _timed(self, part: int) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._times[part] += time.perf_counter() - started


def _may_follow(error: BaseException | None, beside: BaseException | None, *, has_refused: bool) -> bool:
    """Whether a make failed, in a transaction that a statement undid, for more than the error of that.

    Parameters
    ----------
    has_refused : bool
        Statements that came after were refused.
    """
    chain = causes(error, beside)
    if any(isinstance(e, InterruptedMakeError) for e in chain):
        return False  # its time is over, or its claim is lost
    return has_refused or not any(isinstance(e, DataJointError) for e in chain)


def _verify(table: Any, key: Mapping[str, Any], before: bytes, fetch: Callable[[], Any]) -> None:
    """See that what was fetched is what can be fetched now; what cannot be any more has changed too."""
    cause: Exception | None = None
    try:
        if fingerprint(fetch()) == before:
            return
    except INFRASTRUCTURE:
        raise
    except Exception as e:  # noqa: BLE001 - the user's: a row that is gone, mostly
        cause = e
    raise InputChangedError(
        f"the inputs of {table.full_table_name} for {dict(key)} changed while it was computed; "
        "nothing was inserted, and the key is to be computed again."
    ) from cause


def _next(table: Any, steps: Iterator[Any]) -> Any:
    value = next(steps, _NOTHING)
    if value is _NOTHING:
        raise MakeError(_two_yields(table))
    return value


def _two_yields(table: Any) -> str:
    return (
        f"the make of {type(table).__name__} is a generator and must yield twice: after it has fetched, "
        "and after it has computed; it inserts after the second."
    )
