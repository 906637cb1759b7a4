"""A make that runs, and that another thread may interrupt: its time is over, or its claim is lost.

The interruption is an exception in the thread that runs it, which comes between two steps of the
interpreter: a call of native code is not ended, but what it leads to is not written.
"""

from __future__ import annotations

import threading
from types import TracebackType

from dj_schema.errors import JobTimeoutError


class InterruptedMakeError(BaseException):
    """Raised in the middle of a make; no subclass of Exception, so that a `make` does not swallow it."""


def ends_make_alone(error: BaseException) -> bool:
    """Whether what a make ended with is for its key; else it stops the worker, as Ctrl-C does.

    A group that tasks of asyncio ended in is so where all in it are.
    """
    kinds = (Exception, InterruptedMakeError)
    if isinstance(error, BaseExceptionGroup):
        return error.split(kinds)[1] is None
    return isinstance(error, kinds)


class Watch:
    """One call of a make, from its start to the statement that ends its job.

    Parameters
    ----------
    timeout_s : float or None
        It is interrupted with `JobTimeoutError` after so long.
    """

    def __init__(self, timeout_s: float | None = None) -> None:
        self._thread_id = threading.get_ident()
        self._lock = threading.Lock()
        self._is_open = False
        self._timer: threading.Timer | None = None
        self.timeout_s = timeout_s
        self.error: Exception | None = None

    def __enter__(self) -> Watch:
        self._is_open = True
        if self.timeout_s is not None:
            self._timer = threading.Timer(self.timeout_s, self.interrupt, [self._timeout_error()])
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _timeout_error(self) -> JobTimeoutError:
        return JobTimeoutError(
            f"the make took longer than its timeout_s of {self.timeout_s:g} seconds; nothing was written"
        )

    def interrupt(self, error: Exception) -> bool:
        """Have the make end with an error; False where it has come to its end, or to another interruption."""
        with self._lock:
            if not self._is_open or self.error is not None:
                return False
            self.error = error
            _raise_in(self._thread_id, InterruptedMakeError)
            return True

    def close(self) -> None:
        """Let nothing interrupt from here on; an interruption that is on its way is caught here.

        Whether it has come cannot be asked. So one more takes the place of one that has not, and is waited
        for. Taking it back is no way: up to Python 3.12 the interpreter would look for it at each step from
        then on, and on 3.11, with a debugger or a measurement of coverage, never take another step.
        """
        while self._is_open:
            try:
                if self._timer is not None:
                    self._timer.cancel()
                with self._lock:
                    self._is_open = False
                if self.error is not None:
                    while True:  # the end of an object may have it raised there, where it is lost
                        _raise_in(self._thread_id, InterruptedMakeError)
            except InterruptedMakeError:
                continue

    def finish(self) -> None:
        """Let nothing interrupt from here on, and raise what it was to be interrupted with."""
        self.close()
        if self.error is not None:
            raise self.error


def _raise_in(thread_id: int, kind: type[BaseException]) -> None:
    """Raise an exception in a thread at its next step, instead of one that is on its way there."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(kind))
