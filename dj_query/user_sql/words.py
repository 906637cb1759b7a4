"""The words of SQL that are no attributes, by what may stand beside them."""

from __future__ import annotations

# Words that end or join expressions: never an attribute after an operand, and never a call.
INFIX = frozenset(
    {
        "AND",
        "OR",
        "XOR",
        "NOT",
        "IN",
        "IS",
        "LIKE",
        "ILIKE",
        "RLIKE",
        "REGEXP",
        "BETWEEN",
        "DIV",
        "MOD",
        "ESCAPE",
        "COLLATE",
        "AS",
        "ASC",
        "DESC",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "SEPARATOR",
        "ORDER",
        "FROM",
        "FOR",
        "USING",
        "OVER",
        "RETURNING",
        "SOUNDS",
        "MEMBER",
        "ROWS",
        "RANGE",
        "NULLS",
        "AT",
    }
)
# Words that start an operand when another operand follows them.
PREFIX = frozenset(
    {
        "NOT",
        "CASE",
        "INTERVAL",
        "DISTINCT",
        "WHEN",
        "THEN",
        "ELSE",
        "BINARY",
        "EXISTS",
        "BY",
        "AS",
        "ALL",
        "ANY",
        "BOTH",
        "LEADING",
        "TRAILING",
    }
)
UNITS = frozenset({"MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
CONSTANTS = frozenset({"TRUE", "FALSE", "NULL"})
NOT_CALLS = INFIX | PREFIX | frozenset({"OF", "PARTITION", "FILTER", "WHERE", "AGAINST"})
# Each opens, or belongs to, a query of its own, whose names nothing here could check.
QUERY_WORDS = frozenset(
    {
        "SELECT",
        "WITH",
        "TABLE",
        "VALUES",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "INTO",
        "LIMIT",
        "OFFSET",
        "HAVING",
        "PROCEDURE",
        "WINDOW",
    }
)
# Words that stand where a value may, in what passes through: of literals, types and clauses.
OPERAND_WORDS = (
    NOT_CALLS
    | CONSTANTS
    | UNITS
    | frozenset(
        {"CURRENT_USER", "SESSION_USER", "CURRENT_ROLE", "CURRENT_DATE", "CURRENT_TIME", "DEFAULT", "ROW"}
    )
    | frozenset({"CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP"})
    | frozenset(
        {"DATE", "TIME", "TIMESTAMP", "CURRENT", "UNBOUNDED", "SIGNED", "UNSIGNED", "CHAR", "CURRENT_TIME"}
    )
)
