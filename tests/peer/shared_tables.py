"""Twenty tables of every kind, run as a program of either implementation of DataJoint.

``python shared_tables.py ACTION SCHEMA`` prints what it sees as JSON:

declare   declare the tables and fill them
look      open the schema without classes
bind      bind the classes to tables that are there already, insert, compute and delete
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
import sys
import uuid
from typing import Any

import numpy as np

import datajoint as dj

dj.config["safemode"] = False
if name := os.environ.get("SHARED_DATABASE"):
    dj.config["database.name"] = name
schema = dj.Schema()

IS_POSTGRES = os.environ["DJ_BACKEND"] == "postgresql"
COUNTING = "serial" if IS_POSTGRES else "int auto_increment"
# The peer inserts no uuid on PostgreSQL: it sends bytes, and the server refuses them.
HAS_UUIDS = not IS_POSTGRES
IDENT = uuid.UUID("12345678-1234-5678-1234-567812345678")


@schema
class Integer(dj.Manual):
    definition = """
    # whole numbers of each size
    tiny : int8       # smallest
    small : int16
    ---
    plain : int32
    large : int64     # largest
    large_default = 9007199254740993 : int64
    minus = -5 : int8
    nothing = null : int32
    """


@schema
class Real(dj.Manual):
    definition = """
    real_id : int32
    ---
    single : float32
    double : float64
    fixed : decimal(7,3)
    fixed_default = 1.25 : decimal(4,2)
    double_default = 0.25 : float64
    nothing = null : float64
    """


@schema
class Text(dj.Manual):
    definition = """
    # it's a text -- of any kind
    name : varchar(40)          # who's who: a name
    code : char(4)
    ---
    note = "" : varchar(200)    # äöü Ω, back`tick
    word = "it's" : varchar(20)
    gone = null : varchar(10)
    """


@schema
class Choice(dj.Lookup):
    definition = """
    size : enum('small', 'large', 'extra large')   # of a shirt
    ---
    colour = 'red' : enum('red', 'green')
    is_sold = 1 : bool
    is_new : bool
    """
    contents = (["small", "red", True, False], ["large", "green", False, True])


@schema
class Moment(dj.Manual):
    definition = """
    day : date
    ---
    at : datetime
    at_ms : datetime(3)
    added = CURRENT_TIMESTAMP : datetime
    since = '2020-01-02' : date
    was = null : datetime(6)
    """


@schema
class Ident(dj.Manual):
    definition = """
    ident : uuid        # of a thing
    ---
    other = null : uuid
    """


@schema
class Payload(dj.Manual):
    definition = """
    payload_id : int32
    ---
    data : <blob>        # any object
    more = null : <blob>
    raw : bytes
    doc : json           # a document
    doc_or_none = null : json
    """


@schema
class Child(dj.Manual):
    definition = """
    -> Integer
    child : int16
    ---
    -> Text
    """


@schema
class Renamed(dj.Manual):
    definition = """
    -> Integer.proj(a_tiny='tiny', a_small='small')
    ---
    -> Ident.proj(first='ident')
    -> [nullable] Ident.proj(second='ident')
    """


@schema
class OneToOne(dj.Manual):
    definition = """
    -> Ident
    ---
    -> [unique] Real
    """


@schema
class Optional(dj.Manual):
    definition = """
    optional_id : int32
    ---
    -> [nullable] Real
    -> [nullable, unique] Choice
    """


@schema
class Diamond(dj.Manual):
    definition = """
    -> Child
    -> Integer
    -> Moment
    """


@schema
class Indexed(dj.Manual):
    definition = """
    indexed_id : int32
    ---
    a : int32
    b : varchar(10)
    c = null : int32
    index (a)
    unique index (b, a)
    index (c)
    """


@schema
class Counter(dj.Manual):
    definition = f"""
    count_id : {COUNTING}
    ---
    what : varchar(10)
    """


@schema
class CamelCaseName2(dj.Manual):
    definition = """
    -> Choice
    n_2 : int32
    """


@schema
class Session(dj.Manual):
    definition = """
    session_id : int32
    """

    class Trial(dj.Part):
        definition = """
        -> master
        trial : int16
        ---
        outcome : enum('hit', 'miss')
        """

    class Note(dj.Part):
        definition = """
        -> Session
        -> Text
        """


@schema
class TrialPair(dj.Manual):
    definition = """
    -> Session.Trial
    -> Session.Trial.proj(other_trial='trial')
    """


@schema
class Loaded(dj.Imported):
    definition = """
    -> Session
    ---
    n : int32
    """

    def make(self, key: dict[str, Any]) -> None:
        self.insert1({**key, "n": len(Session.Trial & key)})


@schema
class Method(dj.Lookup):
    definition = """
    method : varchar(16)
    """
    contents = (["mean"], ["median"])


@schema
class Summary(dj.Computed):
    definition = """
    -> Loaded
    -> Method
    ---
    total : float64
    """

    class Item(dj.Part):
        definition = """
        -> master
        item : int8
        """

    def make(self, key: dict[str, Any]) -> None:
        self.insert1({**key, "total": (Loaded & key).fetch1("n") / 2})
        self.Item.insert([{**key, "item": i} for i in range(2)])


CLASSES = [
    Integer, Real, Text, Choice, Moment, Ident, Payload, Child, Renamed, OneToOne, Optional, Diamond, Indexed,
    Counter, CamelCaseName2, Session, TrialPair, Loaded, Method, Summary,
]  # fmt: skip
TABLES = [*CLASSES, Session.Trial, Session.Note, Summary.Item]


def fill() -> None:
    Integer.insert1((-128, 1, 2, 2**62, 7, -1, None))
    Integer.insert1({"tiny": 127, "small": -3, "plain": 0, "large": 0})
    Real.insert([(1, 0.5, 1e-300, "1234.125", "0.1", 1.5, None), (2, -1.25, 0.1, -1, "99.99", 3, 4.5)])
    Text.insert1(("O'Neil", "ab", '100 % \\ "x" `y` äöü ☃', "", None))
    Text.insert1({"name": "", "code": "wxyz"})
    Moment.insert1(
        {"day": "2024-02-29", "at": "2024-02-29 23:59:59", "at_ms": "2024-01-01 00:00:00.125",
         "was": "1999-12-31 23:59:59.999999", "added": "2001-02-03 04:05:06"}
    )  # fmt: skip
    objects = {
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "nested": [1, 2.5, "text", None, True, {"k": (1, 2)}],
        "when": dt.datetime(2024, 1, 2, 3, 4, 5),
        "exact": decimal.Decimal("1.10"),
        "ident": IDENT,
        "bytes": b"\x00\xff",
    }
    document = {"a": [1, 2.5, None, True], "b": {"c": 'text "quoted"'}}
    Payload.insert1(
        {"payload_id": 1, "data": objects, "more": np.ones(3), "raw": b"\x00\x01'", "doc": document}
    )
    Payload.insert1({"payload_id": 2, "data": 5, "raw": b"", "doc": [], "doc_or_none": {"x": 1}})
    key = {"tiny": -128, "small": 1}
    Child.insert1({**key, "child": 1, "name": "O'Neil", "code": "ab"})
    if HAS_UUIDS:
        fill_idents()
    Optional.insert([{"optional_id": 1, "real_id": 1, "size": "large"}])
    Optional.insert1({"optional_id": 2})
    Diamond.insert1({**key, "child": 1, "day": "2024-02-29"})
    Indexed.insert([(1, 1, "x", None), (2, 1, "y", 3)])
    Counter.insert([{"what": "first"}, {"what": "second"}])
    CamelCaseName2.insert1({"size": "small", "n_2": 1})
    Session.insert([{"session_id": 1}, {"session_id": 2}])
    Session.Trial.insert([{"session_id": 1, "trial": i, "outcome": "hit"} for i in (1, 2)])
    Session.Note.insert1({"session_id": 1, "name": "O'Neil", "code": "ab"})
    TrialPair.insert1({"session_id": 1, "trial": 1, "other_trial": 2})
    Loaded.populate()
    Summary.populate(Session & "session_id = 1", reserve_jobs=True)


def fill_idents() -> None:
    Ident.insert([{"ident": IDENT, "other": None}, {"ident": uuid.UUID(int=5), "other": IDENT}])
    Renamed.insert1({"a_tiny": -128, "a_small": 1, "first": IDENT, "second": uuid.UUID(int=5)})
    Renamed.insert1({"a_tiny": 127, "a_small": -3, "first": IDENT})
    OneToOne.insert1({"ident": IDENT, "real_id": 2})


def plain(value: Any) -> Any:
    """Return a value as JSON holds it, and its type where JSON has it not."""
    if isinstance(value, memoryview):
        value = bytes(value)
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, np.ndarray):
        return [f"array {value.dtype}", *map(plain, value.tolist())]
    if isinstance(value, (float, np.floating)):
        return f"float {float(value):.6g}"
    return f"{type(value).__name__} {value!s}"


def seen_through(tables: dict[str, Any]) -> dict[str, Any]:
    """Return structure and rows of tables as this implementation reads them."""
    return {
        name: {
            "definition": table.describe(printout=False),
            "names": list(table.heading.names),
            "primary_key": list(table.primary_key),
            "comment": table.heading.table_status["comment"]
            if hasattr(table.heading, "table_status")
            else table.heading.comment,
            "comments": {n: table.heading.attributes[n].comment for n in table.heading.names},
            "parents": sorted(table.parents()),
            "children": sorted(table.children()),
            "rows": [plain(row) for row in table.to_dicts(order_by="KEY")],
        }
        for name, table in tables.items()
    }


def look(name: str) -> dict[str, Any]:
    module = dj.VirtualModule("seen", name)
    tables = {}
    for cls in TABLES:
        master, _, part = cls.__qualname__.partition(".")
        found = getattr(module, master)
        tables[cls.__qualname__] = getattr(found, part)() if part else found()
    return {**seen_through(tables), "lineage": module.schema.lineage, "tables": module.schema.list_tables()}


def use() -> dict[str, Any]:
    """Insert, compute and delete through the classes."""
    before = seen_through({cls.__qualname__: cls() for cls in TABLES})
    Session.insert1({"session_id": 3})
    Session.Trial.insert1({"session_id": 3, "trial": 1, "outcome": "miss"})
    Loaded.populate()
    Summary.populate(reserve_jobs=True)
    counted = {cls.__qualname__: len(cls()) for cls in TABLES}
    joined = len(Session * Loaded * Summary & {"method": "mean"} & Session.Trial)
    (Session & {"session_id": 1}).delete()
    (Integer & "tiny < 0").delete()
    if HAS_UUIDS:
        (Ident & {"ident": uuid.UUID(int=5)}).delete()
    left = {cls.__qualname__: len(cls()) for cls in TABLES}
    jobs = sorted((str(job["session_id"]), job["status"]) for job in Summary().jobs.to_dicts())
    return {"before": before, "counted": counted, "joined": joined, "left": left, "jobs": jobs}


def main() -> None:
    action, name = sys.argv[1:]
    if action != "look":
        schema.activate(name)
    if action == "declare":
        fill()
        seen: Any = None
    else:
        seen = use() if action == "bind" else look(name)
    print("SEEN " + json.dumps(seen))  # noqa: T201


if __name__ == "__main__":
    main()
