"""``python -m tests.chaos.run``: the long run, on servers of its own. `make chaos` calls it.

The seed decides what is broken, and when; it is printed, and ``--seed`` plans the same again. What the
operating system makes of it is its own affair, so that a second run is another sample of the same plan.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.chaos.plan import LONG, SHORT, Plan
from tests.chaos.report import Report
from tests.chaos.runner import Run
from tests.chaos.servers import OWN
from tests.support.launch import Unavailable
from tests.support.servers import RunFolder


def main() -> int:
    options = argparse.ArgumentParser(description="Compute while everything breaks, and judge the history.")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--servers", default="postgresql,mariadb", help="also mysql, where it can be had")
    options.add_argument("--jobs", type=int, default=LONG.n_jobs, help="on each (default: %(default)s)")
    options.add_argument("--short", action="store_true", help="the run that is part of the tests")
    options.add_argument("--keep", action="store_true", help="keep the folder with notes and logs")
    given = options.parse_args()
    size = SHORT if given.short else replace(LONG, n_inputs=max(given.jobs // 2, 1000))
    plan = Plan.of_seed(given.seed, size)
    print(f"seed {given.seed}", flush=True)
    reports, missing = [], {}
    for name in given.servers.split(","):
        try:
            reports.append(_on(name, plan, given.keep))
        except Unavailable as error:
            missing[name] = str(error)
            continue
        print(reports[-1], flush=True)
    for name, why in missing.items():
        print(f"not run on {name}: {why}")
    again = "--short " * given.short + f"--servers {given.servers} --jobs {given.jobs}"
    print(f'the same plan again: make chaos ARGS="--seed {given.seed} {again}"')
    return 1 if missing or any(report.violations for report in reports) else 0


def _on(name: str, plan: Plan, keeps: bool) -> Report:
    folder = RunFolder.make()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{name} {time.monotonic() - started:6.1f} s  {text}", file=sys.stderr, flush=True)

    report: Report | None = None
    try:
        own = OWN[name](folder.path)
        try:
            own.start()
            work = folder.path / "work"
            work.mkdir()
            report = Run(plan, own.under_test(), work, own, say).execute()
        finally:
            own.close()
    finally:
        work = folder.path / "work"  # there is none where the server did not start
        if work.exists() and (keeps or (report is not None and report.violations)):
            kept = Path(f"{folder.path}-{name}-seed-{plan.seed}")
            work.rename(kept)
            print(f"notes, logs and what led to violations: {kept}", flush=True)
        folder.close()
    assert report is not None
    return report


if __name__ == "__main__":
    sys.exit(main())
