"""How a wrong setting is reported: its key, what was expected, and what is close to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dj_schema.errors import ConfigError

RETIRED = {
    "connection.charset": "its name is now database.charset",
    "connection.init_function": "sessions are set up by the connection itself; delete the line",
    "enable_python_native_blobs": "native blobs are always on; delete the line",
    "cache": "files are fetched to download_path; delete the line",
    "query_cache": "results are not cached between queries; delete the line",
    "add_hidden_timestamp": "use jobs.add_job_metadata instead",
    "ignore_config_file": "start in a folder that has no datajoint.json, or set the keys in the environment",
}


class UnknownSettingError(ConfigError, KeyError, AttributeError):
    """No setting has this name; a KeyError and AttributeError too, since it is read as item and attribute."""

    __str__ = Exception.__str__


def unknown_setting(key: str, known: Iterable[str], *, where: str = "") -> UnknownSettingError:
    """Return the error for `key`, with the settings whose names come close."""
    names = list(known)
    lines = [f"There is no setting {key!r}{f' ({where})' if where else ''}."]
    close = difflib.get_close_matches(key, names, n=3, cutoff=0.6)
    if not close:
        last = key.rpartition(".")[2]
        close = [name for name in names if name.rpartition(".")[2] == last]
    if key in RETIRED:
        lines.append(f"Setting {key} is not used any more: {RETIRED[key]}.")
    elif close:
        lines.append(f"Did you mean {' or '.join(close)}?")
    elif len(names) <= 12:
        lines.append(f"Known here: {', '.join(names)}.")
    else:
        lines.append("print(dj.config) lists them all.")
    return UnknownSettingError(" ".join(lines))


def wrong_value(key: str, expected: str, value: object, *, where: str, secret: bool) -> ConfigError:
    """Return the error for a value that does not fit; the value is shown only if it can hold no secret."""
    shown = isinstance(value, (str, int, float, bool)) and not secret
    got = repr(value) if shown else f"a value of type {type(value).__name__}"
    return ConfigError(f"Setting {key}: {expected}; got {got} ({where}).")


def not_deleted(key: str) -> ConfigError:
    """Return the error for `del config[key]`."""
    return ConfigError(
        f"A setting is not deleted: set {key} to another value, or to None where that is one; "
        "config.override() changes it for a block."
    )
