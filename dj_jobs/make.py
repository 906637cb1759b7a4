"""The make protocol: in one part, in three, or as a generator; inputs are verified before it inserts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dj_jobs.fingerprint import fingerprint
from dj_jobs.retry import INFRASTRUCTURE
from dj_query.table import MakeScope, inserts_allowed
from dj_schema.errors import InputChangedError, MakeError
from dj_schema.transaction import transaction

if TYPE_CHECKING:
    from dj_query.table import Table

Finish = Callable[[bool], None]
_NOTHING = object()
_PARTS = ("make_fetch", "make_compute", "make_insert")


class Form(Enum):
    """How a class computes."""

    ONE_PART = "one part"
    THREE_PARTS = "three parts"
    GENERATOR = "generator"
    NONE = "none"


def make_once(table: Table, key: Mapping[str, Any], make_kwargs: Mapping[str, Any], finish: Finish) -> bool:
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
    kind: Any = type(table)
    form = form_of(kind)
    if form is Form.THREE_PARTS:
        return _three_part(table, dict(key), dict(make_kwargs), finish)
    if form is Form.GENERATOR:
        return _generator(table, dict(key), dict(make_kwargs), finish)
    with _insertion(table, key, finish) as scope:
        returned = table.make(dict(key), **make_kwargs)  # type: ignore[attr-defined]
        if returned is not None and (inspect.isgenerator(returned) or inspect.iscoroutine(returned)):
            returned.close()
            raise MakeError(
                f"the make of {type(table).__name__} returned a {type(returned).__name__}, which never ran; "
                "where a decorator hides a make that yields, let it use functools.wraps."
            )
    return scope.has_rows


@lru_cache(maxsize=1024)
def form_of(kind: type) -> Form:
    """Return how a class computes: as the most derived class says that says anything; `make` before parts."""
    for base in kind.__mro__:
        if "make" in base.__dict__:
            is_generator = inspect.isgeneratorfunction(inspect.unwrap(_function(base.__dict__["make"])))
            return Form.GENERATOR if is_generator else Form.ONE_PART
        if any(name in base.__dict__ for name in _PARTS):
            return Form.THREE_PARTS
    return Form.NONE


def is_one_part(kind: type) -> bool:
    """Whether a class fetches, computes and inserts in one plain `make`, all in one transaction."""
    return form_of(kind) is Form.ONE_PART


def check_make(kind: type, make_kwargs: Mapping[str, Any] | None = None) -> None:
    """Raise where a class cannot be computed, or not with these arguments.

    Raises
    ------
    MakeError
        Says which method is missing, or which argument it does not take.
    """
    form = form_of(kind)
    name = kind.__name__
    if form is Form.NONE:
        raise MakeError(
            f"{name} has no make(self, key); write one, or make_fetch, make_compute, make_insert."
        )
    if form is Form.THREE_PARTS and (missing := [part for part in _PARTS if _raw(kind, part) is None]):
        raise MakeError(f"{name} computes in three parts, and {', '.join(missing)} is missing.")
    first = "make_fetch" if form is Form.THREE_PARTS else "make"
    method = _raw(kind, first)
    arguments = ("key",) if isinstance(method, staticmethod) else ("self", "key")
    try:
        inspect.signature(_function(method)).bind(*arguments, **make_kwargs or {})
    except TypeError as e:
        raise MakeError(
            f"{first} of {name} cannot be called with a key and make_kwargs={make_kwargs}: {e}."
        ) from e


def _raw(kind: type, name: str) -> Any:
    return next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)


def _function(method: Any) -> Any:
    return method.__func__ if isinstance(method, (staticmethod, classmethod)) else method


@contextmanager
def _insertion(table: Table, key: Mapping[str, Any], finish: Finish) -> Iterator[MakeScope]:
    """The one transaction in which rows are inserted and the job ends."""
    with transaction(table.connection, guarded=True), inserts_allowed(table, key) as scope:
        yield scope
        finish(scope.has_rows)


# -- in three parts --------------------------------------------------------------------------------


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _three_part(table: Any, key: dict[str, Any], kwargs: dict[str, Any], finish: Finish) -> bool:
    fetch, compute, insert = table.make_fetch, table.make_compute, table.make_insert
    fetched = _as_tuple(fetch(dict(key), **kwargs))
    before = fingerprint(fetched)
    inputs = (fetched,) if _last_names(compute, kwargs)[-1:] == ["fetched"] else fetched
    computed = _as_tuple(compute(dict(key), *inputs, **_named(compute, kwargs)))
    with _insertion(table, key, finish) as scope:
        _verify(table, key, before, lambda: _as_tuple(fetch(dict(key), **kwargs)))
        insert(dict(key), *_results(_last_names(insert, kwargs), fetched, computed), **_named(insert, kwargs))
    return scope.has_rows


def _results(names: list[str], fetched: tuple[Any, ...], computed: tuple[Any, ...]) -> tuple[Any, ...]:
    """A method that names `computed`, or `fetched` and `computed`, gets them whole; another, the items."""
    if names == ["fetched", "computed"]:
        return fetched, computed
    return (computed,) if names[-1:] == ["computed"] else computed


def _last_names(method: Any, kwargs: Mapping[str, Any]) -> list[str]:
    """Return the names of the last two arguments that have to be given, those of `make_kwargs` aside."""
    return [name for name in _required(getattr(method, "__func__", method)) if name not in kwargs][-2:]


@lru_cache(maxsize=1024)
def _required(function: Any) -> tuple[str, ...]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind in kinds and p.default is p.empty)


def _named(method: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return those of `make_kwargs` that a method names."""
    if not kwargs:
        return kwargs
    parameters = inspect.signature(method).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return kwargs
    return {k: v for k, v in kwargs.items() if k in parameters}


def _verify(table: Any, key: Mapping[str, Any], before: bytes, fetch: Callable[[], Any]) -> None:
    """See that what was fetched is what can be fetched now; what cannot be any more has changed too."""
    cause: Exception | None = None
    try:
        if fingerprint(fetch()) == before:
            return
    except INFRASTRUCTURE:
        raise
    except Exception as e:  # noqa: BLE001 - the user's: a row that is gone, mostly
        cause = e
    raise InputChangedError(
        f"the inputs of {table.full_table_name} for {dict(key)} changed while it was computed; "
        "nothing was inserted, and the key is to be computed again."
    ) from cause


# -- as a generator --------------------------------------------------------------------------------


def _generator(table: Any, key: dict[str, Any], kwargs: dict[str, Any], finish: Finish) -> bool:
    def start() -> closing[Generator[Any, None, None]]:
        return closing(table.make(dict(key), **kwargs))

    def fetch() -> Any:
        with start() as steps:
            return next(steps)

    with start() as steps:
        fetched = _next(table, steps)
        before = None if fetched is None else fingerprint(fetched)
        del fetched  # it may be large, and the generator has it
        _next(table, steps)
        with _insertion(table, key, finish) as scope:
            if before is not None:
                _verify(table, key, before, fetch)
            if next(steps, _NOTHING) is not _NOTHING:
                raise MakeError(_two_yields(table))
    return scope.has_rows


def _next(table: Any, steps: Iterator[Any]) -> Any:
    value = next(steps, _NOTHING)
    if value is _NOTHING:
        raise MakeError(_two_yields(table))
    return value


def _two_yields(table: Any) -> str:
    return (
        f"the make of {type(table).__name__} is a generator and must yield twice: after it has fetched, "
        "and after it has computed; it inserts after the second."
    )
