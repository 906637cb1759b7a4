"""Deleting with all that depends on it, in one transaction, children first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from dj_query.compile import count_statement, exists_statement, padded_statement, where_clause
from dj_query.make_scope import current_scope
from dj_query.select import DerivedSource, JoinSource, Select, Source, TableSource, UnionSource
from dj_query.table_source import base_select
from dj_query.where import AllOf, AnyOf, Condition, Equals, Exists, Negated, OneOf
from dj_query.write.carried import carries
from dj_query.write.self_references import Family, Key, family_of, keyed, refers_to, rows_of
from dj_schema.errors import DataError, DataJointError, IntegrityError
from dj_schema.graph.dependencies import Dependencies, load_dependencies
from dj_schema.names import Tier, master_of, tier_of
from dj_schema.sql import Ident, join, sql
from dj_schema.table_info import ForeignKey, TableInfo, TableName

if TYPE_CHECKING:
    from dj_query.table import Table
    from dj_schema.connection import Connection

PartIntegrity = Literal["enforce", "ignore", "cascade"]
_CHUNK_ROWS = 1_000


@dataclass(frozen=True)
class Doomed:
    """The rows of one table that go.

    Attributes
    ----------
    select : Select
        A block over this table alone.
    family : Family or None
        The same rows, of a table that refers to itself.
    """

    select: Select
    family: Family | None = None


@dataclass
class Cascade:
    """What a delete takes with it.

    Attributes
    ----------
    start : mapping of table to Select
        The rows that were asked for, and the masters of parts.
    doomed : mapping of table to Doomed
        These rows and all that depend on them, parents first.
    """

    connection: Connection
    graph: Dependencies
    start: dict[TableName, Select]
    doomed: dict[TableName, Doomed]

    def counts(self) -> dict[TableName, int]:
        """Return how many rows of each table would go."""
        dialect = self.connection.dialect
        return {
            table: int(
                self.connection.execute(count_statement(doomed.select, dialect), is_read=True).rows[0][0]
            )
            for table, doomed in self.doomed.items()
        }

    def delete(self) -> dict[TableName, int]:
        """Delete from the last child up; return how many rows each table lost."""
        deleted = dict.fromkeys(self.doomed, 0)
        for part in self._independent_parts():
            for table in reversed(part):
                deleted[table] += _delete_doomed(self.connection, table, part[table])
        return deleted

    def _independent_parts(self) -> Iterator[dict[TableName, Doomed]]:
        """Yield cascades whose conditions stay true until the last statement of each.

        A condition that looks at a table which the delete empties, its own for example, would no longer
        hold when its turn comes; MySQL refuses some of these outright. Such rows are found first, and go
        by their keys.
        """
        if not any(tables_in(select) & self.doomed.keys() for select in self.start.values()):
            yield self.doomed
            return
        infos = {table: self.connection.catalog.table(*table) for table in self.start}
        keys = {
            table: rows_of(self.connection, infos[table], select, tuple(infos[table].heading.key_columns))
            for table, select in self.start.items()
        }
        for table, found in keys.items():
            for block in _blocks(infos[table], found):
                yield _downstream(self.connection, self.graph, {table: block})


def cascade_of(table: Table, part_integrity: PartIntegrity) -> Cascade:
    """Return what deleting the rows of a restricted table takes with it.

    Raises
    ------
    DataJointError
        Where parts would go without their master, unless `part_integrity` allows it.
    """
    _refuse_padded(table)
    connection = table.connection
    graph = load_dependencies(connection, [table.database])
    start = {table.table_id: _own_rows(table)}
    while True:
        doomed = _downstream(connection, graph, start)
        orphans = None if part_integrity == "ignore" else _orphans(connection, graph, start, doomed)
        if orphans is None:
            return Cascade(connection, graph, start, doomed)
        part, edge, select = orphans
        if part_integrity == "enforce":
            raise DataJointError(
                f"Attempt to delete part {'.'.join(part)} before its master {'.'.join(edge.parent)}. "
                "Delete from the master, or use part_integrity='cascade' to delete it too, "
                "or part_integrity='ignore'."
            )
        names = tuple(child for child, _ in edge.pairs)
        rows = dict.fromkeys(rows_of(connection, connection.catalog.table(*part), select, names))
        heading = connection.catalog.table(*edge.parent).heading
        masters = OneOf(tuple(heading[parent] for _, parent in edge.pairs), tuple(rows))
        known = start.get(edge.parent)
        either = AnyOf((AllOf(known.where), masters)) if known else masters
        start[edge.parent] = _restricted(base_select(connection.catalog.table(*edge.parent)), either)


def delete_own_rows(table: Table) -> int:
    """Delete the rows of a restricted table, and nothing else; return how many."""
    _refuse_padded(table)
    try:
        return _delete_own_rows(table)
    except IntegrityError as e:
        raise IntegrityError(
            f"{str(e).rstrip('.')}. Rows of other tables depend on these; delete() takes them along.",
            code=e.code,
            statement=e.statement,
        ) from e


def _delete_own_rows(table: Table) -> int:
    connection, select = table.connection, _own_rows(table)
    if table.table_id not in tables_in(select):
        return delete_block(connection, table.table_id, select)
    found = rows_of(connection, table.info, select, tuple(table.heading.key_columns))
    with connection.transaction:  # inside another one a savepoint, so that none is deleted of a failure
        return sum(delete_block(connection, table.table_id, block) for block in _blocks(table.info, found))


def delete_block(connection: Connection, table: TableName, select: Select) -> int:
    """Delete the rows of a block over one table; return how many."""
    if (scope := current_scope.get()) is not None:
        scope.doubts(table)
    statement = sql("DELETE FROM {}{}", Ident(*table), where_clause(select, connection.dialect))
    return connection.execute(statement).n_rows


def _delete_doomed(connection: Connection, table: TableName, doomed: Doomed) -> int:
    if doomed.family is None:
        return delete_block(connection, table, doomed.select)
    info, family = connection.catalog.table(*table), doomed.family
    if family.holding:
        released = join(", ", (sql("{} = NULL", Ident(name)) for name in family.holding))
        for block in _blocks(info, family.circular):
            where = where_clause(block, connection.dialect)
            connection.execute(sql("UPDATE {} SET {}{}", Ident(*table), released, where))
    return sum(
        delete_block(connection, table, block)
        for generation in family.generations
        for block in _blocks(info, generation)
    )


def _blocks(info: TableInfo, keys: Sequence[Key]) -> Iterator[Select]:
    for first in range(0, len(keys), _CHUNK_ROWS):
        yield keyed(info, keys[first : first + _CHUNK_ROWS])


# -- which rows ------------------------------------------------------------------------------------


def _own_rows(table: Table) -> Select:
    """Return the rows of a restricted table as a block over that table alone."""
    select = table.select
    if isinstance(select.source, TableSource) and select.is_plain:
        return select
    return _restricted(base_select(table.info), Exists(select, tuple(table.heading.key_columns)))


def _refuse_padded(table: Table) -> None:
    """Raise where a text asked for would take rows along whose text differs by spaces at its end.

    To a collation that pads they are equal; to the user, and on PostgreSQL, they are not.

    Raises
    ------
    DataError
        Names the attributes; nothing is deleted.
    """
    connection, select = table.connection, _own_rows(table)
    if connection.dialect.flags.has_exact_texts or table.table_name.startswith("~"):
        return
    own = (a for a in table.heading.all if a.kind == "string" and a.lineage)  # others compare exactly
    texts = frozenset(a.name for a in own if not str(a.storage).startswith("char("))  # has none at its end
    named = texts & _names_of_values(select.where)
    if not named:
        return
    statement = padded_statement(select, texts, connection.dialect)
    if connection.execute(statement, is_read=True).rows[0][0]:
        raise DataError(
            f"some of these rows of {table.full_table_name} have other spaces at the end of "
            f"{' or '.join(sorted(map(repr, named)))} than what was asked for, of which the server takes no "
            f"notice. Restrict by LIKE too, which does, as in `& \"{min(named)} LIKE 'text'\"`. "
            "Nothing was deleted."
        )


def _names_of_values(conditions: tuple[Condition, ...]) -> set[str]:
    """Return the attributes that conditions compare with values."""
    found: set[str] = set()
    for condition in conditions:
        match condition:
            case Equals(names=names) | OneOf(names=names):
                found.update(names)
            case AnyOf(conditions=parts) | AllOf(conditions=parts):
                found |= _names_of_values(parts)
    return found


def _restricted(select: Select, condition: Condition) -> Select:
    return replace(select, where=(*select.where, condition))


def tables_in(select: Select) -> set[TableName]:
    """Return the tables that the conditions of a block over one table look at."""
    found: set[TableName] = set()
    _collect(select.where, found)
    return found


def _collect(what: tuple[Condition, ...] | Select | Source, found: set[TableName]) -> None:
    match what:
        case tuple():
            for condition in what:
                match condition:
                    case Exists(select=select):
                        _collect(select, found)
                    case AnyOf(conditions=parts) | AllOf(conditions=parts):
                        _collect(parts, found)
                    case Negated(condition=inner):
                        _collect((inner,), found)
        case Select():
            _collect(what.source, found)
            _collect(what.where, found)
        case TableSource():
            found.add((what.schema, what.table))
        case DerivedSource():
            _collect(what.select, found)
        case JoinSource() | UnionSource():
            _collect(what.left, found)
            _collect(what.right, found)


def _downstream(
    connection: Connection, graph: Dependencies, start: Mapping[TableName, Select]
) -> dict[TableName, Doomed]:
    reached = {t for table in start for t in graph.descendants(table)}
    doomed: dict[TableName, Doomed] = {}
    for table in graph.in_order(reached):
        info = connection.catalog.table(*table)
        conditions: list[Condition] = [_all_of(start[table].where)] if table in start else []
        loops = []
        for edge in graph.edges_to_parents(table):
            if edge.parent == table:
                loops.append(edge)
            elif edge.parent in doomed:
                parent = doomed[edge.parent].select
                can_carry = carries(edge, info, parent.where, connection.dialect.flags)
                conditions.append(_all_of(parent.where) if can_carry else refers_to(edge, parent))
        select = _restricted(
            base_select(info), conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))
        )
        if not loops:
            doomed[table] = Doomed(select)
            continue
        family = family_of(connection, info, select, loops)
        doomed[table] = Doomed(keyed(info, family.keys) if family.keys else select, family)
    return doomed


def _all_of(conditions: tuple[Condition, ...]) -> Condition:
    return conditions[0] if len(conditions) == 1 else AllOf(conditions)


def _orphans(
    connection: Connection,
    graph: Dependencies,
    start: Mapping[TableName, Select],
    doomed: Mapping[TableName, Doomed],
) -> tuple[TableName, ForeignKey, Select] | None:
    """Return the first part with rows that would go without their master, its foreign key, and these rows."""
    for table, found in doomed.items():
        edges = graph.edges_to_parents(table)
        master = (table[0], master_of(table[1]) or "")
        edge = next((e for e in edges if e.parent == master), None)
        if tier_of(table[1]) is not Tier.PART or edge is None:
            continue
        if table not in start and all(e is edge or e.parent not in doomed for e in edges):
            continue  # it is reached through its master alone
        rows = found.select
        if master in doomed:
            rows = _restricted(rows, Negated(refers_to(edge, doomed[master].select)))
        if connection.execute(exists_statement(rows, connection.dialect), is_read=True).rows[0][0]:
            return table, edge, rows
    return None
