"""Put the photographs of the demonstration into the configured server: ``python -m dj_workers.demo.fill``."""

from __future__ import annotations

import sys

from dj_workers.demo import images


def main() -> None:
    """Insert what is missing; a second run changes nothing."""
    from dj_workers.demo import pipeline

    pipeline.Image().insert(images.rows(None), skip_duplicates=True)
    sys.stderr.write(f"{len(pipeline.Image())} photographs are there\n")


if __name__ == "__main__":
    main()
