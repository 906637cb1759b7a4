"""Where stdout cannot be written: one line and an exit code, and no traceback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from dj_workers.cli import options
from dj_workers.cli.exit_codes import ExitCode
from dj_workers.logs import forget_what_cannot_be_written


@contextmanager
def told_if_unwritten() -> Iterator[None]:
    """End with a code of its own where what a command prints finds no place; quietly where nobody reads on.

    What a pipeline prints while it is computed is not what `run` is for: there the code is that of the work.
    """
    out = sys.stdout
    try:
        yield
    except OSError:
        if _takes(out, "\n"):
            raise
        sys.exit(ExitCode.NO_OUTPUT)
    except SystemExit as e:
        has_lost_reader = sys.stdout is not out  # then click has put another in its place, and ends with 1
        if not _takes(out, "\n" if has_lost_reader else "") and has_lost_reader:
            e.code = ExitCode.NO_OUTPUT
        raise


def _takes(out: TextIO | None, text: str) -> bool:
    """Write a text behind what waits; where that fails, say so, and forget it before Python ends with it."""
    if out is None or out.closed:
        return True
    try:
        out.write(text)
        out.flush()
    except OSError as e:
        forget_what_cannot_be_written(out)
        if not isinstance(e, BrokenPipeError):
            options.say(
                f"dj-worker: the output cannot be written: {e.strerror}. Free space where stdout goes to, or "
                "send it elsewhere.",
                logging.ERROR,
            )
        return False
    return True
