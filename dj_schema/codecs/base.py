"""The base class of all codecs, the built-in ones and those that users write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from dj_schema.codecs import registry


class Codec(ABC):
    """Convert between a Python value and what a column, or another codec, holds.

    A subclass with a `name` is usable as `<name>` in definitions from the moment that it is defined.
    Pass `register=False` in the class statement of a base that is not to be used by itself.
    """

    name: ClassVar[str | None] = None

    def __init_subclass__(cls, *, register: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if register and cls.name is not None:
            registry.register(cls)

    def get_dtype(self, is_store: bool, /) -> str:
        """Return what `encode` gives: a core type such as `bytes` or `json`, or another codec, `<name>`.

        Parameters
        ----------
        is_store : bool
            Whether the definition asks for a store, by `@`. Given by position, so that
            a codec may call it `is_external` or `is_store`.

        Raises
        ------
        DataJointError
            This codec cannot be stored that way.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define get_dtype")

    @abstractmethod
    def encode(
        self, value: Any, *, key: Mapping[str, Any] | None = None, store_name: str | None = None
    ) -> Any:
        """Convert a value into what `get_dtype` promises. Never called for a missing value.

        Parameters
        ----------
        value : Any
            What the user inserts, or what the codec before this one in the chain encoded.
        key : Mapping, optional
            The primary key of the row.
        store_name : str, optional
            The store that the definition names; None for the default store, or for the database.
        """

    @abstractmethod
    def decode(self, stored: Any, *, key: Mapping[str, Any] | None = None) -> Any:
        """Convert back what `encode` gave. Never called for a missing value."""

    def validate(self, value: Any) -> None:  # noqa: B027 - a hook: most codecs accept what they can encode
        """Raise TypeError or ValueError if the user's value is not one to encode."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(name={self.name!r})>"
