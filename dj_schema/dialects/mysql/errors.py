"""What the error numbers of MySQL and MariaDB mean here (chapter "Server Error Message Reference")."""

from __future__ import annotations

import re

from dj_schema import errors
from dj_schema.errors import (
    DataJointError,
    DefinitionError,
    LostConnectionError,
    MissingTableError,
    QueryError,
)

_NUMBERS: dict[int, type[QueryError]] = {
    1022: errors.DuplicateError,
    1062: errors.DuplicateError,
    1586: errors.DuplicateError,
    1216: errors.IntegrityError,
    1217: errors.IntegrityError,
    1451: errors.IntegrityError,
    1452: errors.IntegrityError,
    1834: errors.IntegrityError,
    3730: errors.IntegrityError,  # a child keeps its parent from being dropped
    3819: errors.DataError,  # check constraint, MySQL
    4025: errors.DataError,  # check constraint, MariaDB
    1048: errors.MissingAttributeError,
    1364: errors.MissingAttributeError,
    1054: errors.UnknownAttributeError,
    1044: errors.AccessError,
    1045: errors.AccessError,
    1142: errors.AccessError,
    1143: errors.AccessError,
    1227: errors.AccessError,
    1290: errors.AccessError,  # the server is read-only
    1698: errors.AccessError,
    1792: errors.AccessError,  # the transaction is
    1836: errors.AccessError,
    1370: errors.AccessError,
    1064: errors.QuerySyntaxError,
    1046: errors.QuerySyntaxError,  # a name without its schema
    1149: errors.QuerySyntaxError,
    1305: errors.QuerySyntaxError,
    1582: errors.QuerySyntaxError,
    1111: errors.QuerySyntaxError,
    1273: errors.QuerySyntaxError,  # an unknown collation
    3143: errors.QuerySyntaxError,  # a path into JSON
    3593: errors.QuerySyntaxError,  # a window function where none can be
    4015: errors.QuerySyntaxError,
    4161: errors.QuerySyntaxError,  # an unknown type
    1139: errors.DataError,  # a regular expression
    3685: errors.DataError,
    3696: errors.DataError,
    1205: errors.LockTimeoutError,
    1206: errors.LockTimeoutError,  # there is no room for more locks
    3572: errors.LockTimeoutError,
    1213: errors.DeadlockError,
    3101: errors.DeadlockError,  # rolled back at its commit: another member of a group was first
    1020: errors.DeadlockError,  # MariaDB with innodb_snapshot_isolation
    1412: errors.DeadlockError,  # a table was altered after the snapshot, which cannot show it
    1264: errors.DataError,
    1265: errors.DataError,
    1067: errors.DataError,  # a default that does not fit
    1101: errors.DataError,
    1292: errors.DataError,
    1366: errors.DataError,
    1367: errors.DataError,
    1406: errors.DataError,
    1411: errors.DataError,
    1525: errors.DataError,
    1690: errors.DataError,
    3140: errors.DataError,
    3141: errors.DataError,
    3156: errors.DataError,
    4038: errors.DataError,
    1153: errors.DataError,  # packet larger than max_allowed_packet
}
# What a definition asks for and these servers do not have, and what would do instead.
_NOT_HERE: dict[int, str] = {
    1070: "at most 16 attributes in a key or index",
    1071: "keys and indexes of at most 3072 bytes, such as 768 characters",
    1074: "at most 255 characters in a char; varchar(n) or <blob> for more",
    1075: "one auto_increment attribute, in the primary key",
    1117: "fewer attributes, or several tables",
    1118: "attributes of at most 65535 bytes in all; <blob> or json for what is long",
    1170: "a number, a string, a date or a uuid in a key or index",
    1427: "a number of digits that is not below that of decimals",
    1901: "functions that always have the same value for the same row",
    3152: "a path into the JSON attribute in the index",
    3505: "enum labels of at most 255 characters",
    3758: "functions that always have the same value for the same row",
}
_TOO_LARGE = {1116, 1436, 1473}  # tables of a join; a stack; blocks inside of blocks
_LOST = {0, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031}
_MISSING = {1146, 1049, 1051, 1109, 1824}


def from_number(number: int, message: str, statement: str) -> DataJointError:
    """Return our error for a number; one that we do not know stays a `QueryError` that names it."""
    if number in _LOST:
        return LostConnectionError(f"the connection to the server was lost: {message or 'no answer'}")
    if number in _MISSING:
        return MissingTableError(f"{message}. Is it declared, and the schema activated?")
    if number == 1005 and "errno: 185" in message:  # MariaDB's InnoDB has no place for so many columns
        number = 1117
    if number in _NOT_HERE:
        return DefinitionError(f"{message.rstrip('.')}.", expected=_NOT_HERE[number])
    kind = _NUMBERS.get(number)
    if number in _TOO_LARGE:
        what = f"the query is nested too deeply, or joins too many tables (server error {number}: {message})"
        return QueryError(f"{what}. {errors.FETCH_A_PART}", code=str(number), statement=statement)
    if kind is None:
        return QueryError(f"server error {number}: {message}", code=str(number), statement=statement)
    if number == 1046 and (names := _functions_in(statement)):
        message = f"the server knows no function {' or '.join(names)}"
    if kind is errors.QuerySyntaxError:
        message = f"{message.rstrip('.')}. {errors.CHECK_SQL}"
    return kind(message, code=str(number), statement=statement)


_FUNCTION = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|\b([A-Za-z_]\w*)\(")


def _functions_in(statement: str) -> list[str]:
    """Return the functions that a user wrote in a statement of ours, where every table has its schema.

    Without a database of its own, the server asks for one to look a function up in that it does not know.
    """
    if "`.`" not in statement:
        return []
    names = dict.fromkeys(name for name in _FUNCTION.findall(statement) if name)
    return [name for name in names if not name.isupper()] or list(names)  # those we know are in capitals
