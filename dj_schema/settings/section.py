"""The base of every group of settings: checked on assignment, read by item or attribute, aware of origins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr, ValidationError

from dj_schema.errors import ConfigError
from dj_schema.settings.problems import not_deleted, unknown_setting, wrong_value
from dj_schema.settings.sources import DEFAULT, PROGRAM, Source


@runtime_checkable
class Branch(Protocol):
    """What a dotted key can lead through."""

    def assign(self, key: str, value: object, source: Source) -> None: ...

    def assign_all(self, values: object, source: Source) -> None: ...

    def lookup(self, key: str) -> Any: ...

    def source_of(self, key: str) -> Source: ...

    def leaves(self) -> Iterator[tuple[str, Any]]: ...


def plain(value: Any) -> Any:
    """Return what item access gives: the text of a secret, anything else as it is."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def strongest(*sections: Section) -> Source:
    """Return the origin, among those of all settings of `sections`, that wins over the others."""
    origins = [source for section in sections for source in section._sources.values()]
    return max(origins, key=lambda source: source.layer, default=DEFAULT)


class Section(BaseModel):
    """A group of settings.

    ``section["name"]`` and ``section.name`` read the same setting; a secret is plain text by item, since it
    was asked for by name, and masked by attribute and in any repr.
    """

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )
    _path: str = PrivateAttr("")
    _sources: dict[str, Source] = PrivateAttr(default_factory=dict)

    def path_of(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def model_post_init(self, context: Any, /) -> None:
        for name, value in self.__dict__.items():
            if isinstance(value, Section):
                value._path = self.path_of(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self.assign(name, value, PROGRAM)

    # Hidden from the type checker, which so still finds a misspelt setting.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                return super().__getattr__(name)
            raise self._unknown(name)

    def assign(self, key: str, value: object, source: Source) -> None:
        """Check and set one setting below this section; a mapping for a whole section is merged into it."""
        first, _, rest = key.partition(".")
        if first not in type(self).model_fields:
            raise self._unknown(key, source)
        held = self.__dict__[first]
        if rest:
            if not isinstance(held, Branch):
                raise self._unknown(key, source)
            held.assign(rest, value, source)
        elif isinstance(held, Branch):
            held.assign_all(value, source)
        else:
            self._assign_leaf(first, value, source)

    def _assign_leaf(self, name: str, value: object, source: Source) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            field = type(self).model_fields[name]
            expected = "; ".join(dict.fromkeys(_sentence(problem["msg"]) for problem in error.errors()))
            secret = "SecretStr" in str(field.annotation)
            key = self.path_of(name)
            raise wrong_value(key, expected, value, where=source.label, secret=secret) from None
        self._sources[name] = source

    def assign_all(self, values: object, source: Source) -> None:
        """Set all of `values`, or none of them when one is wrong."""
        if isinstance(values, Section):
            values = {name: values.__dict__[name] for name in values.model_fields_set}
        if not isinstance(values, Mapping):
            expected = "a mapping of settings is expected"
            raise wrong_value(self._path, expected, values, where=source.label, secret=True)
        for target in (self.model_copy(deep=True), self):
            for key, value in values.items():
                target.assign(str(key), value, source)

    def lookup(self, key: str) -> Any:
        first, _, rest = key.partition(".")
        if first not in type(self).model_fields:
            raise self._unknown(key)
        value = self.__dict__[first]
        if not rest:
            return value
        if not isinstance(value, Branch):
            raise self._unknown(key)
        return value.lookup(rest)

    def source_of(self, key: str) -> Source:
        first, _, rest = key.partition(".")
        value = self.lookup(first)
        if rest:
            if not isinstance(value, Branch):
                raise self._unknown(key)
            return value.source_of(rest)
        if isinstance(value, Section):
            return strongest(value)
        return self._sources.get(first, DEFAULT)

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Yield each setting below, with its dotted key; secrets stay masked."""
        for name, value in self.__dict__.items():
            if isinstance(value, Branch):
                yield from value.leaves()
            else:
                yield self.path_of(name), value

    def names(self) -> list[str]:
        return list(type(self).model_fields)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except ConfigError:
            return default

    def __getitem__(self, key: str) -> Any:
        return plain(self.lookup(key))

    def __setitem__(self, key: str, value: object) -> None:
        self.assign(key, value, PROGRAM)

    def __delattr__(self, name: str) -> None:
        raise not_deleted(self.path_of(name))

    def __delitem__(self, key: str) -> None:
        raise not_deleted(self.path_of(key))

    def __contains__(self, key: object) -> bool:
        try:
            self.lookup(str(key))
        except ConfigError:
            return False
        return True

    def _unknown(self, key: str, source: Source | None = None) -> ConfigError:
        known = [self.path_of(name) for name in type(self).model_fields]
        if not self._path:
            known += [leaf for leaf, _ in self.leaves()]
        return unknown_setting(self.path_of(key), known, where=source.label if source else "")


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    is_acronym = message[:2].isupper()
    return message if is_acronym else message[:1].lower() + message[1:]
