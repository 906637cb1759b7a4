"""A script as users write it: populate all tables, again and again, until it is stopped."""

from __future__ import annotations

import sys
import time

from dj_schema.errors import DataJointError
from tests.chaos.pipeline import TABLES


def main(processes: int) -> None:
    while True:
        for table in TABLES:
            try:
                table().populate(reserve_jobs=True, suppress_errors=True, processes=processes)
            except DataJointError as e:  # the server is away, mostly; the next round sees
                print(f"populate: {type(e).__name__}: {e}", file=sys.stderr, flush=True)
        time.sleep(0.2)


if __name__ == "__main__":
    main(int(sys.argv[1]))
