"""The log of a worker on stderr, as text or as a JSON object a line."""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

log = logging.getLogger("datajoint.workers")

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
    """Have objects made of warnings, of errors nobody caught, and of what pipelines log without a handler."""
    logging.lastResort = handler
    logging.captureWarnings(True)
    warnings = logging.getLogger("py.warnings")
    warnings.addHandler(handler)
    warnings.propagate = False
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_end_of_thread
    sys.unraisablehook = _log_unraisable


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))


def _log_end_of_thread(args: threading.ExceptHookArgs) -> None:
    if issubclass(args.exc_type, SystemExit):
        return  # it ends the thread, and is no error, as in Python's own hook
    name = args.thread.name if args.thread is not None else "unknown"
    error = args.exc_value or args.exc_type()
    trace = (args.exc_type, error, args.exc_traceback)
    log.error("the thread %s ended: %s: %s", name, args.exc_type.__name__, error, exc_info=trace)


def _log_unraisable(args: sys.UnraisableHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    message = args.err_msg or "an exception was passed over, in"
    log.error("%s %r", message, args.object, exc_info=(args.exc_type, error, args.exc_traceback))


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
            atexit.register(forget_what_cannot_be_written, sys.stderr)
            with suppress(OSError):
                sys.stdout.write(
                    f"dj-worker: the log cannot be written: {error.strerror}. The work goes on without it; "
                    "free space where stderr goes to, or send it elsewhere.\n"
                )
                sys.stdout.flush()


def forget_what_cannot_be_written(stream: TextIO) -> None:
    """Else the interpreter would end with an exit code of its own."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, process, message, and the fields of a job."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": _message_of(record),
            **getattr(record, "job", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        try:
            return json.dumps(line, default=str, allow_nan=False)
        except Exception:  # noqa: BLE001 - of what a pipeline gave its logger, and how that shows itself
            return json.dumps({str(name): _plain(value) for name, value in line.items()})


def _message_of(record: logging.LogRecord) -> str:
    """The message; where its arguments do not fit it, both as they are."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - as above
        return f"{_plain(record.msg)} {_plain(record.args)}"


def _plain(value: object) -> str | int | None:
    """A value that JSON has, or its text."""
    if value is None or isinstance(value, (str, int)):
        return value
    try:
        return str(value)
    except Exception as e:  # noqa: BLE001 - as above
        return f"({type(value).__name__} that cannot be shown: {type(e).__name__})"
