"""An interruption of a make, and what is left of it in the interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from dj_jobs.watch import InterruptedMakeError, Watch

with Watch() as watch:
    try:
        watch.interrupt(TimeoutError())
        for _ in range(1000):
            pass
    except InterruptedMakeError:
        print("interrupted")
steps = []


def step():
    return 1


sys.settrace(lambda frame, event, _: steps.append(frame.f_code.co_name))
step()
print(steps)
"""


def test_a_debugger_goes_on_after_a_make_was_interrupted() -> None:
    """In a process of its own, as an interpreter that goes in a circle would take the test with it."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "interrupted\n['step']\n"
