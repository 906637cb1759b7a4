"""A pipeline for dashboards: a make in one part that may fail, and one in three parts."""

from __future__ import annotations

import os
import signal

import datajoint as dj

schema = dj.Schema(os.environ["ROOMS_SCHEMA"])


@schema
class Room(dj.Manual):
    definition = """
    room : int32
    """


@schema
class Area(dj.Computed):
    definition = """
    -> Room
    ---
    area : float64
    """

    def make(self, key: dict[str, int]) -> None:
        if key["room"] % 10 == 3:
            raise ValueError("this room has no walls")
        if key["room"] == 5 and not os.path.exists(os.environ["ROOMS_DIED"]):
            open(os.environ["ROOMS_DIED"], "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        self.insert1({**key, "area": key["room"] ** 2})


@schema
class Price(dj.Computed):
    definition = """
    -> Area
    ---
    price : float64
    """

    def make_fetch(self, key: dict[str, int]) -> tuple[float]:
        return ((Area & key).fetch1("area"),)

    def make_compute(self, key: dict[str, int], area: float) -> tuple[float]:
        return (area * 3.0,)

    def make_insert(self, key: dict[str, int], price: float) -> None:
        self.insert1({**key, "price": price})
