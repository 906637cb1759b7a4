"""The command of the chaos run, where there is nothing to run on."""

from __future__ import annotations

import pytest

from tests.chaos import run
from tests.chaos.plan import SHORT, Plan


@pytest.mark.parametrize("keeps", [False, True])
def test_why_a_server_cannot_be_had_is_told_also_where_notes_are_to_be_kept(keeps: bool) -> None:
    with pytest.raises(KeyError, match="no such server"):
        run._on("no such server", Plan.of_seed(1, SHORT), keeps)
