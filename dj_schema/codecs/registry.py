"""Which codec a name stands for: classes register as they are defined, plugins load when asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dj_schema.codecs.type_spec import NAME, parse_type_spec
from dj_schema.errors import DataJointError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from dj_schema.codecs.base import Codec

_ENTRY_POINT_GROUPS = ("datajoint.codecs", "datajoint.types")  # the second is what 0.x plugins declare

_codecs: dict[str, Codec] = {}
_generation = 0
_lock = threading.Lock()


def register(codec_class: type[Codec]) -> None:
    """Make a codec class usable under its name.

    A class of the same module and qualified name takes the place of the earlier one, so that a
    notebook cell may be run again and a module reloaded.

    Raises
    ------
    DataJointError
        The name is malformed or taken by another class, or the class cannot be instantiated.
    """
    global _generation
    name = codec_class.name
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DataJointError(
            f"{_where(codec_class)}: the codec name {name!r} is not usable. "
            "Use a letter, then letters, digits and underscores."
        )
    codec = _instance_of(codec_class)
    with _lock:
        existing = _codecs.get(name)
        if existing is not None and _where(type(existing)) != _where(codec_class):
            raise DataJointError(
                f"Codec <{name}> is already registered by {_where(type(existing))}; "
                f"give {_where(codec_class)} a name of its own, or register=False if it is only a base class."
            )
        _codecs[name] = codec
        _generation += 1


def get_codec(name: str) -> Codec:
    """Return the codec of a name, written `name`, `<name>` or `<name@store>`.

    Raises
    ------
    DataJointError
        There is no such codec, in this process or in an installed plugin.
    """
    name = parse_type_spec(name).name
    return _codecs.get(name) or _load_plugin(name)


def list_codecs() -> list[str]:
    """Return the names of all codecs, sorted; those of plugins are listed without loading them."""
    return sorted(_codecs.keys() | {entry.name for entry in _plugin_entries()})


def is_codec_registered(name: str) -> bool:
    """Say whether a codec of this name is defined, or declared by an installed plugin."""
    name = parse_type_spec(name).name
    return name in _codecs or any(entry.name == name for entry in _plugin_entries())


def unregister_codec(name: str) -> None:
    """Forget a codec; for tests.

    Raises
    ------
    DataJointError
        No codec of this name is registered.
    """
    global _generation
    name = parse_type_spec(name).name
    with _lock:
        if _codecs.pop(name, None) is None:
            raise DataJointError(f"Codec <{name}> is not registered, so it cannot be unregistered.")
        _generation += 1


def generation() -> int:
    """Return a number that changes whenever a name may stand for another codec."""
    return _generation


def _instance_of(codec_class: type[Codec]) -> Codec:
    # ABC marks a class as abstract only after __init_subclass__, so it would let this one pass.
    methods = {"encode": codec_class.encode, "decode": codec_class.decode}
    missing = [name for name, method in methods.items() if getattr(method, "__isabstractmethod__", False)]
    if missing:
        raise DataJointError(
            f"{_where(codec_class)} does not define {' and '.join(missing)}; "
            "define them, or pass register=False if it is only a base class."
        )
    try:
        return codec_class()
    except TypeError as error:
        raise DataJointError(
            f"{_where(codec_class)} cannot be instantiated: {error}. Its __init__ must need no arguments."
        ) from error


def _where(codec_class: type) -> str:
    return f"{codec_class.__module__}.{codec_class.__qualname__}"


def _plugin_entries() -> list[EntryPoint]:
    from importlib.metadata import (
        entry_points,
    )  # loads half of the standard library, and only plugins need it

    return [entry for group in _ENTRY_POINT_GROUPS for entry in entry_points(group=group)]


def _load_plugin(name: str) -> Codec:
    """Load the plugins until one defines the codec: those that carry its name first.

    The lock is not held here: loading imports, and another thread may be importing a module that registers.
    """
    failures: list[tuple[EntryPoint, Exception]] = []
    for entry in sorted(_plugin_entries(), key=lambda candidate: candidate.name != name):
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001 - another's package at its top level: it may raise anything
            failures.append((entry, error))
        if name in _codecs:
            return _codecs[name]
    raise _unknown(name, failures) from (failures[0][1] if failures else None)


def _unknown(name: str, failures: list[tuple[EntryPoint, Exception]]) -> DataJointError:
    lines = [
        f"Unknown codec: <{name}>. Import the module that defines it, or define a subclass of Codec "
        f"with name = {name!r}. Known: {', '.join(sorted(_codecs)) or 'none'}."
    ]
    lines += [f"Plugin {entry.name} ({entry.value}) did not load: {reason}" for entry, reason in failures]
    return DataJointError("\n".join(lines))
