"""From results to a table, as text for the terminal and as Markdown for the README."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Bar, Figure

BEGIN = "<!-- table: written by make bench -->"
END = "<!-- end of table -->"
HEADINGS = ("workload", "us", "peer", "floor", "peer/us", "at least", "us/floor", "at most", "")


@dataclass
class Measurements:
    """Seconds by implementation and result, one number a round; and what went wrong."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    errors: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, implementation: str, name: str, seconds: float) -> None:
        self.seconds.setdefault((implementation, name), []).append(seconds)

    def median(self, implementation: str, name: str) -> float | None:
        found = self.seconds.get((implementation, name))
        return statistics.median(found) if found else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def verdict(bar: Bar, peer_over_us: float | None, us_over_floor: float | None) -> str:
    """Return ``ok``, ``below``, ``?`` where a bar has no measurement, or nothing where there is no bar."""
    missing = (bar.peer_over_us is not None and peer_over_us is None) or (
        bar.us_over_floor is not None and us_over_floor is None
    )
    too_slow = (
        bar.peer_over_us is not None and peer_over_us is not None and peer_over_us < bar.peer_over_us
    ) or (bar.us_over_floor is not None and us_over_floor is not None and us_over_floor > bar.us_over_floor)
    if too_slow:
        return "below"
    if missing:
        return "?"
    return "ok" if bar != Bar() else ""


def table(figures: Iterable[Figure], measured: Measurements, server: str) -> list[tuple[str, ...]]:
    """Return the rows under `HEADINGS`."""
    rows = []
    for figure in figures:
        us, peer, floor = (measured.median(who, figure.name) for who in ("us", "peer", "floor"))
        over_us, over_floor = _ratio(peer, us), _ratio(us, floor)
        bar = figure.bars.get(server, Bar())
        rows.append(
            (
                figure.label,
                *(_seconds(value) for value in (us, peer, floor)),
                *(_times(over_us), _times(bar.peer_over_us), _times(over_floor), _times(bar.us_over_floor)),
                verdict(bar, over_us, over_floor),
            )
        )
    return rows


def as_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Align the table for a terminal."""
    lines = [HEADINGS, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in (0, len(HEADINGS) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Return the table as Markdown."""
    rule = ("---",) + ("---:",) * (len(HEADINGS) - 2) + ("---",)
    return "\n".join("| " + " | ".join(line) + " |" for line in (HEADINGS, rule, *rows))


def machine() -> str:
    """Name the machine: processor, cores, memory, system, Python."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        processor = models[0].partition(":")[2].strip() if models else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def write_into(readme: Path, section: str) -> None:
    """Replace what stands between the marks in `readme`.

    Raises
    ------
    ValueError
        The marks are not there.
    """
    text = readme.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{section}\n{END}{after}")


def errors(measured: Measurements) -> Mapping[str, str]:
    """Return what failed, by implementation and group."""
    return {f"{who}, {group}": text for (who, group), text in measured.errors.items()}
