"""The functions of user SQL: how many arguments each takes, and the kind of its value.

The kind is a kind, or ``first`` (that of the first argument), ``joint`` (of all, as for COALESCE), ``least``
(as first, but int for bool: MIN and MAX), ``average`` (decimal for exact numbers), ``number``
(int stays int, decimal stays decimal, all else is float).
"""

from __future__ import annotations

from dataclasses import dataclass

MANY = 99


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known of one function."""

    kind: str
    at_least: int
    at_most: int
    is_aggregate: bool = False


def _table(rows: str, *, is_aggregate: bool = False) -> dict[str, Signature]:
    """Read lines of ``kind arity: NAME NAME ...``, the arity as ``n``, ``n-m`` or ``n+``."""
    table: dict[str, Signature] = {}
    for line in rows.strip().splitlines():
        head, _, names = line.partition(":")
        kind, arity = head.split()
        low, _, high = arity.rstrip("+").partition("-")
        most = MANY if arity.endswith("+") else int(high or low)
        for name in names.split():
            table[name] = Signature(kind, int(low), most, is_aggregate)
    return table


AGGREGATES = _table(
    """
    int 1+: COUNT
    number 1: SUM
    average 1: AVG
    least 1: MIN MAX
    first 1: ANY_VALUE
    float 1: STD STDDEV STDDEV_POP STDDEV_SAMP VARIANCE VAR_POP VAR_SAMP
    int 1: BIT_AND BIT_OR BIT_XOR
    json 1: JSON_ARRAYAGG
    json 2: JSON_OBJECTAGG
    """,
    is_aggregate=True,
)
WINDOW_ONLY = _table(
    """
    int 0: ROW_NUMBER RANK DENSE_RANK
    int 1: NTILE
    float 0: PERCENT_RANK CUME_DIST
    first 1-3: LAG LEAD
    first 1: FIRST_VALUE LAST_VALUE
    first 2: NTH_VALUE
    """
)
SCALARS = _table(
    """
    int 1: YEAR MONTH DAY DAYOFMONTH HOUR MINUTE SECOND MICROSECOND DAYOFWEEK WEEKDAY DAYOFYEAR
    int 1: QUARTER WEEKOFYEAR TO_DAYS TIME_TO_SEC
    int 1-2: WEEK YEARWEEK
    string 1: DAYNAME MONTHNAME
    string 2: DATE_FORMAT
    date 1: DATE LAST_DAY
    datetime 1: TIMESTAMP
    time 1: TIME
    date 0: CURDATE CURRENT_DATE UTC_DATE
    datetime 0-1: NOW CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP UTC_TIMESTAMP SYSDATE
    int 3: TIMESTAMPDIFF
    datetime 3: TIMESTAMPADD
    int 2: DATEDIFF
    time 2: TIMEDIFF
    time 1: SEC_TO_TIME
    time 3: MAKETIME
    date 2: MAKEDATE
    date 1: FROM_DAYS
    datetime 2: ADDTIME SUBTIME
    datetime 3: CONVERT_TZ
    datetime 2: STR_TO_DATE
    datetime 2: DATE_ADD DATE_SUB ADDDATE SUBDATE
    decimal 0-1: UNIX_TIMESTAMP
    datetime 1-2: FROM_UNIXTIME
    string 1+: CONCAT
    string 2+: CONCAT_WS
    string 1: UPPER UCASE LOWER LCASE LTRIM RTRIM REVERSE HEX MD5 SHA1 SHA SPACE TO_BASE64 JSON_QUOTE
    string 2: REPEAT LEFT RIGHT SHA2 FORMAT
    string 0: UUID
    string 1+: CHAR
    string 1: BIN OCT
    string 3: CONV
    string 4: INSERT
    int 1: CRC32
    bytes 1: UNHEX FROM_BASE64
    string 2-3: SUBSTR MID
    string 3: REPLACE LPAD RPAD SUBSTRING_INDEX REGEXP_REPLACE
    int 1: LENGTH OCTET_LENGTH CHAR_LENGTH CHARACTER_LENGTH ASCII BIT_LENGTH BIT_COUNT SIGN
    int 2: INSTR STRCMP FIND_IN_SET
    int 2-3: LOCATE
    int 2+: FIELD
    string 2+: ELT
    joint 2: IFNULL
    joint 1+: COALESCE
    joint 2+: LEAST GREATEST
    first 2: NULLIF
    bool 1: ISNULL
    bool 2: REGEXP_LIKE
    number 1: ABS
    number 1-2: ROUND
    number 2: TRUNCATE MOD
    int 1: FLOOR CEIL CEILING
    float 1: SQRT EXP LN LOG2 LOG10 SIN COS TAN ASIN ACOS COT DEGREES RADIANS
    float 1-2: LOG ATAN
    float 2: POW POWER ATAN2
    float 0: PI RAND
    json 2: JSON_EXTRACT
    string 1: JSON_UNQUOTE JSON_TYPE
    int 1-2: JSON_LENGTH
    bool 2-3: JSON_CONTAINS
    bool 2: JSON_OVERLAPS
    bool 3+: JSON_CONTAINS_PATH
    json 3+: JSON_SEARCH
    json 1-2: JSON_KEYS
    json 0+: JSON_ARRAY JSON_OBJECT
    json 3+: JSON_SET JSON_INSERT JSON_REPLACE
    json 2+: JSON_REMOVE
    """
)
FUNCTIONS = {**SCALARS, **AGGREGATES, **WINDOW_ONLY}
