"""How many examples a property test takes: the same few each time, or many new ones.

``DJ_TEST_EXAMPLES=5000`` asks for that many, drawn anew in each run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_ASKED = os.environ.get("DJ_TEST_EXAMPLES")


def examples(n_usual: int) -> settings:
    """Return the settings of a test that makes do with so many of the same examples."""
    return settings(
        max_examples=int(_ASKED or n_usual),
        derandomize=_ASKED is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
