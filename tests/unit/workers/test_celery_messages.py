"""Messages for Celery's workers, without a broker: what travels, what is sent, and where to."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dj_jobs.options import Options
from dj_schema.errors import DataJointError
from dj_schema.settings import Config
from dj_workers.pools.celery.address import broker_address
from dj_workers.pools.celery.app import make_app
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.errors import BrokerError
from dj_workers.pools.celery.fates import values_of
from dj_workers.pools.celery.message import WakeUp, check_travels
from dj_workers.pools.celery.parcels import Parcels
from dj_workers.pools.messages import ErrorInWorker, TracebackOfWorker, error_of_text
from dj_workers.routes import message_priority

KEYS = [{"n": n} for n in range(25)]


def config(**celery: Any) -> Config:
    made = Config()
    for name, value in celery.items():
        made[f"celery.{name}"] = value
    return made


# -- what travels ----------------------------------------------------------------------------------


def test_a_message_is_read_as_it_was_sent_and_what_is_new_in_it_passed_over() -> None:
    sent = WakeUp("lab.__square", 10, keys=KEYS, priority=3, make_kwargs={"a": 1}, version="2").refused()
    assert WakeUp.of_arguments({**sent.as_arguments(), "colour": "red"}) == sent
    assert sent.n_refused == 1


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, "text", True]},
        {"day": dt.date(2026, 1, 2), "time": dt.datetime(2026, 1, 2, 3, 4, 5, 678)},
        {"id": uuid.UUID(int=5), "price": decimal.Decimal("1.50"), "raw": b"\x00\xff"},
    ],
)
def test_values_of_keys_travel(value: dict[str, Any]) -> None:
    check_travels("keys", value)


@pytest.mark.parametrize("value", [{"a": (1, 2)}, {"a": {1: 2}}, {"a": object()}, {"a": {1, 2}}])
def test_what_would_not_arrive_as_it_is_says_so(value: dict[str, Any]) -> None:
    with pytest.raises(DataJointError, match="make_kwargs as JSON"):
        check_travels("make_kwargs", value)


# -- how much is sent ------------------------------------------------------------------------------


def parcels(options: Options, n: int = 25, **celery: Any) -> Parcels:
    return Parcels("lab.__square", KEYS[:n], options, config(**celery))


def due(*numbers: int) -> set[Any]:
    return {values_of({"n": n}) for n in numbers}


def test_messages_for_all_keys_are_alike_and_as_many_as_a_queue_holds() -> None:
    sent = parcels(Options(), queue_length=4).all()
    assert len(sent) == 4
    assert {(w.n_jobs, w.keys is None) for w in sent} == {(100, True)}
    assert len(parcels(Options(), n=2, queue_length=4).all()) == 2


def test_messages_for_some_keys_name_each_of_them_once() -> None:
    sent = parcels(Options(max_calls=25), queue_length=4).all()
    assert [w.n_jobs for w in sent] == [7, 7, 7, 4]
    assert [key for w in sent for key in w.keys or []] == KEYS


def test_only_messages_whose_keys_are_due_are_sent_again() -> None:
    some = parcels(Options(restrictions=("n < 25",)), jobs_per_message=10)
    assert some.wanted(due(3), 16) == 1
    assert [w.keys for w in some.next(due(3), 5)] == [[{"n": 2}, {"n": 3}]]
    assert list(some.next(due(3), 0)) == []
    assert some.wanted(due(), 16) == 0


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 25), length=st.integers(1, 8), size=st.integers(1, 10), room=st.integers(0, 30))
def test_never_more_is_sent_than_there_is_room_for(n: int, length: int, size: int, room: int) -> None:
    for options in (Options(), Options(max_calls=n)):
        some = parcels(options, n, queue_length=length, jobs_per_message=size)
        assert len(list(some.next(due(*range(n)), room))) <= room
        assert some.wanted(due(*range(n)), length) <= length


# -- where to --------------------------------------------------------------------------------------


def test_urgent_jobs_have_urgent_messages() -> None:
    assert [message_priority(p) for p in (0, 5, 9, 127)] == [0, 5, 9, 9]


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("redis://:s3cret@host:6379/0", "redis://host:6379/0"),
        ("rediss://user:s3cret@[::1]:6380", "rediss://::1:6380"),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
    ],
)
def test_a_broker_is_shown_without_its_password(url: str, label: str) -> None:
    address = broker_address(config(broker_url=url))
    assert address.label == label
    assert "s3cret" not in repr(address)
    assert make_app(config(broker_url=url)).conf.broker_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "http://s3cret@host",
        "redis://:s3cret/@host:6379/0",
        "redis://:s3cret@host:s3cret",
        "redis://:s3cret@host/zero",
    ],
)
def test_a_url_that_is_none_is_not_quoted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (config(broker_url=url), config()):
        with pytest.raises(BrokerError, match="broker") as caught:
            broker_address(wrong)
        assert "s3cret" not in str(caught.value)
        assert "%-codes" in str(caught.value)
        monkeypatch.setenv("CELERY_BROKER_URL", url or "-")  # which goes before the settings


def test_a_broker_that_is_away_is_told_with_the_reason() -> None:
    broker = Broker(config(broker_url="redis://:s3cret@127.0.0.1:1/0"))
    with pytest.raises(BrokerError, match="Connection refused") as caught:
        broker.check()
    assert "s3cret" not in str(caught.value)


# -- errors by their text --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ValueError", "OSError", "UnicodeDecodeError", "QueryError", "LabError"])
def test_an_error_has_the_name_and_the_kind_that_it_had(name: str) -> None:
    import builtins

    from dj_jobs.job import error_message

    error = error_of_text(f"{name}: it: broke", "the traceback")
    assert error_message(error) == f"{name}: it: broke"
    assert isinstance(error, ErrorInWorker)
    assert isinstance(error.__cause__, TracebackOfWorker)
    if name in ("ValueError", "OSError"):
        assert isinstance(error, getattr(builtins, name))


def test_an_error_without_a_class_is_its_text() -> None:
    assert str(error_of_text("something is wrong", "")) == "something is wrong"
