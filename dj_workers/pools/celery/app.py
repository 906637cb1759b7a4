"""A Celery application with the settings that suit wake-ups: acknowledged late, on Redis, without results."""

from __future__ import annotations

from typing import Any

from celery import Celery

from dj_schema.settings import Config
from dj_workers.pools.celery.address import Address, broker_address

WAKE_UP = "dj_workers.wake_up"
DISPATCH = "dj_workers.dispatch"
_OURS = "dj_workers.pools.celery.connection:{}"
_CONNECT_TIMEOUT_S = 5.0
_SOCKET_TIMEOUT_S = 30.0
_START_TIMEOUT_S = 60.0  # of a pool process; Celery's own 4 s are short on a busy machine
_LONGEST_MUTEX_S = 60


def make_app(config: Config, address: Address | None = None) -> Celery:
    """Return an application on the broker of the settings; nothing is connected.

    Raises
    ------
    BrokerError
        Where the URL of the broker is none.
    """
    address = address or broker_address(config)
    connections = _OURS.format("BrokerConnections")
    app = Celery("dj_workers", broker=address.url, amqp=connections, set_as_current=False)
    app.conf.update(_settings(config))
    return app


def dispatch_queue(config: Config) -> str:
    """Return the queue of the messages that beat sends."""
    return config.celery.queue_prefix + "dispatch"


def _settings(config: Config) -> dict[str, Any]:
    return {
        **_ACKNOWLEDGED_LATE,
        "task_serializer": "json",
        "accept_content": ["json"],  # nothing that could run code when it is read
        "task_ignore_result": True,  # what became of a job is in the database
        "task_default_queue": dispatch_queue(config),
        "broker_transport_options": _transport(config),
        "broker_connection_timeout": _CONNECT_TIMEOUT_S,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_consumer": _OURS.format("WorkerConsumer"),
        "worker_proc_alive_timeout": _START_TIMEOUT_S,
        "worker_hijack_root_logger": False,
        "beat_scheduler": "celery.beat:Scheduler",  # nothing to remember, so no file
        "beat_schedule": {
            "dispatch": {"task": DISPATCH, "schedule": config.celery.dispatch_interval_s},
        },
    }


# A message is acknowledged when its jobs are done, so that one of a killed worker is delivered again.
# How often that can go on is limited by the rescues of the job, in the database.
_ACKNOWLEDGED_LATE: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,  # with late acknowledgement: no message waits behind a running one
    "worker_cancel_long_running_tasks_on_connection_loss": False,  # the job is the database's, not Redis's
}


def _transport(config: Config) -> dict[str, Any]:
    visibility_s = config.celery.visibility_timeout_s
    return {
        "global_keyprefix": config.celery.key_prefix,
        "visibility_timeout": visibility_s,
        # look for messages of silent workers ten times within their timeout, not every 100 s
        "unacked_restore_interval": max(1.0, min(10.0, visibility_s / 10)),
        "unacked_restore_throttle": 1,
        # who is killed while it looks must not keep the others from looking
        "unacked_mutex_expire": max(1, min(_LONGEST_MUTEX_S, int(visibility_s))),
        "queue_order_strategy": "round_robin",
        "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        "socket_timeout": _SOCKET_TIMEOUT_S,
        "socket_keepalive": True,
    }
