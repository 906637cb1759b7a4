"""Fixtures and options of every test: the servers, and the last lines, which say what was not tested.

=====================  ==================================================================================
``server``             a `ServerUnderTest`; the test runs once on each of the three databases
``postgres_server``    that one database; likewise ``mysql_server`` and ``mariadb_server``
``redis_url``          the URL of a Redis
``wrong_clock``        what a process is started with to have a clock that is wrong
``prometheus``         a Prometheus; ``program(name)`` finds promtool or helm
``connection``         a `Connection` to ``server``, closed after the test
``new_schema_name()``  a name that no other test has; what was made under it is dropped after the test
``new_schema()``       a `Schema` of such a name on ``connection``
``dj``                 the package `datajoint`, whose default connection and settings are those of the test
=====================  ==================================================================================

A test whose server cannot be had is skipped, and the server is named at the end of the run.
``DJ_TEST_REQUIRE`` is ``all``, or names separated by commas: without those the run fails.
``--servers postgresql,mysql`` narrows a run while developing.

``@pytest.mark.rule("query-algebra", "3.5")`` names the rule of the specification that a test checks; how the
table of rules and results is made of these marks is told in `tests/support/rules.py`.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support.examples import examples
from tests.support.launch import Unavailable, install, locked
from tests.support.rules import RuleReporter
from tests.support.servers import SERVER_NAMES, RunFolder, RunningPrometheus, Servers, ServerUnderTest

if TYPE_CHECKING:
    from dj_query.schema import Schema
    from dj_schema.connection import Connection
    from dj_schema.settings import Config

settings.register_profile("usual", examples(100))
settings.load_profile("usual")

_HERE = Path(__file__).parent
_LONG = (
    "chaos",
    "workers",
    "contracts",
    "acceptance",
    "embedded",
    "operations",
    "peer",
    "property",
    "conformance",
)

_RUN = pytest.StashKey[RunFolder]()
_SERVERS = pytest.StashKey[Servers]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        default=",".join(SERVER_NAMES),
        metavar="NAMES",
        help=f"database servers to test on, separated by commas (default: {','.join(SERVER_NAMES)})",
    )
    parser.addoption(
        "--conformance", metavar="FILE", help="write what became of the rules that ran to a table"
    )
    parser.addoption(
        "--list-rules", metavar="FILE", help="write which rules the collected tests name, as JSON"
    )


def pytest_configure(config: pytest.Config) -> None:
    option: str = config.getoption("--servers")
    chosen = tuple(name.strip() for name in option.split(",") if name.strip())
    unknown = sorted(set(chosen) - set(SERVER_NAMES))
    if unknown:
        raise pytest.UsageError(
            f"--servers: no server {', '.join(unknown)}; there are {', '.join(SERVER_NAMES)}"
        )
    # What the developer has configured for other work is not what the tests are about.
    for name in [name for name in os.environ if name.startswith("DJ_") and not name.startswith("DJ_TEST_")]:
        del os.environ[name]
    worker = getattr(config, "workerinput", None)  # set in the processes of pytest-xdist
    run = RunFolder.make() if worker is None else RunFolder(Path(worker["dj_run_folder"]))
    config.stash[_RUN] = run
    config.stash[_SERVERS] = Servers(run, chosen)
    table, listing = (config.getoption(name) for name in ("--conformance", "--list-rules"))
    if worker is not None:  # the process that gathers the reports writes the table
        table = listing = None
    config.pluginmanager.register(RuleReporter(table and Path(table), listing and Path(listing)))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist which run it belongs to."""
    node.workerinput["dj_run_folder"] = str(node.config.stash[_RUN].path)


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(_RUN, None)
    if run is not None and getattr(config, "workerinput", None) is None:
        run.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is parametrised with a server that ``--servers`` does not name."""
    left_out = set(SERVER_NAMES) - set(config.stash[_SERVERS].chosen)
    kept = []
    deselected = []
    for item in items:
        call = getattr(item, "callspec", None)
        name = call.params.get("server") if call is not None else None
        if name in left_out:
            config.stash[_RUN].note_missing(str(name), "left out by --servers")
            deselected.append(item)
        else:
            kept.append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = kept
    if (asked := os.environ.get("DJ_TEST_EXAMPLES")) and config.getoption("timeout", None) is None:
        for item in items:  # so many take longer than a test may
            item.add_marker(pytest.mark.timeout(int(config.getini("timeout")) + int(asked)))


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def pytest_order_of_files(items: list[pytest.Item]) -> None:
    """Put the files first that start many processes: they take long, and wait where others compute.

    Between processes of pytest-xdist the short ones level out at the end (``--no-loadscope-reorder``).
    """
    order = {name: i for i, name in enumerate(_LONG)}

    def place(item: pytest.Item) -> int:
        is_ours = item.path.is_relative_to(_HERE)
        return order.get(item.path.relative_to(_HERE).parts[0], len(order)) if is_ours else len(order)

    items.sort(key=place)


def _required_but_missing(config: pytest.Config) -> list[str]:
    required = os.environ.get("DJ_TEST_REQUIRE", "")
    names = {name.strip() for name in required.split(",") if name.strip()}
    return [name for name in config.stash[_RUN].missing() if "all" in names or name in names]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    passed = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if passed and _required_but_missing(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    yield  # the lines below come after pytest's own
    missing = config.stash[_RUN].missing()
    if not missing:
        return
    terminalreporter.section("not tested", yellow=True)
    for name, reason in missing.items():
        terminalreporter.write_line(f"{name}: {reason}")
    failing = _required_but_missing(config)
    if failing:
        terminalreporter.write_line(
            f"DJ_TEST_REQUIRE={os.environ['DJ_TEST_REQUIRE']}: the run fails without {', '.join(failing)}",
            red=True,
        )


@pytest.fixture(scope="session")
def _servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    servers = pytestconfig.stash[_SERVERS]
    yield servers
    servers.close()


def _server_or_skip(servers: Servers, name: str) -> ServerUnderTest:
    try:
        return servers.get(name)
    except Unavailable as error:
        pytest.skip(f"no {name}: {error}")


@pytest.fixture(scope="session", params=SERVER_NAMES)
def server(request: pytest.FixtureRequest, _servers: Servers) -> ServerUnderTest:
    """Return each database server in turn."""
    return _server_or_skip(_servers, request.param)


@pytest.fixture(scope="session")
def postgres_server(_servers: Servers) -> ServerUnderTest:
    """Return PostgreSQL: the embedded one unless ``DJ_TEST_POSTGRES`` names another."""
    return _server_or_skip(_servers, "postgresql")


@pytest.fixture(scope="session")
def mysql_server(_servers: Servers) -> ServerUnderTest:
    """Return MySQL."""
    return _server_or_skip(_servers, "mysql")


@pytest.fixture(scope="session")
def mariadb_server(_servers: Servers) -> ServerUnderTest:
    """Return MariaDB."""
    return _server_or_skip(_servers, "mariadb")


@pytest.fixture(scope="session")
def redis_url(_servers: Servers) -> str:
    """Return the URL of a Redis."""
    try:
        return _servers.redis_url()
    except Unavailable as error:
        pytest.skip(f"no redis: {error}")


@pytest.fixture
def prometheus(_servers: Servers, pytestconfig: pytest.Config) -> Iterator[RunningPrometheus]:
    """Return a Prometheus that scrapes what is written into its file of targets, to one test at a time."""
    try:
        found = _servers.prometheus()
    except Unavailable as error:
        pytest.skip(f"no prometheus: {error}")
    with locked(pytestconfig.stash[_RUN].path / "prometheus.in-use"):
        yield found
        found.targets.write_text("[]")


@pytest.fixture(scope="session")
def program(_servers: Servers) -> Callable[[str], str]:
    """Return what finds promtool and helm, or skips the test and names them in the last lines."""

    def find(name: str) -> str:
        try:
            return _servers.program(name)
        except Unavailable as error:
            pytest.skip(f"no {name}: {error}")

    return find


@pytest.fixture(scope="session")
def skip_without(pytestconfig: pytest.Config) -> Callable[..., None]:
    """Return what skips a test that needs a part that is missing, and names it in the last lines."""

    def check(part: str, is_there: bool, reason: str = "not installed") -> None:
        if not is_there:
            pytestconfig.stash[_RUN].note_missing(part, reason)
            pytest.skip(f"{part}: {reason}")

    return check


@pytest.fixture(scope="session")
def dot_program(pytestconfig: pytest.Config) -> str:
    """Return the path of Graphviz's program, installed from Debian where it is not here."""
    run = pytestconfig.stash[_RUN]
    try:
        if shutil.which("dot") is None:
            install(["graphviz"], run.path)
    except Unavailable as error:
        run.note_missing("graphviz", str(error))
    found = shutil.which("dot")
    if found is None:
        run.note_missing("graphviz", "no program `dot` on the PATH; not root on Debian to install it")
        pytest.skip("graphviz is not installed")
    return found


# time.sleep asks for an end on the clock, which libfaketime gives the system in a form that it refuses
_SLEEP = """import threading, time
def sleep(seconds):
    threading.Event().wait(seconds)
time.sleep = sleep
"""


@pytest.fixture(scope="session")
def wrong_clock(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], dict[str, str]]:
    """Return what sets the clock of a process off by so many seconds, as environment variables.

    libfaketime does it, which comes from Debian where it is not here.
    """
    run = pytestconfig.stash[_RUN]
    places = ["/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1"]
    reason = "not installed; not root on Debian to install it"
    try:
        if not _first(places):
            install(["libfaketime"], run.path)
    except Unavailable as error:
        reason = str(error)
    library = _first(places)
    if library is None:
        run.note_missing("libfaketime", reason)
        pytest.skip(f"no libfaketime: {reason}")
    folder = tmp_path_factory.mktemp("wrong_clock")
    (folder / "sitecustomize.py").write_text(_SLEEP)

    def environment(seconds: int) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME": f"{seconds:+d}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        }

    return environment


def _first(patterns: list[str]) -> Path | None:
    return next((Path(path) for pattern in patterns for path in glob.glob(pattern)), None)


# Connections and schemas on top of the servers: below this line.


_VARIABLES_OF_SETTINGS = {
    "backend": "DJ_BACKEND",
    "host": "DJ_HOST",
    "port": "DJ_PORT",
    "user": "DJ_USER",
    "password": "DJ_PASS",
    "database_name": "DJ_DATABASE_NAME",
}


def make_connection(server: ServerUnderTest, config: Config, **changed: Any) -> Connection:
    """Return a connection to a server, not opened yet; `changed` are settings that differ."""
    from dj_schema.connection import Connection
    from dj_schema.server_address import connection_settings

    return Connection(connection_settings(config, **{**server.settings, **changed}), config)


@pytest.fixture
def config(server: ServerUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """Return the package's own settings, for one test those of the server and without prompts."""
    from datajoint.default import config
    from dj_schema.settings import Config

    before = config.__getstate__()
    config.__setstate__(Config().__getstate__())
    config["safemode"] = False
    for name, variable in _VARIABLES_OF_SETTINGS.items():
        if value := server.settings[name]:
            config[f"database.{name.removeprefix('database_')}"] = value
            monkeypatch.setenv(variable, str(value))  # for processes that a test starts
    yield config
    config.__setstate__(before)


@pytest.fixture
def connection(server: ServerUnderTest, config: Config) -> Iterator[Connection]:
    """Return a connection to each server in turn."""
    with make_connection(server, config) as opened:
        yield opened


@pytest.fixture
def new_schema_name(server: ServerUnderTest, config: Config) -> Iterator[Callable[[], str]]:
    """Return what makes a name for a schema; schemas of these names are dropped after the test."""
    names: list[str] = []

    def name() -> str:
        names.append(f"djt_{os.getpid()}_{secrets.token_hex(4)}")
        return names[-1]

    yield name
    if not names:
        return
    with make_connection(server, config) as cleaner:
        if server.settings["backend"] == "postgresql":
            cleaner.query("SET lock_timeout = '20s'")  # a transaction that a test left open is a failure
        else:
            cleaner.query("SET lock_wait_timeout = 20, foreign_key_checks = 0")
        for made in reversed(names):
            cleaner.script(cleaner.dialect.ddl.drop_schema(made))


@pytest.fixture
def new_schema(new_schema_name: Callable[[], str], connection: Connection) -> Iterator[Callable[..., Schema]]:
    """Return what makes an empty schema on the connection under test."""
    from dj_query.schema import Schema

    yield lambda **options: Schema(new_schema_name(), connection=connection, **options)
    connection.close()  # before the schemas go: it may hold locks on them


@pytest.fixture
def dj(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return `datajoint` as its users import it; its default connection is the one under test."""
    import datajoint
    from datajoint import default

    monkeypatch.setattr(default, "_connection", connection)
    yield datajoint
    if default._connection is not None and default._connection is not connection:
        default._connection.close()  # a test may have reset it
