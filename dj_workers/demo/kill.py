"""End one worker with SIGKILL in the middle of a job, and watch what becomes of the job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dj_query.table import FreeTable

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

_LOOK_EVERY_S = 0.05
_AT_WORK_FOR_S = 0.15  # a job that has been held for so long is in its `make`
_OWN = ("pid", "_worker", "_token", "status")


@dataclass
class Rescue:
    """What the death of a worker did to the job that it held.

    Attributes
    ----------
    taken_over_s, finished_s : float or None
        Seconds after the kill; None where that was not seen.
    """

    worker: str
    pid: int
    key: dict[str, Any]
    by: str = ""
    taken_over_s: float | None = None
    finished_s: float | None = None
    status: str = ""
    n_rescues: int = 0
    n_attempts: int = 0


@dataclass
class Killer:
    """A thread that kills one of the workers while they compute; use it as a context.

    Only children of this process are touched. The victim is stopped first, and killed only if its job
    is seen to be reserved still: it then is between the claim and the commit, whatever the clocks say.
    """

    jobs: JobTable
    rescue: Rescue | None = None
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Killer:
        self._connection = self.jobs.connection.clone()
        self._table = FreeTable.at(self._connection, *self.jobs.table_id)
        self._thread = threading.Thread(target=self._run, name="demo-killer", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        held = self._catch()
        if held is None:
            return
        os.kill(held["pid"], signal.SIGKILL)
        killed = time.monotonic()
        key = self._key_of(held)
        self.rescue = Rescue(held["_worker"], held["pid"], key)
        while not self.rescue.status:
            ending = self._end.wait(_LOOK_EVERY_S)  # looks once more after the last job
            self._follow(self.rescue, held["_token"], time.monotonic() - killed)
            if ending:
                return

    def _follow(self, rescue: Rescue, lost_token: Any, since_s: float) -> None:
        """Note what has changed about the job of the dead worker."""
        job = (self._table & rescue.key).proj(*_OWN, "_rescues", "_attempts").fetch1()
        if job["_token"] in (None, lost_token) and job["status"] in ("reserved", "pending"):
            return
        rescue.by, rescue.n_rescues, rescue.n_attempts = job["_worker"], job["_rescues"], job["_attempts"]
        if rescue.taken_over_s is None:
            rescue.taken_over_s = since_s
        if job["status"] in ("success", "error"):
            rescue.finished_s = since_s
            rescue.status = job["status"]

    def _catch(self) -> dict[str, Any] | None:
        """Wait for two workers at work and a job that is done; return a job whose worker is stopped."""
        seen: dict[Any, float] = {}
        while not self._end.wait(_LOOK_EVERY_S):
            reserved = self._reserved()
            now = time.monotonic()
            seen = {job["_token"]: seen.get(job["_token"], now) for job in reserved}
            n_held = Counter(job["pid"] for job in reserved)
            if len(n_held) < 2 or not self._n_done():
                continue
            for job in reserved:
                is_at_work = n_held[job["pid"]] == 1 and now - seen[job["_token"]] >= _AT_WORK_FOR_S
                if is_at_work and self._is_stopped_inside(job):
                    return job
        return None

    def _is_stopped_inside(self, job: Mapping[str, Any]) -> bool:
        os.kill(job["pid"], signal.SIGSTOP)
        time.sleep(_LOOK_EVERY_S)  # what it had sent to the server is done by then
        if any(other["_token"] == job["_token"] for other in self._reserved()):
            return True
        os.kill(job["pid"], signal.SIGCONT)
        return False

    def _n_done(self) -> int:
        return len(self._table & {"status": "success"})

    def _reserved(self) -> list[dict[str, Any]]:
        """Return the jobs that our worker processes hold."""
        jobs = (self._table & {"status": "reserved"}).proj(*_OWN).to_dicts()
        return [job for job in jobs if _is_our_child(job["pid"])]

    def _key_of(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return {name: job[name] for name in self._table.heading.primary_key}


def _is_our_child(pid: int) -> bool:
    if sys.platform == "linux":
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # leaves it to its parent's wait
        except ChildProcessError:
            return False
        return True
    shown = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() == str(os.getpid())
