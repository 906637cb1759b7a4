"""What PostgreSQL's SQLSTATE codes mean here (appendix A of its manual)."""

from __future__ import annotations

from dj_schema import errors
from dj_schema.errors import (
    DataJointError,
    DefinitionError,
    LostConnectionError,
    MissingTableError,
    QueryError,
)

# Exact codes first, then their two-character class.
_CODES: dict[str, type[QueryError]] = {
    "23505": errors.DuplicateError,
    "23503": errors.IntegrityError,
    "23001": errors.IntegrityError,
    "23502": errors.MissingAttributeError,
    "23514": errors.DataError,
    "42501": errors.AccessError,
    "42601": errors.QuerySyntaxError,
    "42703": errors.UnknownAttributeError,
    "40P01": errors.DeadlockError,
    "40001": errors.DeadlockError,
    "55P03": errors.LockTimeoutError,
    "42883": errors.QuerySyntaxError,
    "42804": errors.QuerySyntaxError,
    "25006": errors.AccessError,  # read-only transaction or server
    "2BP01": errors.IntegrityError,  # others depend on what would be dropped
    "42P06": errors.QueryError,
    "42P07": errors.QueryError,
    "42710": errors.QueryError,
}
# What a definition asks for and PostgreSQL does not have, and what would do instead.
_NOT_HERE = {
    "42701": "another name",  # that of a column which each table has
    "42P17": "functions that always have the same value for the same row",
    "54011": "fewer attributes, and at most 16 attributes in a key or index",
}
_CLASSES: dict[str, type[QueryError]] = {
    "22": errors.DataError,
    "23": errors.IntegrityError,
    "28": errors.AccessError,
    "42": errors.QuerySyntaxError,
}
_LOST = {"57P01", "57P02", "57P03", "25P03", "57P05"}
_MISSING = {"42P01", "3F000"}


def from_sqlstate(
    code: str | None, message: str, detail: str, statement: str, constraint: str | None
) -> DataJointError:
    """Return our error for a code; one that we do not know stays a `QueryError` that names it."""
    text = f"{message} {detail}".strip()
    if code is None or code.startswith("08") or code in _LOST:
        return LostConnectionError(f"the connection to PostgreSQL was lost: {text}")
    if code == "25P02":
        return errors.FailedTransactionError(
            "a statement of this transaction has failed, and PostgreSQL does nothing more in it; "
            "let the error leave the block, or put what may fail into `with connection.transaction:`"
        )
    if code in _MISSING:
        return MissingTableError(f"{text}. Is it declared, and the schema activated?")
    if code in _NOT_HERE:
        return DefinitionError(f"{text.rstrip('.')}.", expected=_NOT_HERE[code])
    kind = _CODES.get(code) or _CLASSES.get(code[:2])
    if code == "54001":
        message = f"the query is nested too deeply: {text}. {errors.FETCH_A_PART}"
        return QueryError(message, code=code, statement=statement)
    if kind is None:
        return QueryError(f"PostgreSQL error {code}: {text}", code=code, statement=statement)
    if constraint and constraint not in text:
        text += f" (constraint {constraint})"
    if kind is errors.QuerySyntaxError:
        text = f"{text.rstrip('.')}. {errors.CHECK_SQL}"
    return kind(text, code=code, statement=statement)
