"""Lines of the log, for people and for programs."""

from __future__ import annotations

import json
import logging

import pytest

from dj_jobs.events import Event, Kind
from dj_jobs.job_log import log_event
from dj_workers.logs import JSON, TEXT, formatter


def line(caplog: pytest.LogCaptureFixture, event: Event, format_: str) -> str:
    with caplog.at_level(logging.DEBUG, "datajoint.jobs"):
        log_event(event)
    [record] = caplog.records
    return formatter(format_).format(record)


FAILED = Event(Kind.FAILED, "lab.__root", {"n": -1}, 1, 3, "host:7", 1.25, error=ValueError("no\nroot"))


def test_json_has_the_fields_of_the_job(caplog: pytest.LogCaptureFixture) -> None:
    text = line(caplog, FAILED, JSON)
    assert "\n" not in text
    found = json.loads(text)
    assert found.pop("time").endswith("+00:00")
    assert found.pop("process") > 0
    assert found == {
        "level": "warning",
        "logger": "datajoint.jobs",
        "message": "lab.__root {'n': -1}: failed: ValueError: no\nroot",
        "event": "failed",
        "table": "lab.__root",
        "key": {"n": -1},
        "attempt": 3,
        "worker": "host:7",
        "duration_s": 1.25,
        "exception": "ValueError",
    }


def test_text_says_the_same_to_people(caplog: pytest.LogCaptureFixture) -> None:
    assert "WARNING" in (said := line(caplog, FAILED, TEXT))
    assert "lab.__root {'n': -1}: failed: ValueError: no" in said


def test_what_goes_well_is_for_those_who_look_closely(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "datajoint.jobs"):
        log_event(Event(Kind.SUCCEEDED, "lab.__root", {"n": 1}, duration_s=2.0))
        log_event(Event(Kind.CLAIMED, "lab.__root", n=4))
    assert caplog.records == []
    assert "lab.__root {'n': 1}: succeeded: 2.000 s" in line(
        caplog, Event(Kind.SUCCEEDED, "lab.__root", {"n": 1}, duration_s=2.0), TEXT
    )


class Shy:
    def __str__(self) -> str:
        raise ValueError("not now")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "arguments", "fields"),
    [
        ("%d is odd", ("three",), {}),
        ("%s is odd", (Shy(),), {}),
        ("odd", (), {"key": {("a", 1): 2}}),
        ("odd", (), {"key": Shy()}),
        ("odd", (), {"duration_s": float("nan")}),
    ],
)
def test_whatever_a_pipeline_logs_is_an_object(
    message: str, arguments: tuple[object, ...], fields: dict[str, object]
) -> None:
    record = logging.LogRecord("own", logging.WARNING, "", 0, message, arguments, None)
    record.job = fields

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(formatter(JSON).format(record), parse_constant=refuse)
    assert "odd" in found["message"]
    assert fields.keys() <= found.keys()
