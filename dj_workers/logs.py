"""The log of a worker on stderr, as text or as a JSON object a line."""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

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
        handler = LogHandler(sys.stderr)
        handler.setFormatter(formatter(format_))
        root.addHandler(handler)
        root.propagate = False
        if format_ == JSON:
            _take_what_nobody_takes(handler)


def _take_what_nobody_takes(handler: logging.Handler) -> None:
    """Have objects made of warnings, and of what pipelines log without a handler of their own, too."""
    logging.lastResort = handler
    logging.captureWarnings(True)
    warnings = logging.getLogger("py.warnings")
    warnings.addHandler(handler)
    warnings.propagate = False


def set_up_child() -> None:
    """Log as the parent does, where the parent is a `dj-worker`."""
    if format_ := os.environ.get(FORMAT_VARIABLE):
        set_up(os.environ.get(LEVEL_VARIABLE, "info"), format_)


def is_json() -> bool:
    """Whether this program, or the one that started it, logs objects."""
    return os.environ.get(FORMAT_VARIABLE) == JSON


def formatter(format_: str) -> logging.Formatter:
    """Return what makes the lines of a format."""
    return JsonLines() if format_ == JSON else logging.Formatter(_TEXT_LINE, "%Y-%m-%d %H:%M:%S")


def line_of(text: str, level: int = logging.INFO) -> str:
    """Return what is said to people, as a line of the log where this is JSON; also in handlers of signals."""
    if not is_json():
        return text
    record = logging.LogRecord("datajoint.workers", level, "", 0, text.rstrip(), None, None)
    return JsonLines().format(record) + "\n"


class LogHandler(logging.StreamHandler[TextIO]):
    """Goes on where the log cannot be written, for want of space say, and tells so once, on stdout."""

    _has_told = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_told:
            self._has_told = True
            atexit.register(_forget_what_cannot_be_written)
            with suppress(OSError):
                sys.stdout.write(
                    f"dj-worker: the log cannot be written: {error.strerror}. The work goes on without it; "
                    "free space where stderr goes to, or send it elsewhere.\n"
                )
                sys.stdout.flush()


def _forget_what_cannot_be_written() -> None:
    """Else the interpreter would end with an exit code of its own."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


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
