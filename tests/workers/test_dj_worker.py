"""`dj-worker` as operators call it: what it does, what it prints, and its exit code."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable

import pytest

from dj_workers.cli.exit_codes import ExitCode
from tests.workers.conftest import Lab, dj_worker, end_of, expected, start_dj_worker, wait_for_notice

on_one_server = pytest.mark.parametrize("server", ["postgresql"], indirect=True)
processes = pytest.mark.parametrize("processes", ["1", "2"])


@processes
def test_once_computes_tables_in_order_until_nothing_is_left(lab: Lab, processes: str) -> None:
    lab.add(30)
    ended = dj_worker("run", lab.name, "--exclude", "Unmade", "--once", "--processes", processes)
    assert ended.code == ExitCode.DONE, ended.err
    assert lab.squares() == expected(30)
    assert {r["number"]: r["following"] for r in lab.Next.to_dicts()} == {n: n**2 + 1 for n in range(30)}
    assert lab.calls() == list(range(30))
    connection = lab.schema.connection
    several = "1 process" if processes == "1" else f"{processes} processes"
    where = f"{several}; {connection.settings.label} as {connection.user}"
    tables = f"{lab.schema.database}.__next, {lab.schema.database}.__square"
    assert f"begins: {tables}; 1 step; {where}\n" in ended.err  # and no secret
    assert "60 done; nothing is left to do" in ended.err


@processes
def test_failed_jobs_are_an_exit_code_and_the_others_are_done(lab: Lab, processes: str) -> None:
    lab.add(6, fail=[1, 4])
    path = str(lab.folder / f"{lab.name}.py")
    ended = dj_worker("run", path, "--tables", "Square,Next", "--once", "--processes", processes)
    assert ended.code == ExitCode.FAILED_JOBS, ended.err
    assert "ValueError: 4 is bad" in ended.err
    assert lab.squares() == expected(6, without={1, 4})
    assert len(lab.Next()) == 4


@processes
def test_a_make_that_calls_exit_has_failed_and_ends_no_worker(lab: Lab, processes: str) -> None:
    lab.add(4, leave=[1])
    ended = dj_worker("run", lab.name, "--tables", "Square", "--once", "--processes", processes)
    assert ended.code == ExitCode.FAILED_JOBS, ended.err
    assert lab.squares() == expected(4, without={1})
    assert "make called sys.exit('1 wants to go')" in lab.Square.jobs.errors.fetch1("error_message")


@processes
def test_max_calls_counts_over_tables_and_processes(lab: Lab, processes: str) -> None:
    lab.add(12)
    ended = dj_worker("run", lab.name, "--exclude", "Unmade", "--max-calls", "17", "--processes", processes)
    assert ended.code == ExitCode.DONE, ended.err
    assert len(lab.Square()) + len(lab.Next()) == 17


def test_a_dead_worker_process_is_replaced(lab: Lab) -> None:
    lab.add(8, die_once=[3])
    ended = dj_worker("run", lab.name, "--exclude", "Unmade", "--idle-exit", "1", "--processes", "2")
    assert ended.code == ExitCode.DONE, ended.err
    assert "was ended by SIGKILL" in ended.err
    assert lab.squares() == expected(8)
    assert len(lab.Next()) == 8


def test_restrict_limits_the_keys(lab: Lab) -> None:
    lab.add(8)
    ended = dj_worker("run", lab.name, "--tables", "Square", "--once", "--restrict", "number < 3")
    assert ended.code == ExitCode.DONE, ended.err
    assert lab.squares() == expected(3)


@on_one_server
@pytest.mark.parametrize("condition", ["number < 3)", "nobody = 1", "sum(number) > 1"])
def test_a_condition_that_fits_no_table_is_refused_before_the_work(lab: Lab, condition: str) -> None:
    lab.add(2)
    ended = dj_worker("run", lab.name, "--exclude", "Unmade", "--restrict", condition)
    assert ended.code == ExitCode.USAGE, ended.err
    assert f"--restrict {condition!r} fits no table: " in ended.err
    assert lab.calls() == []


@on_one_server
def test_a_condition_that_fits_some_tables_is_told_of_with_the_others(
    lab: Lab, new_schema_name: Callable[[], str]
) -> None:
    lab.add(2)
    name, schema = f"coarse_{lab.name}", new_schema_name()
    (lab.folder / f"{name}.py").write_text(_COARSE.format(module=lab.name, schema=schema))
    ended = dj_worker("run", name, "--once", "--restrict", "number < 1")
    assert ended.code == ExitCode.FAILED_JOBS, ended.err
    assert f"cannot work on {schema}.__coarse" in ended.err
    assert lab.squares() == expected(1)


_COARSE = """
import datajoint as dj
from {module} import Number, Square

schema = dj.Schema("{schema}")


@schema
class Kind(dj.Lookup):
    definition = "kind : int32"
    contents = [(1,)]


@schema
class Coarse(dj.Computed):
    definition = "-> Kind"

    def make(self, key):
        self.insert1(key)
"""


@processes
def test_queue_chooses_tables_and_priority_jobs(
    lab: Lab, processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_CELERY_QUEUES", f'{{"{lab.schema.database}.__square": "gpu"}}')
    run = ("run", lab.name, "--exclude", "Unmade", "--once", "--processes", processes)
    lab.add(2)
    lab.Square.jobs.refresh(priority=3)
    lab.Number.insert1({"number": 2, "what": "square"})
    lab.Square.jobs.refresh()
    ended = dj_worker(*run, "--queue", "cpu,tpu")
    assert (ended.code, "no table" in ended.err) == (ExitCode.USAGE, True)
    assert dj_worker(*run, "--queue", "gpu", "--priority", "3").code == ExitCode.DONE
    assert (lab.squares(), len(lab.Next())) == (expected(2), 0)
    assert dj_worker(*run, "--queue", "gpu").code == ExitCode.DONE
    assert (lab.squares(), len(lab.Next())) == (expected(3), 0)


_BELOW = """
import datajoint as dj
import {module} as above

schema = dj.Schema({schema!r})


@schema
class Below(dj.Computed):
    definition = "-> above.Square"

    def make(self, key):
        self.insert1(key)
"""


@processes
def test_several_modules_are_one_pipeline(
    lab: Lab, new_schema_name: Callable[[], str], processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add(4)
    below, schema = f"below_{lab.name}", new_schema_name()
    (lab.folder / f"{below}.py").write_text(_BELOW.format(module=lab.name, schema=schema))
    ended = dj_worker("run", below, lab.name, "--exclude", "Unmade", "--once", "--processes", processes)
    assert ended.code == ExitCode.DONE, ended.err
    assert f"{schema}.__below" in ended.err
    (row,) = dj_worker("status", below, "--json").json["tables"]
    assert (row["done"], len(lab.Next())) == (4, 4)
    monkeypatch.setenv("DJ_WORKER_MODULES", f"{below} {lab.name}")
    assert "nothing to do" in dj_worker("run", "--exclude", "Unmade", "--once").err


_ASTRAY = """
import datajoint as dj
from {module} import Number

schema = dj.Schema("{schema}")


@schema
class Astray(dj.Computed):
    definition = "-> Number"

    @property
    def key_source(self):
        raise ValueError("the calibration is missing")

    def make(self, key):
        self.insert1(key)


@schema
class Beside(dj.Computed):
    definition = "-> Number"

    def make(self, key):
        self.insert1(key)
"""


def test_a_key_source_that_raises_hinders_no_other_table(
    lab: Lab, new_schema_name: Callable[[], str]
) -> None:
    lab.add(3)
    name, schema = f"astray_{lab.name}", new_schema_name()
    (lab.folder / f"{name}.py").write_text(_ASTRAY.format(module=lab.name, schema=schema))
    seen = dj_worker("exporter", name, "--refresh", "--once")
    assert "raised ValueError: the calibration is missing" in seen.err
    assert f'datajoint_keys{{schema="{schema}",table="__beside"}} 3.0' in seen.out
    assert f'datajoint_keys{{schema="{schema}",table="__astray"}}' not in seen.out
    assert 'datajoint_exporter_collection_success{part="keys"} 0.0' in seen.out
    for processes in ("1", "2"):
        ended = dj_worker("run", name, "--once", "--processes", processes)
        assert ended.code == ExitCode.FAILED_JOBS
        assert f"cannot work on {schema}.__astray" in ended.err
        assert "raised ValueError: the calibration is missing" in ended.err
    lines = dj_worker("status", name)
    assert lines.code == ExitCode.FAILED_JOBS
    _, astray, beside = sorted(lines.out.splitlines(), key=lambda line: "__" in line)
    assert astray.split()[:9] == [f"{schema}.__astray", *["-"] * 8]
    assert astray.endswith("raised ValueError: the calibration is missing")
    assert beside.split() == [f"{schema}.__beside", "3", "3", "0", "0", "0", "0", "-", "-"]
    listed = dj_worker("status", name, "--json")
    assert listed.code == ExitCode.FAILED_JOBS
    assert [(t["done"], (t["broken"] or "")[-26:]) for t in listed.json["tables"]] == [
        (None, "the calibration is missing"),
        (3, ""),
    ]


@processes
def test_sigterm_ends_the_worker_after_the_running_job(lab: Lab, processes: str) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    worker = start_dj_worker("run", lab.name, "--exclude", "Unmade", "--processes", processes)
    lab.wait_until_started()
    worker.send_signal(signal.SIGTERM)
    wait_for_notice(worker)
    lab.let_go()
    assert end_of(worker).code == ExitCode.DONE
    assert lab.squares() == expected(1)
    assert lab.Square.jobs.progress()["total"] == 0
    assert len(lab.Next()) == 0


_SLOW = """
import os
import datajoint as dj

try:
    with open(os.environ["SQUARES_FOLDER"] + "/started", "w") as file:
        file.write("now")
    open(os.environ["SQUARES_FOLDER"] + "/go").read()
except {caught}:
    pass

from {module} import *
"""


@on_one_server
@pytest.mark.parametrize("caught", ["ValueError", "BaseException"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_import_of_the_pipeline_ends_the_worker_before_it_begins(
    lab: Lab, number: signal.Signals, caught: str
) -> None:
    lab.add(1)
    lab.make_pipes()
    name = f"slow_{lab.name}"
    (lab.folder / f"{name}.py").write_text(_SLOW.format(module=lab.name, caught=caught))
    worker = start_dj_worker("run", name, "--exclude", "Unmade")
    lab.wait_until_started()
    worker.send_signal(number)
    ended = end_of(worker)
    assert (ended.code, ended.err.splitlines()) == (ExitCode.DONE, ["dj-worker: stopped before it began"])
    assert lab.calls() == []


@on_one_server
def test_a_signal_after_the_work_leaves_the_exit_code_as_it_is(lab: Lab) -> None:
    lab.add(2, fail=[1])
    name = f"late_{lab.name}"
    at_exit = "atexit.register(os.kill, os.getpid(), signal.SIGTERM)"
    (lab.folder / f"{name}.py").write_text(
        f"import atexit, os, signal\nfrom {lab.name} import *\n{at_exit}\n"
    )
    assert dj_worker("run", name, "--tables", "Square", "--once").code == ExitCode.FAILED_JOBS


_CURIOUS = """
import atexit, logging, os, signal
from {module} import *


def ask(*_):
    os.kill(os.getpid(), signal.SIGUSR1)


class Asks(logging.Handler):
    emit = ask


ask()
logging.getLogger("datajoint.workers").addHandler(Asks())  # before the work, and after it
atexit.register(ask)
"""


@on_one_server
def test_with_json_warnings_and_other_logs_of_a_pipeline_are_objects_too(lab: Lab) -> None:
    lab.add(1)
    with open(lab.folder / f"{lab.name}.py", "a") as code:
        code.write(
            "import logging, warnings\nwarnings.warn('this is old')\nlogging.getLogger('own').error('odd')\n"
        )
    for processes in ("1", "2"):
        ended = dj_worker(
            *("--log-format", "json", "run", lab.name, "--tables", "Square", "--once"),
            *("--processes", processes),
        )
        lines = [json.loads(line) for line in ended.err.splitlines()]
        assert {"py.warnings", "own"} <= {line["logger"] for line in lines}, ended.err
        lab.Square.delete()


@on_one_server
def test_with_json_each_line_is_an_object_whatever_happens(lab: Lab) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    worker = start_dj_worker("--log-format", "json", "run", lab.name, "--tables", "Square")
    lab.wait_until_started()
    worker.send_signal(signal.SIGUSR1)
    worker.send_signal(signal.SIGTERM)
    lab.let_go()
    ended = end_of(worker)
    said = [json.loads(line)["message"] for line in ended.err.splitlines()]
    assert any("computes" in text for text in said)
    assert any("stopping after the running jobs" in text for text in said)
    refused = dj_worker("--log-format", "json", "run", lab.name, "--tables", "Sqare")
    [line] = refused.err.splitlines()
    assert (json.loads(line)["level"], "'Sqare'" in json.loads(line)["message"]) == ("error", True)


@on_one_server
def test_with_json_what_nobody_caught_is_an_object_too(lab: Lab) -> None:
    with open(lab.folder / f"{lab.name}.py", "a") as code:
        code.write(
            "import logging, threading\nthread = threading.Thread(target=lambda: 1 / 0, name='own')\n"
            "thread.start()\nthread.join()\nlogging.getLogger('own').error('%d is odd', 'three')\n"
            "class Odd(BaseException): pass\nraise Odd('very')\n"
        )
    ended = dj_worker("--log-format", "json", "run", lab.name, "--tables", "Square", "--once")
    thread, own, uncaught = [json.loads(line) for line in ended.err.splitlines()]
    assert thread["message"] == "the thread own ended: ZeroDivisionError: division by zero"
    assert (own["logger"], own["message"]) == ("own", "%d is odd ('three',)")
    assert (uncaught["level"], uncaught["message"]) == ("critical", "Odd: very")
    assert "Traceback" in thread["traceback"]
    assert "Traceback" in uncaught["traceback"]


@on_one_server
def test_what_a_pipeline_prints_at_its_import_is_not_in_the_document(lab: Lab) -> None:
    with open(lab.folder / f"{lab.name}.py", "a") as code:
        code.write("print('loading')\n")
    shown = dj_worker("status", lab.name, "--json")
    assert (len(shown.json["tables"]), "loading" in shown.err) == (3, True)


@on_one_server
def test_sigusr1_ends_no_worker_at_any_moment(lab: Lab) -> None:
    lab.add(2)
    name = f"curious_{lab.name}"
    (lab.folder / f"{name}.py").write_text(_CURIOUS.format(module=lab.name))
    ended = dj_worker("run", name, "--tables", "Square", "--once", "--name", "w")
    assert ended.code == ExitCode.DONE, ended.err
    told = [line for line in ended.err.splitlines() if line.startswith("dj-worker") and "up for" not in line]
    assert told == ["dj-worker: imports the pipeline", "dj-worker w: begins", "dj-worker w: ends"]


@processes
def test_a_second_signal_gives_the_running_job_back(lab: Lab, processes: str) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    worker = start_dj_worker("run", lab.name, "--exclude", "Unmade", "--processes", processes)
    lab.wait_until_started()
    worker.send_signal(signal.SIGTERM)
    wait_for_notice(worker)
    worker.send_signal(signal.SIGINT)
    assert end_of(worker).code == ExitCode.AT_ONCE
    assert lab.squares() == {}
    assert len(lab.Square.jobs.pending) == 1 == lab.Square.jobs.progress()["total"]


@processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_outlasts_the_shutdown_timeout_is_released(
    lab: Lab, processes: str, number: signal.Signals
) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    given = ("--exclude", "Unmade", "--shutdown-timeout", "0.2", "--processes", processes)
    worker = start_dj_worker("run", lab.name, *given)
    lab.wait_until_started()
    worker.send_signal(number)
    ended = end_of(worker)
    assert (ended.code, lab.squares()) == (ExitCode.DONE, {}), ended.err
    assert "which have 0.2 s" in ended.err
    assert len(lab.Square.jobs.pending) == 1 == lab.Square.jobs.progress()["total"]


def test_new_rows_are_found_while_the_worker_waits(lab: Lab) -> None:
    lab.make_pipes()
    worker = start_dj_worker("run", lab.name, "--exclude", "Unmade", "--poll-interval", "0.1")
    lab.add(1, wait=[0])
    lab.wait_until_started()
    worker.send_signal(signal.SIGTERM)
    lab.let_go()
    assert end_of(worker).code == ExitCode.DONE
    assert lab.squares() == expected(1)


def test_a_worker_that_waits_for_a_retry_is_stopped_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUARES_BACKOFF_S", "29")  # of which half is certain; a worker waits for no later one
    lab.add(3, fail_at_first=[2])
    worker = start_dj_worker("run", lab.name, "--tables", "Square")
    jobs = lab.Square.jobs
    while not jobs.pending & "_attempts = 1":  # it waits for the retry from now on
        assert worker.poll() is None
        time.sleep(0.05)
    worker.send_signal(signal.SIGTERM)
    assert end_of(worker).code == ExitCode.DONE
    assert len(jobs & "scheduled_time > CURRENT_TIMESTAMP(3)") == 1, "it waited until the retry was due"
    assert lab.squares() == expected(3, without=[2])
    job = jobs.fetch1()
    assert (job["number"], job["status"]) == (2, "pending")
    assert job["scheduled_time"] > job["reserved_time"]
    assert job["error_message"] == "LaterError: 2 is early"


# -- looking ---------------------------------------------------------------------------------------


def test_status_counts_keys_and_jobs(lab: Lab) -> None:
    lab.add(6, fail=[1])
    lab.Square.populate(reserve_jobs=True, max_calls=3, suppress_errors=True)
    lab.Square.jobs.ignore({"number": 5})
    for module in (lab.name, f"schema:{lab.schema.database}"):
        ended = dj_worker("status", module, "--json")
        assert ended.code == 0, ended.err
        rows = {row.pop("table").partition(".")[2]: row for row in ended.json["tables"]}
        assert list(rows).index("__square") < list(rows).index("__next")
        square = rows["__square"]
        assert square.pop("oldest_pending_s") >= 0
        assert square == {
            "total": 6, "done": 2, "pending": 2, "reserved": 0, "error": 1, "ignored": 1,
            "rate_per_minute": None, "broken": None,
        }  # fmt: skip
        assert (rows["__next"]["total"], rows["__next"]["oldest_pending_s"]) == (2, None)
    assert "~~next" not in lab.schema.connection.catalog.table_names(lab.schema.database)


def test_status_shows_a_line_for_each_table(lab: Lab) -> None:
    lab.add(4)
    lines = dj_worker("status", lab.name, "--tables", "Square").out.splitlines()
    assert lines[0].split() == [
        "table", "total", "done", "pending", "reserved", "error", "ignored", "oldest", "pending", "rate"
    ]  # fmt: skip
    assert lines[1].split() == [f"{lab.schema.database}.__square", "4", "0", "0", "0", "0", "0", "-", "-"]


def test_status_tells_the_rate_where_jobs_are_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.add(10)
    monkeypatch.setenv("DJ_JOBS_KEEP_COMPLETED", "true")
    assert dj_worker("run", lab.name, "--tables", "Square", "--once").code == 0
    [row] = dj_worker("status", lab.name, "--tables", "Square", "--json").json["tables"]
    assert (row["done"], row["rate_per_minute"]) == (10, 1.0)


def test_errors_are_listed_with_their_traceback(lab: Lab) -> None:
    lab.add(3, fail=[2])
    lab.Square.populate(reserve_jobs=True, suppress_errors=True)
    [error] = dj_worker("errors", lab.name, "Square", "--traceback", "--json").json["errors"]
    assert (error["key"], error["message"]) == ({"number": 2}, "ValueError: 2 is bad")
    assert "in fail" in error["traceback"]
    shown = dj_worker("errors", f"schema:{lab.schema.database}")
    assert "number=2" in shown.out
    assert "ValueError: 2 is bad" in shown.out
    assert "Traceback" not in shown.out


# -- changing --------------------------------------------------------------------------------------


def test_retry_makes_failed_jobs_pending(lab: Lab) -> None:
    lab.add(5, fail=[0, 1, 2])
    lab.Square.populate(reserve_jobs=True, suppress_errors=True)
    ended = dj_worker("retry", lab.name, "Square", "number=0", "number=2")
    assert (ended.code, "2 jobs" in ended.out) == (0, True), ended.err
    assert {r["number"] for r in lab.Square.jobs.pending.to_dicts()} == {0, 2}
    assert dj_worker("retry", lab.name, "--all").code == 0
    assert len(lab.Square.jobs.errors) == 0
    missing = dj_worker("retry", lab.name, "Square", "number=4")
    assert (missing.code, "no failed job" in missing.err) == (ExitCode.USAGE, True)


def test_ignore_passes_over_keys_and_unignore_brings_them_back(lab: Lab) -> None:
    lab.add(4)
    assert dj_worker("ignore", lab.name, "Square", "number=1", "number=3").code == 0
    lab.Square.populate(reserve_jobs=True)
    assert lab.squares() == expected(4, without={1, 3})
    unknown = dj_worker("ignore", lab.name, "Square", "number=9")
    assert (unknown.code, "no key number=9" in unknown.err) == (ExitCode.USAGE, True)
    done = dj_worker("ignore", lab.name, "Square", "number=2")
    assert (done.code, "is done" in done.err) == (ExitCode.REFUSED, True)
    assert dj_worker("unignore", lab.name, "Square", "number=1").code == 0
    assert {r["number"] for r in lab.Square.jobs.pending.to_dicts()} == {1}


# -- bad input -------------------------------------------------------------------------------------


@on_one_server
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "LAB"], ExitCode.USAGE, "Unmade has no make(self, key)"),
        (["run", "LAB", "--tables", "Sqare"], ExitCode.USAGE, "there are: Square, "),
        (["run", "LAB", "--once", "--idle-exit", "1"], ExitCode.USAGE, "Give one of them"),
        (["run", "LAB", "--processes", "80000"], ExitCode.USAGE, "1<=x<=1024"),
        (["run", "schema:SCHEMA"], ExitCode.USAGE, "Name the module or the file"),
        (["status", "schema:nowhere_to_be_found"], ExitCode.USAGE, "there is no schema"),
        (["status", "no_such_module"], ExitCode.NO_MODULE, "Run dj-worker in the folder that has it"),
        (["status", "no_such_file.py"], ExitCode.NO_MODULE, "there is no file"),
        (["status", "json"], ExitCode.NO_MODULE, "no computed or imported table"),
        (
            ["status", "FOLDER/datajoint/json.py"],
            ExitCode.NO_MODULE,
            "is imported instead; give the file another name",
        ),
        (["status", "FOLDER/lab.v2.py"], ExitCode.NO_MODULE, "cannot be imported with a dot in its name"),
        (
            ["status", "FOLDER/datajoint/broken.py"],
            ExitCode.NO_MODULE,
            "broken.py, line 2: ZeroDivisionError",
        ),
        (["status", ".lab"], ExitCode.NO_MODULE, "names no module"),
        (["status", "broken"], ExitCode.NO_MODULE, "broken.py, line 2: ZeroDivisionError"),
        (["status", "unset"], ExitCode.NO_MODULE, "unset.py, line 2: UnknownSettingError"),
        (["errors", "LAB", "Sqare"], ExitCode.USAGE, "no computed or imported table 'Sqare'"),
        (["retry", "LAB"], ExitCode.USAGE, "Name a table, or give --all"),
        (["retry", "LAB", "Square", "number"], ExitCode.USAGE, "write attr=value"),
        (["retry", "LAB", "Square", "number=x"], ExitCode.USAGE, "cannot be compared"),
        (["ignore", "LAB", "Square", "colour=red"], ExitCode.USAGE, "attr one of number"),
        (["run"], ExitCode.USAGE, "Usage"),
    ],
)
def test_bad_input_is_a_message_that_says_what_to_do(
    lab: Lab, arguments: list[str], code: ExitCode, message: str
) -> None:
    lab.Square.jobs.refresh()
    (lab.folder / "datajoint").mkdir(exist_ok=True)  # as many call the folder of their pipelines
    for name in ("broken.py", "datajoint/broken.py"):
        (lab.folder / name).write_text("import json\n1 / 0\n")
    for name in ("datajoint/json.py", "lab.v2.py"):
        (lab.folder / name).write_text("")
    (lab.folder / "unset.py").write_text("import datajoint as dj\ndj.config.jobs.nothing\n")
    stands_for = {"LAB": lab.name, "SCHEMA": str(lab.schema.database), "FOLDER": str(lab.folder)}
    real = [re.sub("|".join(stands_for), lambda found: stands_for[found[0]], a) for a in arguments]
    ended = dj_worker(*real)
    assert message in ended.out + ended.err
    assert ended.code == code
    assert "Traceback" not in ended.err


_CIRCLE = """
import datajoint as dj

schema = dj.Schema({schema!r})


@schema
class First(dj.Manual):
    definition = "id : int32"


@schema
class Second(dj.Computed):
    definition = "-> First"

    def make(self, key):
        self.insert1(key)


@schema
class Third(dj.Computed):
    definition = "-> Second"

    def make(self, key):
        self.insert1(key)


name = '"{schema}"."{{}}"' if schema.connection.settings.backend == "postgresql" else "`{schema}`.`{{}}`"
above, below = name.format("__second"), name.format("__third")
key = f"FOREIGN KEY (id) REFERENCES {{below}} (id)"
schema.connection.query(f"ALTER TABLE {{above}} ADD CONSTRAINT around {{key}}")
"""


def test_tables_in_a_circle_are_named_with_what_to_do(lab: Lab, new_schema_name: Callable[[], str]) -> None:
    name, schema = f"circle_{lab.name}", new_schema_name()
    (lab.folder / f"{name}.py").write_text(_CIRCLE.format(schema=schema))
    ended = dj_worker("run", name, "--once")
    circle = "|".join(
        f"{schema}.__{a} -> {schema}.__{b} -> {schema}.__{a}"
        for a, b in (("second", "third"), ("third", "second"))
    )
    assert re.search(f"in a circle: ({circle})\\. Drop one of these foreign keys", ended.err), ended.err
    assert (ended.code, "Traceback" in ended.err) == (ExitCode.REFUSED, False)


@on_one_server
def test_an_operator_without_rights_is_told_which_to_ask_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add(1, fail=[0])
    lab.Square.populate(reserve_jobs=True, suppress_errors=True)
    connection, schema, reader = lab.schema.connection, lab.schema.database, f"reader_{lab.name}"
    connection.query(f"CREATE ROLE {reader} LOGIN PASSWORD 'abc'")
    try:
        connection.query(f'GRANT USAGE ON SCHEMA "{schema}" TO {reader}')
        connection.query(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO {reader}')
        monkeypatch.setenv("DJ_USER", reader)
        monkeypatch.setenv("DJ_PASS", "abc")
        ended = dj_worker("retry", f"schema:{schema}", "__square")
    finally:
        connection.query(f"DROP OWNED BY {reader}")
        connection.query(f"DROP ROLE {reader}")
    assert (ended.code, "Ask for SELECT, INSERT, UPDATE" in ended.err) == (ExitCode.REFUSED, True), ended.err


@on_one_server
def test_debug_shows_the_traceback(lab: Lab) -> None:
    (lab.folder / "broken.py").write_text("import json\n1 / 0\n")
    ended = dj_worker("--debug", "status", "broken")
    assert "1 / 0\n" in ended.err
    assert "Traceback" in ended.err
    assert ended.code == ExitCode.NO_MODULE


@on_one_server
def test_a_database_that_is_away_has_an_exit_code_of_its_own(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_HOST", "127.0.0.1")
    monkeypatch.setenv("DJ_PORT", "1")
    for module in (lab.name, f"schema:{lab.schema.database}"):
        ended = dj_worker("status", module)
        assert (ended.code, "Traceback" in ended.err) == (ExitCode.NO_DATABASE, False)
        assert "database.host" in ended.err
