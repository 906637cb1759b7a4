"""Every error that this system raises on purpose.

::

    DataJointError
    ├── ConfigError                  a setting is unknown, of the wrong type, or missing
    ├── DefinitionError              a table definition does not parse or does not hold together
    ├── NotAlterableError            a declared table cannot take a change of its definition
    ├── LostConnectionError          the server went away; what was open is rolled back
    ├── ConnectionRefusedByServerError   the server cannot be reached, or refuses us
    ├── QueryError
    │   ├── QuerySyntaxError
    │   ├── AccessError
    │   ├── DuplicateError
    │   ├── IntegrityError
    │   ├── DataError                a value does not fit its column
    │   ├── DeadlockError            rolled back for another transaction; try again
    │   ├── LockTimeoutError         a lock was not granted in time; try again
    │   ├── UnknownAttributeError
    │   └── MissingAttributeError
    ├── MissingTableError
    ├── NotATableError               a query is asked for what only a table can do; an AttributeError too
    ├── ArgumentTypeError            an argument is of a type that is not taken; a TypeError too
    ├── TransactionError             a transaction is used where it cannot be
    │   ├── PassedOverDeadlockError  a deadlock has undone it, and was passed over; a DeadlockError too
    │   └── FailedTransactionError   PostgreSQL undoes all of it, for an error that was passed over
    ├── MakeError                    a `make` broke its contract
    │   ├── ForeignKeyOfMakeError    it inserted a row of another key
    │   └── InputChangedError        what it fetched changed before it inserted
    ├── JobError                     a job cannot make this move
    │   ├── ClaimLostError           another worker holds the key now
    │   │   └── JobCancelledError    an operator has cancelled it
    │   └── JobTimeoutError          it took longer than it may
    ├── EmbeddedServerError          the embedded PostgreSQL cannot start
    ├── MissingExternalFile
    └── BucketInaccessible
"""

from __future__ import annotations


class DataJointError(Exception):
    """Base of all errors of this package."""


class ConfigError(DataJointError):
    """A setting is unknown, has the wrong type, or is missing."""


class DefinitionError(DataJointError):
    """A table definition does not parse, or contradicts itself.

    Attributes
    ----------
    line_number : int or None
        One-based line of the definition.
    line : str
        The text of that line.
    expected : str
        What would have been right there.
    """

    def __init__(
        self, message: str, *, line_number: int | None = None, line: str = "", expected: str = ""
    ) -> None:
        self.line_number = line_number
        self.line = line
        self.expected = expected
        where = f"line {line_number}: {line.strip()!r}: " if line_number is not None else ""
        tail = f" Expected {expected}." if expected else ""
        super().__init__(f"{where}{message}{tail}")


class NotAlterableError(DataJointError, NotImplementedError):
    """A change of the definition is of a kind that a declared table cannot take."""


class LostConnectionError(DataJointError):
    """The connection broke; an open transaction is gone with it."""


class ConnectionRefusedByServerError(DataJointError):
    """The server cannot be reached, or does not let us in."""


class QueryError(DataJointError):
    """The server refused a statement.

    Attributes
    ----------
    code : str or None
        The server's own code: SQLSTATE on PostgreSQL, the error number on MySQL and MariaDB.
    statement : str or None
        The text that was sent, without its values.
    """

    def __init__(self, message: str, *, code: str | None = None, statement: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.statement = statement


CHECK_SQL = "Check the SQL that you gave: operators, functions, and what each of them takes."


FETCH_A_PART = "Fetch the keys of a part of the query with keys(), and restrict the rest by them."


class QuerySyntaxError(QueryError):
    """The SQL, ours or the user's, does not parse on the server."""


class AccessError(QueryError):
    """The user lacks a privilege."""


class DuplicateError(QueryError):
    """A row with this primary or unique key exists."""


class IntegrityError(QueryError):
    """A foreign key does not hold: a parent is missing, or a child is in the way."""


class DataError(QueryError):
    """A value does not fit its column: out of range, too long, or of the wrong type."""


class DeadlockError(QueryError):
    """Another transaction was in the way of this one, which was rolled back; it may be repeated."""


class LockTimeoutError(QueryError):
    """A lock was not granted in time; the transaction may be repeated."""


class UnknownAttributeError(QueryError):
    """An attribute is named that is not in the heading."""


class MissingAttributeError(QueryError):
    """A row lacks an attribute that has no default."""


class MissingTableError(DataJointError):
    """The table is not declared in the database."""


class NotATableError(DataJointError, AttributeError):
    """A query that is no table is asked to change rows or structure."""


class ArgumentTypeError(DataJointError, TypeError):
    """An argument is of a type that is not taken."""


class TransactionError(DataJointError):
    """A transaction is opened, closed or used where that cannot be."""


class PassedOverDeadlockError(TransactionError, DeadlockError):
    """A deadlock had ended the transaction, and its error was passed over; the whole may be repeated."""


class FailedTransactionError(TransactionError):
    """A statement of the transaction had failed, its error was passed over: the server undoes all of it."""


class MakeError(DataJointError):
    """A `make` broke its contract; nothing of it was kept."""


class ForeignKeyOfMakeError(MakeError):
    """A `make` inserted a row that does not belong to the key it was given."""


class InputChangedError(MakeError):
    """What a `make` had fetched changed before it inserted; it is to be run again."""


class JobError(DataJointError):
    """A job cannot make this move from the state it is in."""


class ClaimLostError(JobError):
    """The claim is no longer ours; nothing was written."""


class JobCancelledError(ClaimLostError):
    """The job was cancelled while it ran; nothing was written."""


class JobTimeoutError(JobError, TimeoutError):
    """A `make` took longer than its `timeout_s`; nothing was written."""


class EmbeddedServerError(DataJointError):
    """The embedded PostgreSQL cannot be started or reached."""


class MissingExternalFile(DataJointError):
    """A file that a row refers to is not in its store."""


class BucketInaccessible(DataJointError):
    """A bucket cannot be reached, or refuses us."""
