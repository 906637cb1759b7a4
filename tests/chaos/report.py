"""What a run reports: how jobs ended, what was broken, and what went against a guarantee."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.history import History, InputChange, Move, RowChange, Violation

_SHOWN = 40


@dataclass
class Report:
    """What a run did and found."""

    server: str
    seed: int
    n_jobs: int
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    n_moves: int = 0
    n_workers: int = 0
    violations: list[tuple[str, Violation]] = field(default_factory=list)

    def __str__(self) -> str:
        def counts(counter: Counter[str]) -> str:
            return ", ".join(f"{n} {name}" for name, n in sorted(counter.items())) or "none"

        lines = [
            f"{self.server}, seed {self.seed}: {self.n_jobs} jobs in {self.seconds:.0f} s; "
            f"{self.n_workers} starts of workers, {self.n_moves} moves recorded",
            f"  ended: {counts(self.ends)}",
            f"  broken: {counts(self.faults)}",
        ]
        if self.left_out:
            lines.append(f"  not broken, because the server is not ours: {counts(self.left_out)}")
        lines.append(f"  violations: {len(self.violations)}")
        lines += [f"    {table}: {violation}" for table, violation in self.violations[:_SHOWN]]
        return "\n".join(lines)


def write_evidence(path: Path, history: History, found: list[Violation]) -> None:
    """Write down all that happened to the keys of the violations."""
    happened: list[Move | RowChange | InputChange] = [*history.moves, *history.rows, *history.inputs]
    with open(path, "w") as file:
        file.writelines(f"{v}\n" for v in found)
        for key in sorted({v.key for v in found[:_SHOWN] if v.key is not None}):
            file.write(f"\nkey {key}\n")
            file.writelines(f"  {h}\n" for h in sorted(happened, key=lambda h: h.seq) if h.key == key)
            file.writelines(f"  {n}\n" for n in history.notes if n.key == key)
        file.write("\nfaults\n")
        file.writelines(f"  {f}\n" for f in sorted(history.faults, key=lambda f: f.at))


def ends_of(history: History) -> Counter[str]:
    """How keys ended, in words."""
    ends: Counter[str] = Counter()
    last = {move.key: move.after for move in sorted(history.moves, key=lambda m: m.seq)}
    for key, ending in history.rules.endings.items():
        job = last.get(key)
        if job is not None and job.status == "error":
            how = job.error.split(":")[0]
            ends[how if "error" in ending else f"{how} (for what befell its workers)"] += 1
        elif job is not None and job.status == "success" and job.is_empty:
            ends["without a row"] += 1
        else:
            ends["with a row" if job is None or job.status == "success" else job.status] += 1
    return ends
