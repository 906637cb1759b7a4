"""The log of a worker on stderr, as text or as a JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

LEVEL_VARIABLE = "DJ_LOG_LEVEL"
FORMAT_VARIABLE = "DJ_LOG_FORMAT"
TEXT, JSON = FORMATS = ("text", "json")
_TEXT_LINE = "%(asctime)s %(levelname)-7s [%(process)d] %(message)s"


def set_up(level: str, format_: str) -> None:
    """Log to stderr; done before a pipeline's own import finds no handler.

    Child processes, and the import of a pipeline, go by the environment that this leaves.
    """
    root = logging.getLogger("datajoint")
    root.setLevel(level.upper())
    os.environ[LEVEL_VARIABLE] = level.upper()
    os.environ[FORMAT_VARIABLE] = format_
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(formatter(format_))
        root.addHandler(handler)
        root.propagate = False


def set_up_child() -> None:
    """Log as the parent does, where the parent is a `dj-worker`."""
    if format_ := os.environ.get(FORMAT_VARIABLE):
        set_up(os.environ.get(LEVEL_VARIABLE, "info"), format_)


def formatter(format_: str) -> logging.Formatter:
    """Return what makes the lines of a format."""
    return JsonLines() if format_ == JSON else logging.Formatter(_TEXT_LINE, "%Y-%m-%d %H:%M:%S")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, process, message, and the fields of a job."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, "job", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
