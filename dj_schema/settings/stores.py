"""The settings of object stores: `stores.<name>.<option>`, and their older spelling `object_storage`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from dj_schema.errors import ConfigError
from dj_schema.settings.problems import unknown_setting, wrong_value
from dj_schema.settings.section import Section, plain, strongest
from dj_schema.settings.sources import DEFAULT, PROGRAM, Source

if TYPE_CHECKING:
    from dj_schema.settings.sections import AwsSettings

UNNAMED_STORE = "object_storage"
"""The store whose options stand directly in `object_storage`, unless `stores.default` names one."""


class HiddenValues(dict[str, Any]):
    """A dict that shows only its keys, since any value may be a credential."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{key!r}: **********" for key in self) + "}"


class StoreSettings(Section):
    """One store (how-to/configure-storage.md)."""

    protocol: str = "file"
    location: str | None = None
    bucket: str | None = None
    container: str | None = None
    endpoint: str | None = None
    region: str | None = None
    secure: bool = True
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    session_token: SecretStr | None = None
    account_name: str | None = None
    account_key: SecretStr | None = None
    connection_string: SecretStr | None = None
    token: SecretStr | None = None
    project: str | None = None
    project_name: str | None = None
    partition_pattern: str | None = None
    token_length: Annotated[int, Field(ge=4, le=16)] = 8
    subfolding: list[int] | None = None
    hash_prefix: str = "_hash"
    schema_prefix: str = "_schema"
    filepath_prefix: str | None = None
    stage: str | None = None
    options: Annotated[dict[str, Any], AfterValidator(HiddenValues)] = Field(default_factory=HiddenValues)
    """Handed to fsspec as they are."""

    @classmethod
    def named(cls, name: str) -> StoreSettings:
        store = cls()
        store._path = f"stores.{name}"
        return store

    def spec(self) -> dict[str, Any]:
        """Return the options that have a value; credentials stay masked objects."""
        if self.protocol == "file" and self.location is None and self.bucket is None:
            raise ConfigError(f"{self._path} is a folder of files: set {self._path}.location.")
        if self.protocol in ("s3", "gcs", "gs") and self.bucket is None:
            raise ConfigError(f"{self._path} uses {self.protocol}: set {self._path}.bucket.")
        if self.protocol == "azure" and self.container is None and self.bucket is None:
            raise ConfigError(f"{self._path} uses azure: set {self._path}.container.")
        return {name: value for name, value in self.__dict__.items() if value is not None and value != {}}


class Stores(MutableMapping[str, Any]):
    """Named stores, and under `default` the name of the one that `<blob@>` without a name means."""

    def __init__(self) -> None:
        self._default: str | None = None
        self._default_source = DEFAULT
        self._stores: dict[str, StoreSettings] = {}

    @property
    def default(self) -> str | None:
        return self._default

    def default_name(self) -> str | None:
        """Return the default store; a single store is it without being named so."""
        if self._default is None and len(self._stores) == 1:
            return next(iter(self._stores))
        return self._default

    def assign(self, key: str, value: object, source: Source) -> None:
        name, _, rest = key.partition(".")
        if name == "default":
            self._assign_default(rest, value, source)
            return
        if not name:
            raise ConfigError(f"A store needs a name ({source.label}).")
        store = self._stores.get(name) or StoreSettings.named(name)
        if rest:
            store.assign(rest, value, source)
        else:
            store.assign_all(value, source)
        self._stores[name] = store

    def _assign_default(self, rest: str, value: object, source: Source) -> None:
        if rest or not (value is None or isinstance(value, str)):
            expected = "the name of a store is expected, its options stand under stores.<name>"
            raise wrong_value("stores.default", expected, value, where=source.label, secret=True)
        self._default, self._default_source = value, source

    def assign_all(self, values: object, source: Source) -> None:
        if not isinstance(values, Mapping):
            expected = "a mapping from store name to options is expected"
            raise wrong_value("stores", expected, values, where=source.label, secret=True)
        trial = Stores()
        for target in (trial, self):
            for name, value in values.items():
                target.assign(str(name), value, source)

    def replace(self, values: object, source: Source) -> None:
        """Forget all stores and take these."""
        fresh = Stores()
        if isinstance(values, Stores):
            values = dict(values)
        fresh.assign_all(values, source)
        self.__dict__.update(fresh.__dict__)

    def lookup(self, key: str) -> Any:
        name, _, rest = key.partition(".")
        if name == "default":
            if rest:
                raise unknown_setting(f"stores.{key}", self._known())
            return self._default
        if name not in self._stores:
            raise unknown_setting(f"stores.{name}", self._known())
        store = self._stores[name]
        return store.lookup(rest) if rest else store

    def source_of(self, key: str) -> Source:
        name, _, rest = key.partition(".")
        if name == "default" and not rest:
            return self._default_source
        store = self.lookup(name)
        if rest:
            return store.source_of(rest)  # type: ignore[no-any-return]
        return strongest(store)

    def leaves(self) -> Iterator[tuple[str, Any]]:
        if self._default is not None:
            yield "stores.default", self._default
        for store in self._stores.values():
            yield from store.leaves()

    def _known(self) -> list[str]:
        return [f"stores.{name}" for name in ("default", *self._stores)]

    def __getitem__(self, key: str) -> Any:
        value = self.default_name() if key == "default" else plain(self.lookup(key))
        if value is None and key == "default":
            raise unknown_setting("stores.default", self._known(), where="no default store is set")
        return value

    def __setitem__(self, key: str, value: object) -> None:
        if key in self._stores:
            fresh = StoreSettings.named(key)
            fresh.assign_all(value, PROGRAM)
            self._stores[key] = fresh
        else:
            self.assign(key, value, PROGRAM)

    def __delitem__(self, key: str) -> None:
        if key == "default":
            self._default, self._default_source = None, DEFAULT
        elif key in self._stores:
            del self._stores[key]
        else:
            raise unknown_setting(f"stores.{key}", self._known())

    def __iter__(self) -> Iterator[str]:
        return iter([*(["default"] if self._default is not None else []), *self._stores])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return repr({name: self[name] for name in self})


class ObjectStorage:
    """The stores under their older name: `.stores`, and the options of the default store as attributes."""

    _lookup: Callable[[str], Any]
    _assign: Callable[[str, object], None]

    def __init__(self, lookup: Callable[[str], Any], assign: Callable[[str, object], None]) -> None:
        object.__setattr__(self, "_lookup", lookup)
        object.__setattr__(self, "_assign", assign)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._lookup(f"object_storage.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        self._assign(f"object_storage.{name}", value)

    def __getitem__(self, key: str) -> Any:
        return plain(self._lookup(f"object_storage.{key}"))

    def __setitem__(self, key: str, value: object) -> None:
        self._assign(f"object_storage.{key}", value)

    def __repr__(self) -> str:
        return repr(self._lookup("stores"))


def store_spec(stores: Stores, name: str | None, aws: AwsSettings) -> dict[str, Any]:
    """Return the options of a store, with the credentials of `aws` if it is on S3 and has none."""
    chosen = name or stores.default_name()
    if chosen is None:
        raise ConfigError(
            "No default store is configured: set stores.default and the options stores.<name>.protocol "
            "and stores.<name>.location, or name the store, as in <blob@name>."
        )
    if chosen == "default":
        raise ConfigError("'default' is not the name of a store; leave it out for the default store.")
    spec: dict[str, Any] = stores.lookup(chosen).spec()
    if spec["protocol"] == "s3" and "access_key" not in spec:
        fallback = {
            "access_key": aws.access_key_id,
            "secret_key": aws.secret_access_key,
            "session_token": aws.session_token,
            "region": aws.region,
        }
        spec = {option: value for option, value in fallback.items() if value is not None} | spec
    return spec


def canonical_key(key: str, stores: Stores, *, assigned_from: Source | None = None) -> str:
    """Translate a key below `object_storage` to one below `stores`.

    Parameters
    ----------
    assigned_from
        Where the key is being set, if it is: then a default store need not exist yet.
    """
    first, _, rest = key.partition(".")
    if first != "object_storage" or not rest:
        return "stores" if first == "object_storage" else key
    option, _, deeper = rest.partition(".")
    if option == "stores":
        return f"stores.{deeper}" if deeper else "stores"
    if option in ("default", "default_store"):
        return "stores.default"
    if option not in StoreSettings.model_fields:
        known = [f"object_storage.{name}" for name in ("stores", "default", *StoreSettings.model_fields)]
        raise unknown_setting(key, known, where=assigned_from.label if assigned_from else "")
    name = (stores.default or UNNAMED_STORE) if assigned_from else stores.default_name()
    if name is None:
        raise unknown_setting(key, stores._known(), where="no default store is set")
    return f"stores.{name}.{rest}"
