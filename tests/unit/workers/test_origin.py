"""Where another process finds a class."""

from __future__ import annotations

import pytest

from dj_schema.errors import DataJointError
from dj_schema.names import Tier
from dj_workers.pools.origin import Origin, find, has_guard, origin_of


def test_a_class_of_a_module_is_found_by_its_name() -> None:
    assert origin_of(Tier) == Origin("dj_schema.names", "Tier")


def test_a_class_of_a_function_has_no_address() -> None:
    class Local: ...

    assert origin_of(Local) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('if __name__ == "__main__":\n    run()', True),
        ("if '__main__' == __name__: run()", True),
        ('import sys\nif __name__ == "__main__" and sys.argv:\n    run()', True),
        ("run()", False),
        ('def main():\n    if __name__ == "__main__":\n        run()\nmain()', False),
        ("# if __name__ == '__main__':", False),
    ],
)
def test_a_guard_is_an_if_on_the_name_at_the_top_level(source: str, expected: bool) -> None:
    assert has_guard(source) is expected


def test_what_is_no_table_is_not_found() -> None:
    with pytest.raises(DataJointError, match="finds no table Tier in it"):
        find(Origin("dj_schema.names", "Tier"))
