"""The make protocol: in one part, in three, or as a generator; what it fetched is verified before it inserts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dj_jobs.fingerprint import fingerprint
from dj_query.table import MakeScope, inserts_allowed
from dj_schema.errors import InputChangedError, MakeError
from dj_schema.transaction import transaction

if TYPE_CHECKING:
    from dj_query.table import Table

_NOTHING = object()


def make_once(
    table: Table, key: Mapping[str, Any], make_kwargs: Mapping[str, Any], finish: Callable[[bool], None]
) -> bool:
    """Run the `make` of a table for one key, and commit what it inserted together with the end of its job.

    Parameters
    ----------
    finish : callable
        Called inside the transaction, after the rows, with whether there are any.

    Returns
    -------
    bool
        Whether rows were inserted.

    Raises
    ------
    InputChangedError
        Where what was fetched is no longer what the database holds; nothing was inserted.
    """
    kind = type(table)
    if is_three_part(kind):
        return _three_part(table, dict(key), dict(make_kwargs), finish)
    if _is_generator(kind):
        return _generator(table, dict(key), dict(make_kwargs), finish)
    with _insertion(table, key, finish) as scope:
        _method(kind, "make")(table, dict(key), **make_kwargs)
    return scope.has_rows


def is_three_part(kind: type) -> bool:
    """Whether a class computes in three parts; its own `make` goes before."""
    parts = [_method(kind, name) for name in ("make_fetch", "make_compute", "make_insert")]
    return all(p is not None for p in parts)


def is_one_part(kind: type) -> bool:
    """Whether a class fetches, computes and inserts in one plain `make`, all in one transaction."""
    return not is_three_part(kind) and not _is_generator(kind)


def _is_generator(kind: type) -> bool:
    return inspect.isgeneratorfunction(_method(kind, "make"))


def check_make(kind: type) -> None:
    """Raise where a class cannot be computed.

    Raises
    ------
    MakeError
        Says which method is missing.
    """
    present = [n for n in ("make_fetch", "make_compute", "make_insert") if _method(kind, n) is not None]
    if len(present) in (1, 2):
        missing = {"make_fetch", "make_compute", "make_insert"} - set(present)
        raise MakeError(f"{kind.__name__} computes in three parts, and {', '.join(sorted(missing))} is missing.")
    if not present and _method(kind, "make") is None:
        raise MakeError(f"{kind.__name__} has no make(self, key); write one, or make_fetch, make_compute, make_insert.")


@lru_cache(maxsize=1024)
def _method(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


@contextmanager
def _insertion(table: Table, key: Mapping[str, Any], finish: Callable[[bool], None]) -> Iterator[MakeScope]:
    """The one transaction in which rows are inserted and the job ends."""
    with transaction(table.connection, guarded=True), inserts_allowed(table, key) as scope:
        yield scope
        finish(scope.has_rows)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _three_part(table: Any, key: dict[str, Any], kwargs: dict[str, Any], finish: Callable[[bool], None]) -> bool:
    kind = type(table)
    fetch, compute, insert = (_method(kind, n) for n in ("make_fetch", "make_compute", "make_insert"))
    fetched = _as_tuple(fetch(table, dict(key), **kwargs))
    before = fingerprint(fetched)
    computed = _as_tuple(compute(table, dict(key), *_arguments(compute, fetched, None), **_named(compute, kwargs)))
    with _insertion(table, key, finish) as scope:
        _verify(table, key, before, fingerprint(_as_tuple(fetch(table, dict(key), **kwargs))))
        insert(table, dict(key), *_arguments(insert, fetched, computed), **_named(insert, kwargs))
    return scope.has_rows


def _arguments(method: Any, fetched: tuple[Any, ...], computed: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """A method that names `fetched` (and `computed`) gets them whole; another one gets their items."""
    names = list(inspect.signature(method).parameters)
    if computed is None:
        return (fetched,) if names[-1:] == ["fetched"] else fetched
    if names[-2:] == ["fetched", "computed"]:
        return fetched, computed
    return (computed,) if names[-1:] == ["computed"] else computed


def _named(method: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(method).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return kwargs
    return {k: v for k, v in kwargs.items() if k in parameters}


def _verify(table: Any, key: Mapping[str, Any], before: bytes, after: bytes) -> None:
    if before != after:
        raise InputChangedError(
            f"the inputs of {table.full_table_name} for {dict(key)} changed while it was computed; "
            "nothing was inserted, and the key is to be computed again."
        )


def _generator(table: Any, key: dict[str, Any], kwargs: dict[str, Any], finish: Callable[[bool], None]) -> bool:
    make = _method(type(table), "make")
    steps = make(table, dict(key), **kwargs)
    fetched = next(steps, _NOTHING)
    if fetched is _NOTHING:
        raise MakeError(_two_yields(table))
    before = None if fetched is None else fingerprint(fetched)
    if next(steps, _NOTHING) is _NOTHING:
        raise MakeError(_two_yields(table))
    with _insertion(table, key, finish) as scope:
        if before is not None:
            again = make(table, dict(key), **kwargs)
            _verify(table, key, before, fingerprint(next(again)))
            again.close()
        if next(steps, _NOTHING) is not _NOTHING:
            raise MakeError(_two_yields(table))
    return scope.has_rows


def _two_yields(table: Any) -> str:
    return (
        f"the make of {type(table).__name__} is a generator and must yield twice: after it has fetched, "
        "and after it has computed; it inserts after the second."
    )
