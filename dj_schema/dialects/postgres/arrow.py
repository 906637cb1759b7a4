"""Arrow tables from PostgreSQL through ADBC, whose driver makes them without an object for each value.

It speaks on a connection of its own, so that it is for what is committed. No other file knows this driver.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from typing import Any

log = logging.getLogger("datajoint.arrow")

_MARK = re.compile(r"%(s|%)")
_BOUND = (bool, int, float, str)
_INT64 = 2**63
_abandoned: list[Any] = []


class ArrowReader:
    """A connection that reads Arrow, opened at the first use."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Any = None
        self._is_missing = False
        self._pid = os.getpid()

    def read(self, text: str, params: Sequence[Any]) -> Any:
        """Return what a SELECT gives; None where the driver is not there or cannot.

        A failure is not an error here: who asks then asks in the ordinary way, which says what is wrong.
        """
        if self._is_missing or not all(map(_is_bindable, params)):
            return None
        try:
            import adbc_driver_manager
            import adbc_driver_postgresql.dbapi as adbc
        except ImportError:
            self._is_missing = True
            return None
        try:
            if self._connection is None:
                self._connection = adbc.connect(self._conninfo, autocommit=True)
            with self._connection.cursor() as cursor:
                cursor.execute(_numbered(text), tuple(params) or None)
                return cursor.fetch_arrow_table()
        except adbc_driver_manager.Error as e:
            log.debug("ADBC could not read this query (%s)", type(e).__name__)
            self.close()
            return None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._pid == os.getpid():
            connection.close()
        else:
            _abandoned.append(connection)  # the socket is the parent's


def _is_bindable(value: Any) -> bool:
    if type(value) not in _BOUND:
        return False
    return not isinstance(value, int) or -_INT64 <= value < _INT64


def _numbered(text: str) -> str:
    """Return a text with ``$1`` where psycopg wants ``%s``."""
    n = 0

    def mark(match: re.Match[str]) -> str:
        nonlocal n
        if match[1] == "%":
            return "%"
        n += 1
        return f"${n}"

    return _MARK.sub(mark, text)
