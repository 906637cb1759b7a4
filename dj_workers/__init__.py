"""Processes around jobs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dj_workers.daemon import Worker
    from dj_workers.steps import Step, step
    from dj_workers.work import Tally, Work

_PLACES = {
    "Worker": "dj_workers.daemon",
    "Work": "dj_workers.work",
    "Tally": "dj_workers.work",
    "Step": "dj_workers.steps",
    "step": "dj_workers.steps",
}

__all__ = ["Step", "Tally", "Work", "Worker", "step"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'dj_workers' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
