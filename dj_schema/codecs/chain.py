"""From the codec that a definition names, by way of those that it delegates to, to a core type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dj_schema.codecs import registry
from dj_schema.codecs.base import Codec
from dj_schema.codecs.blob import BlobCodec
from dj_schema.codecs.type_spec import is_codec_spec, parse_type_spec
from dj_schema.errors import DataJointError


@dataclass(frozen=True)
class Chain:
    """The codecs that a value goes through, and the core type that it ends as.

    Attributes
    ----------
    codecs : tuple of Codec
        From the one that the user's value meets first.
    dtype : str
        The core type of the column. A `json` value is serialized by whoever writes the column.
    store : str or None
        None in the database, `""` in the default store, else the store's name.
    is_external : bool
        Whether the definition asks for a store.
    is_blob : bool
        Whether `<blob>` in the database is all there is to it, so that a caller may pack directly.
    """

    codecs: tuple[Codec, ...]
    dtype: str
    store: str | None
    is_external: bool = field(init=False)
    is_blob: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_external", self.store is not None)
        is_blob = self.store is None and [type(codec) for codec in self.codecs] == [BlobCodec]
        object.__setattr__(self, "is_blob", is_blob)

    def encode(self, value: Any, key: Mapping[str, Any] | None = None) -> Any:
        """Convert a user's value into that of the column; None, a missing value, stays None.

        Only the first codec validates: the others meet what a codec made, not what a user gave.
        """
        if value is None:
            return None
        self.codecs[0].validate(value)
        for codec in self.codecs:
            value = codec.encode(value, key=key, store_name=self.store or None)
        return value

    def decode(self, stored: Any, key: Mapping[str, Any] | None = None) -> Any:
        """Convert a column's value into the user's; NULL becomes None."""
        if stored is None:
            return None
        for codec in reversed(self.codecs):
            stored = codec.decode(stored, key=key)
        return stored


_chains: dict[str, tuple[int, Chain]] = {}


def chain_of(spec: str) -> Chain:
    """Return the chain of `<name>`, `<name@>` or `<name@store>`.

    It is remembered until a codec is registered or unregistered.

    Raises
    ------
    DataJointError
        The text names no codec, a codec in the chain is unknown, does not support this place,
        or delegates to itself.
    """
    generation = registry.generation()
    remembered = _chains.get(spec)
    if remembered is not None and remembered[0] == generation:
        return remembered[1]
    if not is_codec_spec(spec):
        raise DataJointError(f"{spec!r} is not a codec. Write it in angle brackets: <{spec.strip()}>.")
    chain = _resolve(spec)
    # Under the generation from before: had the registry changed meanwhile, this entry is already out of date.
    _chains[spec] = (generation, chain)
    return chain


def resolve_dtype(dtype: str) -> tuple[str, list[Codec], str | None]:
    """Return the core type that a type ends as, the codecs on the way there, and the store.

    A type without angle brackets is returned as it is, without codecs.
    """
    if not is_codec_spec(dtype):
        return dtype, [], None
    chain = chain_of(dtype)
    return chain.dtype, list(chain.codecs), chain.store


def _resolve(spec: str) -> Chain:
    codecs: list[Codec] = []
    names: list[str] = []
    store: str | None = None
    dtype = spec
    while is_codec_spec(dtype):
        name, asked_store = parse_type_spec(dtype)
        if asked_store or store is None:  # a bare @ further down does not undo a store that is named above it
            store = asked_store
        if name in names:
            path = " -> ".join(f"<{n}>" for n in [*names, name])
            raise DataJointError(f"Circular codec reference: {path}. See what their get_dtype return.")
        codec = registry.get_codec(name)
        codecs.append(codec)
        names.append(name)
        dtype = _dtype_of(codec, store is not None)
    return Chain(tuple(codecs), dtype.strip(), store)


def _dtype_of(codec: Codec, is_store: bool) -> str:
    try:
        dtype = codec.get_dtype(is_store)
    except NotImplementedError as error:
        raise DataJointError(f"Codec <{codec.name}> lacks get_dtype, so it cannot be stored.") from error
    if not isinstance(dtype, str) or not dtype.strip():
        raise DataJointError(
            f"Codec <{codec.name}>: get_dtype returned {dtype!r}; "
            "it must return a core type such as 'bytes' or 'json', or another codec such as '<blob>'."
        )
    return dtype
