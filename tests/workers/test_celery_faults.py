"""Celery's workers, its messages and its broker die and come back; each key is computed once all the same."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest
import redis

from dj_workers.cli.exit_codes import ExitCode
from tests.workers.celery_lab import CeleryLab, until
from tests.workers.celery_process import CeleryProcess
from tests.workers.conftest import Lab, dj_worker, expected
from tests.workers.own_redis import OwnRedis

pytestmark = pytest.mark.parametrize("server", ["postgresql"], indirect=True)

SOON_BACK = {"DJ_CELERY_VISIBILITY_TIMEOUT_S": "1"}  # the messages of a worker that was killed
ONE_BY_ONE = {"DJ_CELERY_JOBS_PER_MESSAGE": "1"}  # so that every key needs the broker


@pytest.mark.kill
@pytest.mark.parametrize("all_of_them", [False, True], ids=["one of two", "all"])
def test_a_killed_worker_loses_nothing(celery: CeleryLab, all_of_them: bool) -> None:
    lab = celery.lab
    lab.add(12, wait=[0])
    lab.make_pipes()
    workers = [celery.start_worker(**SOON_BACK)]
    populating = celery.populate()
    lab.wait_until_started()
    workers.append(celery.start_worker(**SOON_BACK))  # it computes what the first has not claimed
    for worker in workers if all_of_them else workers[:1]:
        os.kill(worker.popen.pid, signal.SIGKILL)  # its pool goes with it
    if all_of_them:
        celery.start_worker(**SOON_BACK)
    lab.wait_until_started()
    lab.let_go()
    assert populating.summary()["success_count"] == 12
    assert lab.squares() == expected(12)
    assert lab.calls() == [0, *range(12)]
    jobs = lab.Square.jobs
    assert jobs.progress()["total"] == len(jobs.completed & "_rescues > 0")
    celery.wait_until_empty()


@pytest.mark.kill
@pytest.mark.parametrize("how", ["restarted empty", "down until the job has ended"])
def test_a_broker_that_goes_loses_nothing(lab: Lab, own_redis: OwnRedis, how: str) -> None:
    celery = CeleryLab(lab, own_redis.url)
    lab.add(8, wait=[0])
    lab.make_pipes()
    try:
        worker = celery.start_worker(**ONE_BY_ONE)
        populating = celery.populate()
        lab.wait_until_started()
        own_redis.kill()
        if how == "restarted empty":
            own_redis.start()
        lab.let_go()
        until(lambda: 0 in lab.squares(), "end of the running job")
        if how != "restarted empty":
            worker.wait_for("Cannot connect to redis")
            own_redis.start()
        assert populating.summary()["success_count"] == 8
        assert lab.squares() == expected(8)
        assert lab.calls() == list(range(8))
        celery.wait_until_empty()
        assert own_redis.password not in worker.log
    finally:
        celery.close()


def test_a_job_longer_than_the_visibility_timeout_runs_once(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(1, wait=[0])
    lab.make_pipes()
    worker = celery.start_worker(processes=2, **SOON_BACK)
    populating = celery.populate()
    lab.wait_until_started()
    worker.wait_until(lambda lines: _n_deliveries(lines) >= 2, "message delivered twice")
    lab.let_go()
    assert populating.summary()["success_count"] == 1
    assert lab.calls() == [0]
    celery.wait_until_empty()


def test_deployments_with_prefixes_leave_the_messages_of_others_alone(celery: CeleryLab) -> None:
    """Two on one Redis, where one has a visibility timeout of a second, and the other computes for longer."""
    lab, prefix = celery.lab, f"{celery.lab.schema.database}:"
    lab.add(2, wait=[0, 1])
    lab.make_pipes()
    workers = {}
    for number, own in enumerate((prefix, "")):
        more = {"DJ_CELERY_KEY_PREFIX": own} if own else SOON_BACK
        workers[own] = celery.start_worker("--hostname", f"w{number}@%h", processes=2, **more)
        celery.config["celery.key_prefix"] = own
        lab.Square.populate({"number": number}, reserve_jobs=True, dispatch="celery", wait=False)
        lab.wait_until_started()
    workers[""].wait_until(lambda lines: _n_deliveries(lines) >= 2, "message delivered twice")
    client = redis.Redis.from_url(celery.broker_url)
    assert client.hlen(f"{prefix}unacked") == 1  # older, but of no concern to who looked
    client.close()
    assert _n_deliveries(workers[prefix].lines) == 1


def _n_deliveries(lines: list[str]) -> int:
    """How often the message that came most often has come."""
    ids = re.findall(r"wake_up\[(\S+)\] received", "".join(lines))
    return max(Counter(ids).values(), default=0)


def test_two_dispatchers_fill_no_queue_twice_and_repeat_no_key(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(40)
    command = ("dispatch", lab.name, "--exclude", "Unmade", "--interval", "0.2")
    dispatchers = [celery.start(*command, DJ_CELERY_QUEUE_LENGTH="5") for _ in range(2)]
    for dispatcher in dispatchers:
        dispatcher.wait_for("keeping 2 queues filled")
    until(lambda: celery.n_waiting() >= 5, "messages")
    assert celery.n_waiting() <= 10  # each saw an empty queue at most once
    celery.start_worker(processes=2, DJ_CELERY_JOBS_PER_MESSAGE="3")
    until(lambda: len(lab.Next()) == 40, "rows downstream")
    assert lab.squares() == expected(40)
    assert lab.calls() == list(range(40))
    for dispatcher in dispatchers:
        assert dispatcher.end() == 0
    celery.wait_until_empty()


def test_a_worker_with_an_old_version_leaves_jobs_alone_and_says_so(celery: CeleryLab) -> None:
    lab = celery.lab
    old = f"old_{lab.name}"
    source = Path(lab.module.__file__ or "").read_text()
    without_next = re.sub(r"@schema\nclass Next.*?\n\n\n", "", source, flags=re.S)
    assert "class Next" not in without_next
    (lab.folder / f"{old}.py").write_text(without_next)
    shared = {"DJ_CELERY_QUEUES": f'{{"{lab.schema.database}.*": "{lab.schema.database}.shared"}}'}
    celery.config["celery.queues"] = {f"{lab.schema.database}.*": f"{lab.schema.database}.shared"}
    lab.add(10)
    celery.config["jobs.version"] = "2"
    celery.config["jobs.keep_completed"] = True
    new = {"DJ_JOBS_VERSION": "2", "DJ_JOBS_KEEP_COMPLETED": "true"}
    before = celery.start_worker(module=old, tables="Square", DJ_JOBS_VERSION="1", **shared)
    populating = celery.populate()
    before.wait_for("its code is of version 1, and 2 is asked for")
    celery.start_worker(tables="Square,Next", **shared, **new)
    assert populating.summary()["success_count"] == 10
    lab.Next.populate(reserve_jobs=True, dispatch="celery")
    assert len(lab.Next()) == 10
    assert lab.calls() == list(range(10))
    assert {row["version"] for row in lab.Square.jobs.to_dicts() + lab.Next.jobs.to_dicts()} == {"2"}
    celery.wait_until_empty()


def test_a_worker_that_its_broker_refuses_for_good_ends_with_an_error(
    lab: Lab, own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = redis.Redis.from_url(own_redis.url)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    client.close()
    monkeypatch.setenv("DJ_CELERY_BROKER_URL", own_redis.url)
    ended = dj_worker("celery", "-m", lab.name, "--tables", "Square", "worker", "--concurrency", "1")
    assert "Unrecoverable error" in ended.err
    assert ended.code == ExitCode.FAILED_JOBS


WORKER = ("worker", "--concurrency", "1")


@pytest.mark.parametrize(
    ("user", "database", "arguments", "reason"),
    [
        (":wrong-secret@", 0, WORKER, "AuthenticationError: invalid username-password pair"),
        ("", 0, WORKER, "AuthenticationError: Authentication required"),
        (":{password}@", 999, WORKER, "ResponseError: DB index is out of range"),
        (":wrong-secret@", 0, ("beat",), "AuthenticationError: invalid username-password pair"),
    ],
    ids=["wrong password", "no password", "no such database", "beat"],
)
def test_a_broker_that_does_not_let_us_in_is_not_waited_for(
    lab: Lab,
    own_redis: OwnRedis,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    database: int,
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    place = own_redis.url.rpartition("@")[2].partition("/")[0]
    url = f"redis://{user.format(password=own_redis.password)}{place}/{database}"
    monkeypatch.setenv("DJ_CELERY_BROKER_URL", url)
    ended = dj_worker("celery", "-m", lab.name, "--tables", "Square", *arguments)
    assert ended.code == ExitCode.NO_BROKER, ended.err
    [line] = ended.err.splitlines()
    assert line.startswith(f"dj-worker: the broker redis://{place}/{database} does not let us in: {reason}")
    assert "wrong-secret" not in line
    assert own_redis.password not in line


@pytest.mark.parametrize(
    ("program", "command"),
    [("dj_workers.cli.main", ["celery"]), ("celery", ["-A", "dj_workers.celery_app"])],
    ids=["dj-worker", "celery"],
)
def test_a_broker_that_comes_back_with_another_password_ends_the_worker(
    lab: Lab, own_redis: OwnRedis, program: str, command: list[str]
) -> None:
    own_redis.kill()
    (lab.folder / f"made_{lab.name}.py").write_text(f"from {lab.name} import Number, Square\n")
    url = f"redis://:wrong-secret@{own_redis.url.rpartition('@')[2]}"
    environment = {"DJ_CELERY_BROKER_URL": url, "DJ_CELERY_MODULES": f"made_{lab.name}"}
    worker = CeleryProcess([*command, *WORKER], environment, program)
    try:
        worker.wait_for("Cannot connect to redis")
        own_redis.start()
        assert worker.wait() == ExitCode.NO_BROKER, worker.log
        assert worker.log.count("does not let us in: AuthenticationError: invalid username-password") == 1
        assert "Traceback" not in worker.log
        assert "wrong-secret" not in worker.log
    finally:
        worker.kill()


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        ({"DJ_CELERY_MODULES": "not_there"}, ExitCode.NO_MODULE, "there is no module not_there here"),
        ({"DJ_CELERY_MODULES": ""}, ExitCode.USAGE, "no pipeline is named"),
        ({"DJ_CELERY_QUEUES": '{"*": "a,b"}'}, ExitCode.USAGE, "a name without a comma, not 'a,b'"),
    ],
    ids=["no such module", "no module", "no name of a queue"],
)
def test_celery_itself_ends_where_our_settings_leave_it_without_work(
    lab: Lab, redis_url: str, variables: dict[str, str], code: ExitCode, message: str
) -> None:
    (lab.folder / f"made_{lab.name}.py").write_text(f"from {lab.name} import Number, Square\n")
    environment = {"DJ_CELERY_BROKER_URL": redis_url, "DJ_CELERY_MODULES": f"made_{lab.name}", **variables}
    worker = CeleryProcess(["-A", "dj_workers.celery_app", *WORKER], environment, "celery")
    try:
        assert worker.wait() == code, worker.log
        assert message in worker.log
        assert "Traceback" not in worker.log
    finally:
        worker.kill()


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        (["celery", "-m", "LAB", "--tables", "Square", *WORKER], "ready."),
        (["dispatch", "LAB"], "queues filled"),
    ],
    ids=["worker", "dispatcher"],
)
def test_a_password_that_changes_ends_who_has_the_old_one(
    lab: Lab, own_redis: OwnRedis, command: list[str], sign: str
) -> None:
    (lab.folder / f"made_{lab.name}.py").write_text(f"from {lab.name} import Number, Square\n")
    arguments = [f"made_{lab.name}" if word == "LAB" else word for word in command]
    if "worker" in command:
        arguments += ["--loglevel", "INFO"]
    process = CeleryProcess(arguments, {"DJ_CELERY_BROKER_URL": own_redis.url})
    try:
        process.wait_for(sign)
        client = redis.Redis.from_url(own_redis.url)
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub")
        client.close()
        assert process.wait() == ExitCode.NO_BROKER, process.log
        assert process.log.count("does not let us in: AuthenticationError") == 1
        assert own_redis.password not in process.log
    finally:
        process.kill()
