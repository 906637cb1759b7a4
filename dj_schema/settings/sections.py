"""Every setting but those of stores: its name, type, bounds and default.

Units are in the descriptions. Defaults are those of reference/configuration.md and
reference/specs/autopopulate.md section 13, except where a ruling changes them.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from dj_schema.settings.section import Section
from dj_schema.settings.stores import Stores

_TLS_FILES = ("ca", "cert", "key")
_TLS_FLAGS = ("check_hostname", "verify")
TLS_OPTIONS = (*_TLS_FILES, *_TLS_FLAGS)


def _not_a_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is expected")
    return value


def _known_tls_options(value: object) -> object:
    if isinstance(value, dict):
        for name, option in value.items():
            if name not in TLS_OPTIONS:
                raise ValueError(f"TLS option {name!r} is unknown, there are {', '.join(TLS_OPTIONS)}")
            if name in _TLS_FILES and not isinstance(option, str | PathLike | None):
                raise ValueError(f"TLS option {name!r} is the path of a file")
            if name in _TLS_FLAGS and not isinstance(option, bool):
                raise ValueError(f"TLS option {name!r} is true or false")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_not_a_boolean), Field(ge=0)]
Positive = Annotated[int, BeforeValidator(_not_a_boolean), Field(ge=1)]
MOST_S = 1e9  # thirty years; clocks and timers of the system take no more than some of them
Seconds = Annotated[float, BeforeValidator(_not_a_boolean), Field(gt=0, le=MOST_S, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, BeforeValidator(_not_a_boolean), Field(ge=0, le=MOST_S, allow_inf_nan=False)]
Port = Annotated[int, BeforeValidator(_not_a_boolean), Field(ge=1, le=65535)]
Priority = Annotated[int, BeforeValidator(_not_a_boolean), Field(ge=0, le=255)]
Tls = Annotated[bool | dict[str, Any] | None, AfterValidator(_known_tls_options)]


class DatabaseSettings(Section):
    """How to reach the server; `server_address.connection_settings` fills in what is left open."""

    host: str | None = Field(
        default=None, description="name or address, or the folder or file of a local socket"
    )
    port: Port | None = None
    user: str | None = None
    password: SecretStr | None = None
    name: str | None = Field(default=None, description="PostgreSQL: the database that holds the schemas")
    backend: Literal["postgresql", "mysql", "embedded"] | None = None
    use_tls: Tls = Field(
        default=None,
        description="None: where the server offers it; True, False; or a mapping of options",
    )
    reconnect: bool = Field(
        default=True, description="reconnect after a connection is lost outside a transaction"
    )
    embedded_path: Path | None = Field(default=None, description="where the embedded server keeps its data")
    charset: str | None = Field(default=None, description="None: UTF-8 in the words of the server")
    collation: str | None = Field(default=None, description="None: the server's comparison by code point")
    connect_timeout_s: Seconds = 10.0


class JobsSettings(Section):
    """How jobs are queued, held and tried again."""

    auto_refresh: bool = Field(default=True, description="populate refreshes the job queue first")
    keep_completed: bool = Field(default=False, description="keep the record of a job that succeeded")
    stale_timeout: Whole = Field(default=3600, description="seconds before a job is checked for being stale")
    default_priority: Priority = Field(default=5, description="lower is more urgent")
    version: str | None = Field(
        default=None, description="version recorded with a job; 'git' asks git for it"
    )
    version_method: Literal["git", "none"] | None = None
    add_job_metadata: bool = Field(
        default=False, description="declare hidden columns of start, duration and version"
    )
    allow_new_pk_fields_in_computed_tables: bool = False
    lease_timeout: Seconds = Field(
        default=60.0, description="seconds after which a silent worker has lost its job"
    )
    max_attempts: Positive = Field(default=1, description="tries before an error is final")
    max_rescues: Positive = Field(
        default=3, description="how often the worker of a job may die before the job is an error"
    )
    max_infrastructure_retries: Whole = Field(
        default=5, description="tries after failures that are not the job's own"
    )
    shutdown_timeout: Seconds = Field(
        default=30.0, description="seconds that a stopping worker may finish in"
    )
    group_commit_s: SecondsOrZero = Field(
        default=0.05, description="seconds that short jobs may wait for a commit together; 0: each alone"
    )
    verify: Literal["fingerprint", "lock"] = "fingerprint"
    orphan_timeout: Seconds | None = Field(
        default=None, description="seconds; None: orphans are left to the lease"
    )
    attempts_kept: Whole = 10
    resources: dict[str, Whole] = Field(
        default_factory=dict, description='what this host has for jobs that need it: {"gpu": 2}'
    )


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class CelerySettings(Section):
    """How work is sent to Celery's workers, and how they take it."""

    broker_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"), description="a Redis, for messages"
    )
    modules: Annotated[list[str], BeforeValidator(_split)] = Field(
        default_factory=list, description="pipelines that a Celery worker imports, separated by commas"
    )
    queues: dict[str, str] = Field(
        default_factory=dict, description="queues by table: schema.table, or a pattern such as lab.*"
    )
    queue_prefix: str = Field(default="dj.", description="before schema.table, where no queue is named")
    key_prefix: str = Field(
        default="", description="before all keys in the Redis: one for each of several deployments on it"
    )
    queue_length: Positive = Field(default=16, description="messages that wait in a queue at most")
    jobs_per_message: Positive = Field(default=100, description="keys that one message is good for")
    seconds_per_message: Seconds = Field(
        default=10.0, description="after so long a message claims no more, and its worker takes another"
    )
    dispatch_interval_s: Seconds = Field(
        default=5.0, description="seconds between two looks of a dispatcher, where there is nothing to do"
    )
    visibility_timeout_s: Seconds = Field(
        default=600.0, description="seconds after which the message of a silent worker goes to another"
    )


class NotifySettings(Section):
    """Whom workers tell of failed jobs, of work that is done, and of work that does not go on."""

    on: Annotated[list[str], BeforeValidator(_split)] = Field(
        default_factory=lambda: ["error", "drained", "stuck"], description="what is told"
    )
    slack_webhook: SecretStr | None = None
    email_to: Annotated[list[str], BeforeValidator(_split)] = Field(
        default_factory=list, description="addresses, separated by commas"
    )
    email_from: str | None = None
    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    gather_s: SecondsOrZero = Field(default=10.0, description="from the first thing to its message")
    interval_s: SecondsOrZero = Field(default=300.0, description="between two messages, at least")
    stuck_after_s: Seconds = Field(
        default=900.0, description="without a job that begins or ends, where some are due"
    )


class DisplaySettings(Section):
    """How a query is printed."""

    limit: Whole = Field(default=12, description="rows shown")
    width: Positive = Field(default=14, description="characters of a column")
    show_tuple_count: bool = True


class AwsSettings(Section):
    """Credentials for stores of protocol s3 that have none of their own."""

    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    region: str | None = None


class Settings(Section):
    """All settings."""

    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings())
    stores: Stores = Field(default_factory=Stores)
    jobs: JobsSettings = Field(default_factory=lambda: JobsSettings())
    celery: CelerySettings = Field(default_factory=lambda: CelerySettings())
    notify: NotifySettings = Field(default_factory=lambda: NotifySettings())
    display: DisplaySettings = Field(default_factory=lambda: DisplaySettings())
    aws: AwsSettings = Field(default_factory=lambda: AwsSettings())
    safemode: bool = Field(default=True, description="ask before rows or tables are removed")
    loglevel: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = (
        "INFO"
    )
    download_path: str = Field(default=".", description="where fetched attachments are written")
    fetch_format: Literal["array", "frame"] = Field(default="array", description="what fetch() returns")
