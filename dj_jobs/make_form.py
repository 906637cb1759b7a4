"""How a class computes: the form of its make, and what each part of it is given."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

from dj_schema.errors import MakeError

_PARTS = ("make_fetch", "make_compute", "make_insert")


class Form(Enum):
    """How a class computes."""

    ONE_PART = "one part"
    THREE_PARTS = "three parts"
    GENERATOR = "generator"
    NONE = "none"


def form_of(kind: type) -> Form:
    """Return how a class computes: as the most derived class says that says anything; `make` before parts.

    Found anew each time: in a notebook, a class gets its `make` after a first try without.
    """
    for base in kind.__mro__:
        if "make" in base.__dict__:
            return Form.GENERATOR if _is_generator(_function(base.__dict__["make"])) else Form.ONE_PART
        if any(name in base.__dict__ for name in _PARTS):
            return Form.THREE_PARTS
    return Form.NONE


@lru_cache(maxsize=1024)
def _is_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(inspect.unwrap(function))


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


# -- what the parts are given, and what they give ---------------------------------------------------


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return what a part returned as the arguments of the next: a tuple's items, or one value."""
    return value if isinstance(value, tuple) else (value,)


def results_for(names: list[str], fetched: tuple[Any, ...], computed: tuple[Any, ...]) -> tuple[Any, ...]:
    """A method that names `computed`, or `fetched` and `computed`, gets them whole; another, the items."""
    if names == ["fetched", "computed"]:
        return fetched, computed
    return (computed,) if names[-1:] == ["computed"] else computed


def last_names(method: Any, kwargs: Mapping[str, Any]) -> list[str]:
    """Return the names of the last two arguments that have to be given, those of `make_kwargs` aside."""
    return [name for name in _required(getattr(method, "__func__", method)) if name not in kwargs][-2:]


@lru_cache(maxsize=1024)
def _required(function: Any) -> tuple[str, ...]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind in kinds and p.default is p.empty)


def named(method: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return those of `make_kwargs` that a method names."""
    if not kwargs:
        return kwargs
    parameters = inspect.signature(method).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return kwargs
    return {k: v for k, v in kwargs.items() if k in parameters}
