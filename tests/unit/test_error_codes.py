"""The codes of servers, to classes of ours."""

from __future__ import annotations

import pytest

from dj_schema import errors
from dj_schema.dialects.mysql.errors import from_number
from dj_schema.dialects.postgres.errors import from_sqlstate


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("23505", errors.DuplicateError),
        ("23503", errors.IntegrityError),
        ("23001", errors.IntegrityError),
        ("23502", errors.MissingAttributeError),
        ("22003", errors.DataError),
        ("22P02", errors.DataError),
        ("23514", errors.DataError),
        ("2BP01", errors.IntegrityError),
        ("40P01", errors.DeadlockError),
        ("40001", errors.DeadlockError),
        ("55P03", errors.LockTimeoutError),
        ("42501", errors.AccessError),
        ("25006", errors.AccessError),
        ("42601", errors.QuerySyntaxError),
        ("42703", errors.UnknownAttributeError),
        ("42P01", errors.MissingTableError),
        ("3F000", errors.MissingTableError),
        ("25P02", errors.FailedTransactionError),
        ("57P01", errors.LostConnectionError),
        ("08006", errors.LostConnectionError),
        (None, errors.LostConnectionError),
        ("42P07", errors.QueryError),
        ("53100", errors.QueryError),
        ("54001", errors.QueryError),
    ],
)
def test_codes_of_postgresql(code: str | None, kind: type[Exception]) -> None:
    error = from_sqlstate(code, "message", "detail", "SELECT 1", "a_constraint")
    assert type(error) is kind
    if isinstance(error, errors.QueryError):
        assert (error.code, error.statement) == (code, "SELECT 1")
        assert "message" in str(error)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1062, errors.DuplicateError),
        (1451, errors.IntegrityError),
        (1452, errors.IntegrityError),
        (3730, errors.IntegrityError),
        (1048, errors.MissingAttributeError),
        (1364, errors.MissingAttributeError),
        (1264, errors.DataError),
        (1406, errors.DataError),
        (3819, errors.DataError),
        (4025, errors.DataError),
        (1213, errors.DeadlockError),
        (3101, errors.DeadlockError),
        (1205, errors.LockTimeoutError),
        (1044, errors.AccessError),
        (1142, errors.AccessError),
        (1064, errors.QuerySyntaxError),
        (1054, errors.UnknownAttributeError),
        (1146, errors.MissingTableError),
        (1049, errors.MissingTableError),
        (1824, errors.MissingTableError),
        (0, errors.LostConnectionError),
        (2006, errors.LostConnectionError),
        (2013, errors.LostConnectionError),
        (1927, errors.LostConnectionError),
        (1050, errors.QueryError),
        (1116, errors.QueryError),
        (1473, errors.QueryError),
        (9999, errors.QueryError),
    ],
)
def test_numbers_of_mysql(number: int, kind: type[Exception]) -> None:
    error = from_number(number, "message", "SELECT 1")
    assert type(error) is kind
    if type(error) is errors.QueryError:
        assert str(number) in str(error)
    if isinstance(error, errors.QueryError):
        assert (error.code, error.statement) == (str(number), "SELECT 1")
