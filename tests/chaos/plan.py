"""What a run is to break, drawn from a seed before it begins: the same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.proxy import Cut

FORMS = ("Parts", "Steps", "Locked", "Timed")
UNGUARDED = ("Plain", "Timed")  # in one part, which does not notice that its input changes
ROW = "row"
ENDINGS: Mapping[str, str] = {
    # how a key ends whose input asks for this
    "none": ROW,
    "raise_once": "row|error:OSError",  # an attempt that cost a worker counts too, and may be the first
    "die_once": ROW,
    "once": ROW,
    "slow": ROW,
    "change_once": ROW,
    "empty": "empty",
    "raise": "error:ValueError",
    "die": "error:WorkerLost",
    "change": "error:InputChanged",
}
URGENCIES = (3, 5, 7)


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the pipeline."""

    id: int
    form: str
    deed: str
    urgency: int

    def ending(self, table: str) -> str:
        """How its key ends in a table; only some notice that inputs change, and one has no time."""
        if self.deed == "change" and table not in ("Parts", "Steps"):
            return ROW
        if self.deed == "slow" and table == "Timed":
            return "error:JobTimeout|error:WorkerLost"  # its process is killed, and others may see that first
        return ENDINGS[self.deed]


@dataclass(frozen=True, slots=True)
class Slot:
    """A worker that is started again whenever it ends.

    Attributes
    ----------
    kind : str
        ``populate``, in a script, or ``dj-worker``.
    has_proxy : bool
        Whether its connections can be cut.
    """

    name: str
    kind: str
    processes: int
    has_proxy: bool


@dataclass(frozen=True, slots=True)
class Break:
    """One thing to break, once a share of the results is there.

    Attributes
    ----------
    slot : int
        Which worker, for what concerns one.
    chance : float
        In [0, 1): chooses among its processes, or among the sessions of the server.
    lasts_s : float
        Of a stop.
    """

    at_share: float
    kind: str
    slot: int
    chance: float
    lasts_s: float = 0.0
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is.

    Attributes
    ----------
    n_inputs : int
        Half as many jobs again, and as many once more: each is computed in one part, and in several.
    deeds : mapping
        How many inputs ask for what.
    breaks : mapping
        How many times what is broken.
    """

    n_inputs: int
    deeds: Mapping[str, int]
    breaks: Mapping[str, int]
    slots: tuple[Slot, ...]
    lease_s: float = 2.0
    max_rescues: int = 3

    @property
    def n_jobs(self) -> int:
        return 2 * self.n_inputs


@dataclass(frozen=True)
class Plan:
    """All that is decided before a run."""

    seed: int
    size: Size
    inputs: tuple[Input, ...]
    breaks: tuple[Break, ...]
    keeps_completed: bool
    later: int = field(default=0)  # so many of the inputs, the last ones, come when the run is under way

    @classmethod
    def of_seed(cls, seed: int, size: Size) -> Plan:
        chance = random.Random(seed)
        asked = [deed for deed, n in size.deeds.items() for _ in range(n)]
        deeds = asked + ["none"] * (size.n_inputs - len(asked))
        chance.shuffle(deeds)
        inputs = tuple(
            Input(i, chance.choice(FORMS), deed, chance.choice(URGENCIES)) for i, deed in enumerate(deeds)
        )
        kinds = [kind for kind, n in size.breaks.items() for _ in range(n)]
        breaks = sorted((_break(kind, size, chance) for kind in kinds), key=lambda b: b.at_share)
        return cls(seed, size, inputs, tuple(breaks), chance.random() < 0.5, size.n_inputs // 5)


def _break(kind: str, size: Size, chance: random.Random) -> Break:
    slots = [i for i, slot in enumerate(size.slots) if slot.has_proxy or not kind.startswith("cut")]
    cut = None
    if kind == "cut commit":
        cut = Cut(chance.choice(["before", "middle", "after", "after"]), chance.randint(1, 60))
    return Break(
        at_share=chance.uniform(0.02, 0.85),
        kind=kind,
        slot=chance.choice(slots),
        chance=chance.random(),
        lasts_s=size.lease_s * chance.uniform(1.2, 2.0) if kind == "stop" else 0.0,
        cut=cut,
    )


_POPULATE = Slot("populate", "populate", 1, True)
_POPULATE_2 = Slot("populate-2", "populate", 2, False)
_WORKER = Slot("worker", "dj-worker", 1, True)
_WORKER_2 = Slot("worker-2", "dj-worker", 2, False)

SHORT = Size(
    n_inputs=120,
    deeds={"raise": 3, "raise_once": 3, "die": 1, "die_once": 1, "once": 1, "slow": 1, "change_once": 4,
           "change": 1, "empty": 3},
    breaks={"kill": 1, "stop": 1, "terminate": 2, "cut": 1, "cut commit": 3, "crash": 1},
    slots=(_POPULATE, _WORKER_2),
    lease_s=1.5,
)  # fmt: skip
LONG = Size(
    n_inputs=10_000,
    deeds={"raise": 150, "raise_once": 150, "die": 3, "die_once": 40, "once": 40, "slow": 20,
           "change_once": 300, "change": 20, "empty": 150},
    breaks={"kill": 40, "stop": 16, "terminate": 60, "cut": 30, "cut commit": 80, "interrupt": 10,
            "restart": 6, "crash": 6},
    slots=(_POPULATE, _POPULATE_2, _WORKER, _WORKER_2),
)  # fmt: skip
