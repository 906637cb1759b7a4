"""What the exit code of `dj-worker` says, and which error has which."""

from __future__ import annotations

from enum import IntEnum

from dj_schema.errors import (
    AccessError,
    ConfigError,
    ConnectionRefusedByServerError,
    DataJointError,
    LostConnectionError,
    MakeError,
)
from dj_workers.pools.celery.errors import BrokerError


class ExitCode(IntEnum):
    """One for each thing that a script can do something about."""

    DONE = 0, "done, or stopped as asked"
    FAILED_JOBS = (
        1,
        "done, but jobs failed (see dj-worker errors), or a table or step was left out for its error",
    )
    USAGE = (
        2,
        "wrong arguments or settings: an option, a table or a key that there is not, a table without make",
    )
    NO_DATABASE = 3, "the database cannot be reached, or does not let us in"
    NO_MODULE = 4, "the module cannot be imported, or has no tables"
    REFUSED = 5, "the database, the job engine or this machine (a port in use) refused what was asked"
    AT_ONCE = 6, "stopped at once by a second signal; the running jobs were released"
    NO_BROKER = 7, "the broker of Celery cannot be reached or does not let us in, or its URL is none"
    NO_OUTPUT = 8, "what was asked for could not be written to stdout: no space, or nobody reads on"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    @classmethod
    def table(cls) -> str:
        """Return the codes as text for --help."""
        return "Exit codes:\n" + "\n".join(f"  {code.value}  {code.meaning}" for code in cls)


class ModuleError(Exception):
    """The module cannot be imported, or is no pipeline."""


class UsageMistakeError(DataJointError):
    """What was named on the command line is not there."""


def code_of(error: Exception) -> ExitCode:
    """Return the exit code of an error that ended a command."""
    if isinstance(error, (UsageMistakeError, MakeError, ConfigError)):
        return ExitCode.USAGE
    if isinstance(error, (ConnectionRefusedByServerError, LostConnectionError)):
        return ExitCode.NO_DATABASE
    if isinstance(error, BrokerError):
        return ExitCode.NO_BROKER
    return ExitCode.NO_MODULE if isinstance(error, ModuleError) else ExitCode.REFUSED


def advice_on(error: Exception) -> str:
    """Return what to do about an error whose text is the server's; nothing where it says so itself."""
    if isinstance(error, AccessError):
        return (
            ". Ask for SELECT, INSERT, UPDATE and DELETE on the tables of the schema, among them its job "
            "tables (~~...), ~job_control and ~workers, or do this as a user who has them."
        )
    return ""
