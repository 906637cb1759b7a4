"""Connections to the broker: one that is away is waited for, one that does not let us in is not."""

from __future__ import annotations

from typing import Any

from celery import signals
from celery.app.amqp import AMQP
from celery.exceptions import WorkerShutdown
from celery.worker.consumer import Consumer
from kombu import Connection
from redis import exceptions as redis_errors

from dj_workers.cli import options
from dj_workers.cli.exit_codes import code_of
from dj_workers.pools.celery.address import SETTING, label_of
from dj_workers.pools.celery.errors import BrokerError, BrokerRefusalError

_NOT_LET_IN = (
    redis_errors.AuthenticationError,
    redis_errors.AuthorizationError,
    redis_errors.AuthenticationWrongNumberOfArgsError,
    redis_errors.NoPermissionError,
)


def broker_error(label: str, error: BaseException) -> BrokerError:
    """Return in our words what a client met when it connected or asked, with what to do about it."""
    cause = _cause_of(error)
    reason = f"{type(cause).__name__}: {cause}".rstrip(".: ")
    if _is_for_good(cause):
        return BrokerRefusalError(
            f"the broker {label} does not let us in: {reason}. Check user, password, and number of the "
            f"database in {SETTING}, DJ_CELERY_BROKER_URL, and what that user may do."
        )
    return BrokerError(
        f"the broker {label} does not answer as it should: {reason}. "
        f"Start a Redis there, or name another: {SETTING}, DJ_CELERY_BROKER_URL."
    )


def _is_for_good(error: BaseException) -> bool:
    """Whether Redis would say the same the next time; of its own kinds of answers others pass by."""
    return isinstance(error, _NOT_LET_IN) or type(error) is redis_errors.ResponseError


def _cause_of(error: BaseException) -> BaseException:
    """The innermost cause in words: clients wrap it, and never put the password there.

    Below it may be what a client has met and dealt with before: that its pool had no connection, say.
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, (OSError, redis_errors.RedisError)) and str(inner):
            error = inner
        inner = inner.__cause__ or inner.__context__
    return error


class BrokerConnection(Connection):
    """Tries again and again, but not where the broker will never let us in."""

    def ensure_connection(self, errback: Any = None, *args: Any, **kwargs: Any) -> Any:
        def tell(error: BaseException, interval_s: float) -> None:
            told = broker_error(label_of(self.as_uri()), error)
            if isinstance(told, BrokerRefusalError):
                raise told from None
            if errback is not None:
                errback(error, interval_s)

        return super().ensure_connection(tell, *args, **kwargs)


class BrokerConnections(AMQP):
    """Has Celery connect in this way, whatever it connects for."""

    Connection = BrokerConnection


class WorkerConsumer(Consumer):
    """Ends its worker, after the running jobs, where the broker does not let it in any more."""

    def ensure_connected(self, conn: Any) -> Any:
        try:
            return super().ensure_connected(conn)
        except BrokerRefusalError as e:
            options.say_error(e)
            code = code_of(e)
            signals.worker_shutting_down.send(sender=self.hostname, sig="", how="Warm", exitcode=code)
            raise WorkerShutdown(code) from None
