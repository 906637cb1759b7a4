"""The expressions whose SQL is written down in the files beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import datajoint as dj
from tests.support.lab import Lab

EXPRESSIONS: Mapping[str, Callable[[Lab], Any]] = {
    "a table": lambda t: t.Subject,
    "restricted by SQL": lambda t: t.Session & "YEAR(session_date) = 2025 AND duration > 20",
    "restricted by a dict": lambda t: t.Subject & {"species": "rat", "weight": None},
    "restricted twice": lambda t: t.Session & {"subject_id": 1} & "duration > 20",
    "restricted by a list of keys": lambda t: t.Session & [{"subject_id": i, "session": 1} for i in (1, 2)],
    "restricted by one attribute of several values": lambda t: (
        t.Subject & [{"subject_id": i} for i in (1, 2)]
    ),
    "restricted by alternatives": lambda t: t.Subject & [{"sex": "M"}, "weight > 20", t.Mouse],
    "restricted by all of several": lambda t: t.Subject & dj.AndList([{"sex": "M"}, "weight > 20"]),
    "restricted by nothing": lambda t: t.Subject & [],
    "anti-restricted by SQL": lambda t: t.Subject - "weight > 20",
    "anti-restricted by a dict": lambda t: t.Subject - {"sex": "M"},
    "restricted by a table": lambda t: t.Subject & t.Session,
    "anti-restricted by a table": lambda t: t.Subject - t.Session,
    "restricted by a restricted join": lambda t: t.Subject & (t.Session * t.Trial & "rt > 300"),
    "restricted by an aggregation": lambda t: t.Subject & (t.Session.aggr(t.Trial, n="count(*)") & "n > 2"),
    "restricted by a top": lambda t: t.Subject & (t.Session & dj.Top(2, "session_date DESC")).proj(),
    "primary key": lambda t: t.Subject.proj(),
    "some attributes": lambda t: t.Subject.proj("sex"),
    "all but one attribute": lambda t: t.Subject.proj(..., "-sex"),
    "renamed": lambda t: t.Subject.proj(mouse_id="subject_id", kind="species"),
    "renamed, then restricted": lambda t: t.Subject.proj(kind="species") & {"kind": "rat"},
    "restricted, then renamed": lambda t: (t.Subject & {"species": "rat"}).proj(kind="species"),
    "computed": lambda t: t.Trial.proj(seconds="rt / 1000"),
    "computed, then restricted by a table's attribute": lambda t: (
        t.Trial.proj("rt", s="rt / 1000") & "rt > 1"
    ),
    "computed, then restricted": lambda t: t.Trial.proj(seconds="rt / 1000") & "seconds > 1",
    "joined": lambda t: t.Session * t.Trial,
    "joined without common attributes": lambda t: t.X * t.Y,
    "restricted, then joined": lambda t: (t.Session & "duration > 20") * (t.Trial & {"trial": 1}),
    "join of three": lambda t: t.Subject * t.Session * t.Trial,
    "join of a join": lambda t: t.Subject * (t.Session * t.Trial),
    "joined under another name": lambda t: t.Session * t.Session.proj(other="session"),
    "joined without the names that would clash": lambda t: (
        (t.Session & "duration > 1").proj() * (t.Session & "duration > 2").proj(later="session")
    ),
    "extended": lambda t: t.Session.extend(t.Experimenter),
    "extended by a restricted table": lambda t: t.Session.extend(t.Experimenter & "full_name LIKE 'A%'"),
    "joined with a computation": lambda t: t.Session * t.Trial.proj(seconds="rt / 1000"),
    "joined with an aggregation": lambda t: t.Subject * t.Subject.aggr(t.Session, n="count(session)"),
    "aggregated": lambda t: t.Session.aggr(t.Trial, n="count(trial)", mean="avg(rt)"),
    "aggregated with attributes kept": lambda t: t.Subject.aggr(t.Session, "species", n="count(session)"),
    "aggregated over a restriction": lambda t: t.Session.aggr(t.Trial & "rt > 250", n="count(trial)"),
    "aggregated without the others": lambda t: t.Session.aggr(
        t.Trial, n="count(*)", exclude_nonmatching=True
    ),
    "aggregated, then restricted by its key": lambda t: (
        t.Session.aggr(t.Trial, n="count(trial)") & {"subject_id": 1}
    ),
    "aggregated, then restricted by the aggregate": lambda t: t.Session.aggr(t.Trial, n="count(*)") & "n > 2",
    "distinct values": lambda t: dj.U("species") & t.Subject,
    "distinct values, restricted": lambda t: (dj.U("species") & t.Subject) & "species LIKE 'm%'",
    "distinct computed values": lambda t: dj.U("year") & t.Session.proj(year="YEAR(session_date)"),
    "whether there are rows": lambda t: dj.U() & t.Subject,
    "summary of all": lambda t: dj.U().aggr(t.Subject, n="count(*)"),
    "summary by an attribute": lambda t: dj.U("species").aggr(t.Subject, n="count(*)"),
    "union of keys": lambda t: t.Mouse.proj() + t.Rat.proj(),
    "union with attributes": lambda t: t.Mouse + t.Rat,
    "top": lambda t: t.Subject & dj.Top(3, ["weight DESC", "KEY"]),
    "top with an offset and no limit": lambda t: t.Subject & dj.Top(None, offset=2),
    "top of a top in the same order": lambda t: t.Subject & dj.Top(5, "weight", 1) & dj.Top(3, None, 2),
    "top of a top in another order": lambda t: t.Subject & dj.Top(5, "weight") & dj.Top(3),
    "top, then restricted": lambda t: t.Subject & dj.Top(5) & {"sex": "M"},
    "top, then computed": lambda t: (t.Subject & dj.Top(2, "weight")).proj("weight", double="weight * 2"),
}

# All others need one, or are about what stands in the WHERE.
WITHOUT_SUBQUERY = (
    "a table",
    "restricted by SQL",
    "restricted by a dict",
    "restricted twice",
    "restricted by a list of keys",
    "restricted by all of several",
    "anti-restricted by SQL",
    "primary key",
    "some attributes",
    "all but one attribute",
    "renamed",
    "restricted, then renamed",
    "computed",
    "computed, then restricted by a table's attribute",
    "joined",
    "joined without common attributes",
    "restricted, then joined",
    "join of three",
    "join of a join",
    "extended",
    "aggregated",
    "aggregated with attributes kept",
    "aggregated without the others",
    "aggregated, then restricted by its key",
    "distinct values",
    "distinct values, restricted",
    "distinct computed values",
    "summary of all",
    "summary by an attribute",
    "top",
    "top with an offset and no limit",
    "top of a top in the same order",
)
