"""How a query is fetched: its text, kept for queries of the same shape, and the decoders of its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from dj_query.compile import fetch_text
from dj_query.select import Select, TableSource, derived
from dj_query.shape import shape_of
from dj_query.where import Equals, OneOf
from dj_schema.codecs.chain import chain_of
from dj_schema.heading import Attribute
from dj_schema.table_info import TableName
from dj_schema.types import CodecType

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_schema.dialects.base import Dialect

Decoder = Callable[[Any], Any]
_MOST_PLANS = 512
# The value of a computed attribute may come in another class: a truth value as a number, a sum as a decimal.
_COMPUTED: dict[str, Decoder] = {
    "bool": bool, "int": int, "float": float, "decimal": Decimal, "string": str,
    "uuid": lambda value: UUID(bytes=value) if isinstance(value, bytes) else value,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decoding:
    """What turns the rows of the driver into those of the user.

    Attributes
    ----------
    names : tuple of str
        The columns in order.
    decoders : tuple of (index, function)
        For the columns that the driver does not finish; a function never sees None.
    keyed : tuple of (index, function)
        For codecs that want the row's primary key as well.
    key_indexes : tuple of (name, index)
        Where the primary key is in a row.
    """

    names: tuple[str, ...]
    decoders: tuple[tuple[int, Decoder], ...]
    keyed: tuple[tuple[int, Callable[[Any, dict[str, Any]], Any]], ...]
    key_indexes: tuple[tuple[str, int], ...]

    @property
    def is_trivial(self) -> bool:
        return not self.decoders and not self.keyed

    def rows(self, rows: list[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
        """Decode a batch of rows, column by column."""
        if self.is_trivial or not rows:
            return rows
        keys = [{n: row[i] for n, i in self.key_indexes} for row in rows] if self.keyed else []
        columns = [list(map(itemgetter(i), rows)) for i in range(len(self.names))]
        for i, decode in self.decoders:
            columns[i] = [None if v is None else decode(v) for v in columns[i]]
        for i, decode_with_key in self.keyed:
            columns[i] = [
                None if v is None else decode_with_key(v, key)
                for v, key in zip(columns[i], keys, strict=True)
            ]
        return list(zip(*columns, strict=True))


def decoding_of(attributes: Sequence[Attribute], dialect: Dialect) -> Decoding:
    """Return how the columns of these attributes are decoded."""
    decoders: list[tuple[int, Decoder]] = []
    keyed: list[tuple[int, Callable[[Any, dict[str, Any]], Any]]] = []
    for i, attribute in enumerate(attributes):
        stored = dialect.types.decoder_of(attribute.storage)
        if stored is not None:
            decoders.append((i, stored))
        elif attribute.type is None and attribute.kind in _COMPUTED:
            decoders.append((i, _COMPUTED[attribute.kind]))
        elif attribute.type is None and attribute.kind == "json" and dialect.name != "postgresql":
            decoders.append((i, _json))
        if isinstance(attribute.type, CodecType):
            chain = chain_of(str(attribute.type))
            if chain.is_blob:
                decoders.append((i, chain.codecs[0].decode))
            else:
                keyed.append((i, partial(_decode, chain)))
    keys = tuple((a.name, i) for i, a in enumerate(attributes) if a.in_key)
    return Decoding(tuple(a.name for a in attributes), tuple(decoders), tuple(keyed), keys)


def _decode(chain: Any, value: Any, key: dict[str, Any]) -> Any:
    return chain.decode(value, key=key)


def _json(value: Any) -> Any:
    import json

    return json.loads(value) if isinstance(value, (str, bytes)) else value


class Plan(NamedTuple):
    """How a query is fetched.

    Attributes
    ----------
    reads : TableName or None
        The only table that is read, where that is known.
    """

    text: str
    params: tuple[Any, ...]
    decoding: Decoding
    reads: TableName | None


def plan_of(expression: QueryExpression, names: tuple[str, ...] | None = None) -> Plan:
    """Return the plan to fetch these attributes, all visible ones by default.

    It is kept with the heading, so that the same shape with other values costs no compilation.
    """
    select, heading = expression.select, expression.heading
    shape = shape_of(select)
    if shape is None:
        return Plan(*_compiled(expression, names), reads=None)
    memo = heading.memo("plans", dict)
    key = (names, *shape.key)
    kept = memo.get(key)
    if kept is None:
        text, _, decoding = _compiled(expression, names)
        if len(memo) >= _MOST_PLANS:  # conditions that a program formats are each a shape of their own
            memo.clear()
        kept = memo[key] = (shape.columns, text, decoding, _only_table(select))
    _, text, decoding, reads = kept
    return Plan(text, tuple(shape.values), decoding, reads)


def _only_table(select: Select) -> TableName | None:
    """The table that a block reads, where its conditions look at no other, nor are a user's SQL."""
    if isinstance(select.source, TableSource) and all(isinstance(c, (Equals, OneOf)) for c in select.where):
        return select.source.schema, select.source.table
    return None


def _compiled(
    expression: QueryExpression, names: tuple[str, ...] | None
) -> tuple[str, tuple[Any, ...], Decoding]:
    connection = expression.connection
    narrowed = narrowed_to(expression.select, expression.heading.names if names is None else names)
    text, params = connection.render(fetch_text(narrowed, connection.dialect))
    return text, params, decoding_of([c.attribute for c in narrowed.columns], connection.dialect)


def narrowed_to(select: Select, names: Sequence[str]) -> Select:
    """Return the block with these attributes alone, in this order."""
    columns = {c.attribute.name: c for c in select.columns}
    wanted = tuple(columns[n] for n in names)
    if wanted == select.columns:
        return select
    if select.is_distinct:
        inner = derived(select)
        by_name = {c.attribute.name: c for c in inner.columns}
        return replace(inner, columns=tuple(by_name[n] for n in names))
    return replace(select, columns=wanted)
