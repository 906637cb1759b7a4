"""The URL of the broker: checked before anything uses it, and shown without its password."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from dj_schema.settings import Config
from dj_workers.pools.celery.errors import BrokerError

SETTING = "celery.broker_url"
VARIABLE_OF_CELERY = "CELERY_BROKER_URL"  # which Celery itself puts before every other source
_DATABASE = re.compile("/?[0-9]*")
_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")
_FORM = (
    "write redis://:password@host:6379/0, with %-codes for what is neither letter nor digit in the password"
)


@dataclass(frozen=True)
class Address:
    """Where the broker is.

    Attributes
    ----------
    label : str
        For people: without user and password.
    """

    url: str = field(repr=False)
    label: str


def broker_address(config: Config) -> Address:
    """Return where the settings say that the broker is.

    Raises
    ------
    BrokerError
        Where the URL is none that we can use; it is not quoted, since it may hold a password anywhere.
    """
    url = os.environ.get(VARIABLE_OF_CELERY, "")
    origin = f"variable {VARIABLE_OF_CELERY}"
    if not url:
        url = config[SETTING]
        origin = f"setting {SETTING}, from: {config.source_of(SETTING)}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BrokerError(f"the broker's URL cannot be read ({origin}); {_FORM}.") from None
    if parts.scheme not in _SCHEMES:
        kind = f"scheme {parts.scheme}" if parts.scheme.isalnum() else "no scheme"
        raise BrokerError(f"the broker's URL has {kind} ({origin}); the broker is a Redis: {_FORM}.")
    if parts.scheme != "redis+socket" and (not parts.hostname or "@" in (parts.path + parts.query)):
        raise BrokerError(f"the broker's URL names no host ({origin}); {_FORM}.")
    if parts.scheme in ("redis", "rediss") and not _DATABASE.fullmatch(parts.path):
        raise BrokerError(f"the broker's URL names no database of Redis by its number ({origin}); {_FORM}.")
    return Address(url, _label(parts, port))


def label_of(url: str) -> str:
    """Return a URL that can be read as people are shown it: without user and password."""
    parts = urlsplit(url)
    return _label(parts, parts.port)


def _label(parts: SplitResult, port: int | None) -> str:
    host = parts.hostname or ""
    where = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{where}{parts.path}"
