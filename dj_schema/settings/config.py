"""`Config`: all settings of a program, where each came from, and changes for the length of a block."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

from dj_schema.errors import ArgumentTypeError, ConfigError
from dj_schema.settings import sources
from dj_schema.settings.problems import UnknownSettingError, not_deleted, wrong_value
from dj_schema.settings.sources import OVERRIDE, PROGRAM, Given, Layer, Source

if TYPE_CHECKING:
    from dj_schema.settings.sections import (
        AwsSettings,
        CelerySettings,
        DatabaseSettings,
        DisplaySettings,
        JobsSettings,
        NotifySettings,
        Settings,
    )
    from dj_schema.settings.stores import ObjectStorage, Stores

_overridden: ContextVar[Mapping[Config, Settings]] = ContextVar("_overridden", default=MappingProxyType({}))


_NAMES_OF_DEFAULT = ("stores.default", "object_storage.default", "object_storage.default_store")


class _Load:
    """`Config.load()` reads all sources into a new Config, `config.load(path)` one more file into it."""

    @overload
    def __get__(self, config: None, owner: type[Config]) -> Callable[..., Config]: ...

    @overload
    def __get__(self, config: Config, owner: type[Config]) -> Callable[[str | Path], None]: ...

    def __get__(self, config: Config | None, owner: type[Config]) -> Callable[..., Config | None]:
        return owner.from_sources if config is None else config.read_file


class Config:
    """Settings by item (`config["jobs.version"]`), by attribute (`config.jobs.version`), and by block.

    What is set in the program wins over the environment, that over `.secrets/`, that over `datajoint.json`,
    and that over the defaults. A new `Config()` holds the defaults; `Config.load()` reads the sources.

    Within ``with config.override(...)`` the settings are a copy that belongs to this thread or asyncio task:
    no other thread sees it, threads started inside the block begin with the settings outside of it (run
    them in ``contextvars.copy_context()`` to hand it on), and all that is set inside ends with the block.

    A secret read by item is text; by attribute, in a section and in every repr it is masked.
    """

    if TYPE_CHECKING:
        database: DatabaseSettings
        stores: Stores
        jobs: JobsSettings
        celery: CelerySettings
        notify: NotifySettings
        display: DisplaySettings
        aws: AwsSettings
        object_storage: ObjectStorage
        safemode: bool
        loglevel: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
        download_path: str
        fetch_format: Literal["array", "frame"]
        _base: Settings

    load = _Load()

    def __init__(self) -> None:
        from dj_schema.settings.sections import Settings  # pydantic: 70 ms that an import must not cost

        object.__setattr__(self, "_base", Settings())

    @classmethod
    def from_sources(
        cls, *, environ: Mapping[str, str] | None = None, start: Path | None = None, home: Path | None = None
    ) -> Config:
        """Read `datajoint.json` and `.secrets/` (from `start` upwards), then the environment.

        Parameters
        ----------
        environ
            Instead of the variables of this process.
        start
            Instead of the current directory.
        home
            Where the search upwards ends at the latest, instead of the user's home.

        Raises
        ------
        ConfigError
            A key is unknown, a value does not fit, or a file cannot be read; it names the key and its origin.
        """
        config = cls()
        folder = sources.project_folder((start or _current_folder()).resolve(), home or _home())
        if folder is not None:
            if os.path.lexists(folder / sources.FILE_NAME):
                config._apply(sources.read_file(folder / sources.FILE_NAME))
            sections = config._base.names()
            config._apply(sources.read_secrets(folder / sources.SECRETS_NAME, sections))
        from dj_schema.settings.stores import StoreSettings

        given = sources.read_environment(
            os.environ if environ is None else environ,
            _fixed_keys(config._base),
            config._base.stores,
            StoreSettings.model_fields,
        )
        config._apply(given)
        return config

    def read_file(self, path: str | Path) -> None:
        """Read one more settings file; what the program, the environment or `.secrets/` set stays.

        Also available as ``config.load(path)``.
        """
        if not isinstance(path, (str, Path)):
            raise ArgumentTypeError(
                f"settings are read from the path of a file, not from {type(path).__name__}."
            )
        path = Path(path).expanduser()
        trial = self.copy()
        for target in (trial, self):
            target._apply(sources.read_file(path), weaker_than=Layer.SECRETS)

    @contextmanager
    def override(self, settings: Mapping[str, object] | None = None, /, **more: object) -> Iterator[Config]:
        """Change settings for the length of a block, in this thread.

        A mapping is merged into its section: ``override(safemode=False, jobs={"version": "2"})``. A dotted
        key is written with two underscores, ``override(database__host="x")``, or put into one mapping.
        """
        from dj_schema.settings.stores import Stores

        if settings is not None and not isinstance(settings, Mapping):
            raise ConfigError(f"override() takes a mapping of settings, not {type(settings).__name__}.")
        changed = self._current.model_copy(deep=True)
        wanted = {**(settings or {}), **{key.replace("__", "."): value for key, value in more.items()}}
        for key, value in wanted.items():
            _assign(changed, key, dict(value) if isinstance(value, Stores) else value, OVERRIDE)
        token = _overridden.set({**_overridden.get(), self: changed})
        try:
            yield self
        finally:
            _overridden.reset(token)

    def get_object_store_spec(self, name: str | None = None) -> dict[str, Any]:
        """Return the options of a store, the default one without a name; its credentials are masked objects.

        A store of protocol s3 without an access key takes the credentials of the section `aws`.
        """
        from dj_schema.settings.stores import store_spec

        return store_spec(self.stores, name, self.aws)

    get_store_spec = get_object_store_spec

    def source_of(self, key: str) -> str:
        """Return where a setting was set: a variable, a file, the program, `override()`, or its default."""
        return self._current.source_of(self._canonical(key)).label

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as nested dicts; secrets are masked objects."""
        nested: dict[str, Any] = {}
        for key, value in self._current.leaves():
            *sections, name = key.split(".")
            inner = nested
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[name] = value
        return nested

    def copy(self) -> Config:
        """Return an independent Config with the settings that hold here and now."""
        twin = type(self)()
        object.__setattr__(twin, "_base", self._current.model_copy(deep=True))
        return twin

    # There is no keys(): dict(config) would hold secrets as text.
    def items(self) -> list[tuple[str, Any]]:
        """Return every setting with its dotted key; secrets are masked objects."""
        return list(self._current.leaves())

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except ConfigError:
            return default

    def __getitem__(self, key: str) -> Any:
        from dj_schema.settings.section import plain

        return plain(self._lookup(key))

    def __setitem__(self, key: str, value: object) -> None:
        self._assign_in_program(key, value)

    def __delitem__(self, key: str) -> None:
        raise not_deleted(key)

    def __delattr__(self, name: str) -> None:
        raise not_deleted(name)

    if not TYPE_CHECKING:  # so that the type checker knows the settings, and finds a misspelt one

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"Config has no attribute {name}")
            return self._lookup(name)

    def __setattr__(self, name: str, value: object) -> None:
        self._assign_in_program(name, value)

    def __contains__(self, key: object) -> bool:
        try:
            self._lookup(str(key))
        except ConfigError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._current.leaves())

    def __len__(self) -> int:
        return len(self.items())

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._current.names(), "object_storage"]

    def __repr__(self) -> str:
        current = self._current
        rows = [(f"{key} = {value!r}", current.source_of(key).label) for key, value in current.leaves()]
        return "\n".join(f"{text:<44} # {label}" for text, label in rows)

    def __getstate__(self) -> dict[str, Settings]:
        # A worker process starts with the settings that hold where it was started.
        return {"_base": self._current}

    def __setstate__(self, state: dict[str, Settings]) -> None:
        object.__setattr__(self, "_base", state["_base"])

    @property
    def _current(self) -> Settings:
        return _overridden.get().get(self, self._base)

    def _canonical(self, key: str) -> str:
        from dj_schema.settings.stores import canonical_key

        if not isinstance(key, str):
            raise UnknownSettingError(f"The name of a setting is text, not {type(key).__name__}.")
        return canonical_key(key, self._current.stores)

    def _lookup(self, key: str) -> Any:
        if key == "object_storage":
            from dj_schema.settings.stores import ObjectStorage

            return ObjectStorage(self._lookup, self._assign_in_program)
        if key == "stores.default":
            return self._current.stores.default_name()
        return self._current.lookup(self._canonical(key))

    def _assign_in_program(self, key: str, value: object) -> None:
        if key in ("stores", "object_storage.stores"):
            self._current.stores.replace(value, PROGRAM)
        else:
            _assign(self._current, key, value, PROGRAM)

    def _apply(self, found: list[Given], *, weaker_than: Layer | None = None) -> None:
        """Set what a source gave, except, with `weaker_than`, what that layer or a stronger one set."""
        settings = [(*pair, given.source) for given in found for pair in _spread(given.key, given.value)]
        for (key, source), n in Counter((key, source) for key, _, source in settings).items():
            if n > 1:  # once with dots, once nested
                raise ConfigError(f"Setting {key} is there twice ({source.label}); keep one.")
        # The default store is named before `object_storage` gives it options.
        for key, value, source in sorted(settings, key=lambda setting: setting[0] not in _NAMES_OF_DEFAULT):
            if weaker_than is not None and self._layer_of(key) >= weaker_than:
                continue
            _assign(self._current, key, value, source)

    def _layer_of(self, key: str) -> Layer:
        try:
            return self._current.source_of(self._canonical(key)).layer
        except ConfigError:
            return Layer.DEFAULT  # not there yet, or unknown: then the assignment says so


def _assign(settings: Settings, key: str, value: object, source: Source) -> None:
    from dj_schema.settings.stores import UNNAMED_STORE, canonical_key

    if not isinstance(key, str):
        raise ConfigError(f"The name of a setting is text, not {type(key).__name__} ({source.label}).")
    if key == "object_storage":
        if not isinstance(value, Mapping):
            expected = "a mapping of options is expected"
            raise wrong_value(key, expected, value, where=source.label, secret=True)
        for option in sorted(value, key=lambda name: f"{key}.{name}" not in _NAMES_OF_DEFAULT):
            _assign(settings, f"{key}.{option}", value[option], source)
        return
    translated = canonical_key(key, settings.stores, assigned_from=source)
    settings.assign(translated, value, source)
    if translated.startswith(f"stores.{UNNAMED_STORE}.") and settings.stores.default is None:
        settings.stores.assign("default", UNNAMED_STORE, source)


def _spread(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Take a nested mapping of sections apart, so that each setting meets its own precedence."""
    if isinstance(value, Mapping) and value and not key.endswith(sources.MAPPING_VALUED):
        for name, inner in value.items():
            yield from _spread(f"{key}.{name}", inner)
    else:
        yield key, value


def _fixed_keys(settings: Settings) -> list[str]:
    return [key for key, _ in settings.leaves() if not key.startswith("stores.")]


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError(
            "The current folder is not there any more, in which settings are looked for; go to another."
        ) from None


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user whom the system has no name for, and who has no HOME
        return Path("/")
