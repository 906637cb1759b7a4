"""The tables of one or several pipelines, for those who compute and those who dispatch."""

from __future__ import annotations

from collections.abc import Sequence

from dj_schema.errors import DataJointError
from dj_workers.cli.exit_codes import UsageMistakeError
from dj_workers.cli.source import NOTHING_BUT_STEPS, WITHOUT_CODE, load
from dj_workers.plan import TableClass, check_makes, chosen


def load_tables(
    modules: Sequence[str], tables: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[TableClass]:
    """Import pipelines and return those of their tables that are to be computed.

    Raises
    ------
    UsageMistakeError, ModuleError, MakeError
        Where there is no such module or table, or a table has no make.
    """
    if not modules:
        raise UsageMistakeError(
            "no pipeline is named: give --module my_lab.pipeline, or set DJ_CELERY_MODULES."
        )
    found: list[TableClass] = []
    for module in modules:
        source = load(module)
        if not source.has_code:
            raise UsageMistakeError(WITHOUT_CODE.format(module))
        found += [table for table in source.tables if table not in found]
    try:
        picked = chosen(found, tables, exclude)
    except DataJointError as e:
        raise UsageMistakeError(str(e)) from e
    if not picked:
        raise UsageMistakeError(
            "--exclude leaves no table." if found else f"{', '.join(modules)}: {NOTHING_BUT_STEPS}"
        )
    check_makes(picked)
    return picked
