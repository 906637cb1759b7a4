"""What is sent on a session: a composed `Sql` or a text with values, a batch, a stream of rows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from dj_schema.dialects.base import Result, Row, Session
from dj_schema.errors import (
    ArgumentTypeError,
    DataJointError,
    DeadlockError,
    LostConnectionError,
    TransactionError,
)
from dj_schema.live_session import LiveSession
from dj_schema.sql import Sql, Statement, render
from dj_schema.table_info import TableName
from dj_schema.waiting_rows import LaterInsert

T = TypeVar("T")
_NOISE = re.compile(r"(?:[\s(;]+|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*M?!\d*|/\*(?!M?!).*?\*/|\*/)*", re.S)


def first_words(query: str) -> tuple[str, str]:
    """Return the first two keywords of a statement in capitals, whatever comments stand before them."""
    rest = query[_NOISE.match(query).end() :]  # type: ignore[union-attr]
    first, second, *_ = (*re.split(r"[^A-Za-z]+", rest, maxsplit=2), "", "")
    return first.upper(), second.upper()


class Statements(LiveSession):
    """What can be sent on a live session; in a transaction that asks for it, each behind a savepoint."""

    def render(self, statement: Sql) -> Statement:
        return render(statement, self.dialect.quote)

    def execute(self, statement: Sql, *, is_read: bool = False) -> Result:
        """Send a composed statement. `is_read` says that it may be sent again after a lost connection."""
        text, params = self.render(statement)
        return self.run(text, params, is_read=is_read)

    def run(
        self,
        text: str,
        params: Sequence[Any] | None = None,
        *,
        is_read: bool = False,
        reconnect: bool | None = None,
        reads: TableName | None = None,
    ) -> Result:
        """Send a text whose identifiers are quoted already; values are bound by the driver.

        Parameters
        ----------
        reads : TableName, optional
            All that it reads: rows that wait to be inserted elsewhere may go on waiting.
        """

        def call(session: Session) -> Result:
            return session.execute(text, params)

        is_saved = self.transaction_state.saves_statements and self._may_be_saved(text)
        return self._exchange(self._saved(call) if is_saved else call, is_read, reconnect, reads)

    def insert_later(self, insert: LaterInsert, rows: Sequence[Row]) -> bool:
        """Insert rows together with others, before anything that could see them; False where that may not be.

        A row that the server refuses then ends the transaction, at a later statement of it.
        """
        state = self.transaction_state
        if (
            state.waiting is None
            or state.depth
            or not self.in_transaction
            or not state.waiting.have_room(insert)
        ):
            return False
        state.waiting.add(insert, rows)
        return True

    def _may_be_saved(self, text: str) -> bool:
        """Whether a statement may come after a savepoint: none of those that rule the transaction itself."""
        verb, kind = first_words(text)
        return verb not in self.dialect.flags.transaction_verbs and (verb, kind) != ("SET", "TRANSACTION")

    def _saved(self, call: Callable[[Session], T]) -> Callable[[Session], T]:
        """Let what fails in a transaction of the user's own undo itself alone, as MySQL has it.

        After a deadlock nothing goes on: what the statement would have to wait for is still locked.
        """

        def saved(session: Session) -> T:
            is_needed = self.transaction_state.saves_statements and self.dialect.flags.has_cheap_savepoints
            if not is_needed or session.is_failed:
                return call(session)
            session.defer("SAVEPOINT dj_statement")
            try:
                return call(session)
            except DataJointError as e:
                if not isinstance(e, (LostConnectionError, DeadlockError)):
                    session.execute("ROLLBACK TO SAVEPOINT dj_statement", None)
                raise
            finally:
                if session.is_open() and not session.is_failed:
                    session.defer("RELEASE SAVEPOINT dj_statement")

        return saved

    def script(self, statements: Sequence[Sql]) -> None:
        """Send statements without values, in one go where the server takes several: declarations.

        Raises
        ------
        TransactionError
            Inside a transaction on a server that would commit it first, and in a `make` on any.
        """
        if self.in_transaction:
            self._refuse_ddl()
            if self.transaction_state.is_guarded:
                raise TransactionError(
                    "no table or schema can be made or dropped in a make: other keys need what is there. Do "
                    "that before populate."
                )
        texts = [self.render(s).text for s in statements]
        self._exchange(self._saved(lambda session: session.script(texts)), False)

    def _refuse_ddl(self) -> None:
        if not self.dialect.flags.has_transactional_ddl:
            raise TransactionError(
                "no table or schema can be made or dropped inside a transaction: the server would commit it "
                "first. Do that before it starts."
            )

    def defer(self, text: str) -> None:
        """Send what a transaction needs for itself, where it costs no wait of its own."""
        self._exchange(lambda session: session.defer(text), False)

    def fetch_arrow(self, text: str, params: Sequence[Any]) -> Any:
        """Return the rows of a SELECT as a pyarrow Table that never was Python objects.

        None where that cannot be had: for lack of a library, or because another session would have to read
        what this one's transaction has not committed.
        """
        in_transaction = self.in_transaction
        return self._exchange(lambda session: session.fetch_arrow(text, params, in_transaction), True)

    def stream_text(self, text: str, params: Sequence[Any], batch_rows: int = 10_000) -> Iterator[list[Row]]:
        """Yield the rows of a SELECT in batches, with constant memory here.

        Raises
        ------
        LostConnectionError
            Also outside a transaction: what was yielded cannot be taken back.
        """
        in_transaction = self.in_transaction
        pid = self._pid
        batches = self._exchange(lambda s: s.stream(text, params, batch_rows, in_transaction), True)

        def next_batch(_: Session) -> list[Row] | None:
            if pid != os.getpid():
                raise LostConnectionError("this stream was begun in the parent process, and ends there")
            return next(batches, None)

        try:
            while (batch := self._exchange(self._saved(next_batch), False)) is not None:
                yield batch
        finally:
            if pid == os.getpid() and isinstance(batches, Generator):
                taken = self._turn.take()
                try:
                    batches.close()
                finally:
                    if taken:
                        self._turn.end()


def check_call(query: object, args: object) -> None:
    """See that a user gave a text, and values in a list or a mapping; about anything else drivers differ."""
    if not isinstance(query, str):
        raise ArgumentTypeError(f"SQL is text, not {type(query).__name__}.")
    if args is not None and (isinstance(args, (str, bytes)) or not isinstance(args, (Sequence, Mapping))):
        given = type(args).__name__
        raise ArgumentTypeError(f"the values of a query are a list, as in [value], not {given}.")
