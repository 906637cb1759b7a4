"""The workers of a run, as processes that may be sent any signal; and what they noted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.history import Fault, Note
from tests.chaos.plan import Slot
from tests.chaos.servers import ROOT

_STOP_S = 30.0


class Crew:
    """All workers, and their children.

    Parameters
    ----------
    environments : list of mapping
        For each slot, what its processes get.
    """

    def __init__(self, folder: Path, slots: tuple[Slot, ...], environments: list[Mapping[str, str]]) -> None:
        self.folder = folder
        self.slots = slots
        self._environments = environments
        self._running: list[subprocess.Popen[bytes] | None] = [None] * len(slots)
        self._pids: dict[Path, tuple[int, str]] = {}
        self._stopped: dict[int, float] = {}
        self.n_started = 0

    # -- life --------------------------------------------------------------------------------------

    def keep_running(self) -> Iterator[Fault]:
        """Start what does not run; yield what has ended."""
        for i, process in enumerate(self._running):
            if process is not None and process.poll() is not None:
                yield Fault("ended", time.time(), self.pids(i, alive=False) | {process.pid})
                process = None
            if process is None:
                self._running[i] = self._start(i)

    def _start(self, i: int) -> subprocess.Popen[bytes]:
        slot = self.slots[i]
        arguments = {
            "populate": ["-m", "tests.chaos.populate", str(slot.processes)],
            "dj-worker": [
                *("-m", "dj_workers.cli.main", "run", "tests.chaos.pipeline"),
                *("--processes", str(slot.processes), "--poll-interval", "0.2"),
            ],
        }[slot.kind]
        self.n_started += 1
        with open(self.folder / f"{slot.name}.log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **self._environments[i]},
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask all to stop, and end those that do not."""
        for pid in list(self._stopped):
            self.resume(pid)
        for process in filter(None, self._running):
            process.terminate()
        for process in filter(None, self._running):
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in self._alive(self._all_pids()):
            self._signal(pid, signal.SIGKILL)

    # -- processes ---------------------------------------------------------------------------------

    def _all_pids(self) -> list[int]:
        self._read_hellos()
        return [pid for pid, _ in self._pids.values()]

    def pids(self, i: int, *, alive: bool) -> frozenset[int]:
        """Return the processes that have said that they belong to a slot."""
        self._read_hellos()
        mine = [pid for pid, slot in self._pids.values() if slot == self.slots[i].name]
        return frozenset(self._alive(mine) if alive else mine)

    def _read_hellos(self) -> None:
        for path in self.folder.glob("*.notes"):
            if path not in self._pids:
                with open(path) as file, contextlib.suppress(json.JSONDecodeError):
                    hello = json.loads(file.readline())
                    self._pids[path] = hello["pid"], hello["slot"]

    def _alive(self, pids: list[int]) -> list[int]:
        return sorted(pid for pid in set(pids) if self._is_ours(pid))

    def _is_ours(self, pid: int) -> bool:
        """Whether a process is one of this run's, and not another that got the number of a dead one."""
        try:
            return str(self.folder).encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False

    def _signal(self, pid: int, number: signal.Signals) -> None:
        if self._is_ours(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def choose(self, i: int, chance: float) -> int | None:
        """Return one of the processes of a slot that are neither dead nor stopped."""
        pids = sorted(self.pids(i, alive=True) - self._stopped.keys())
        return pids[int(chance * len(pids))] if pids else None

    def kill(self, pid: int) -> None:
        self._signal(pid, signal.SIGKILL)

    def interrupt(self, i: int) -> int | None:
        """Ask one worker to end in order."""
        process = self._running[i]
        if process is None or process.poll() is not None:
            return None
        process.send_signal(signal.SIGTERM)
        return process.pid

    def pause(self, pid: int, seconds: float) -> None:
        self._stopped[pid] = time.monotonic() + seconds
        self._signal(pid, signal.SIGSTOP)

    def resume(self, pid: int) -> None:
        self._stopped.pop(pid, None)
        self._signal(pid, signal.SIGCONT)

    def resume_due(self) -> None:
        """Let those continue whose time is over."""
        for pid in [pid for pid, due in self._stopped.items() if due <= time.monotonic()]:
            self.resume(pid)

    @property
    def is_whole(self) -> bool:
        return not self._stopped

    # -- notes -------------------------------------------------------------------------------------

    def notes(self) -> tuple[dict[str, list[Note]], list[Fault]]:
        """Return what workers noted, by table; and the ends that they announced, as faults."""
        notes: dict[str, list[Note]] = {}
        faults: list[Fault] = []
        for path in self.folder.glob("*.notes"):
            for line in path.read_text().splitlines():
                said: dict[str, Any] = json.loads(line)
                kind = said["kind"]
                if kind in ("dies", "exits"):
                    faults.append(Fault(kind, said["at"], frozenset({said["pid"]})))
                elif kind != "hello":
                    note = Note(
                        kind, said["pid"], said["at"], said["key"], said["token"], said.get("result", "")
                    )
                    notes.setdefault(said["table"], []).append(note)
        return notes, faults
