"""Fixtures and options of every test: the servers, and the last lines, which say what was not tested.

=====================  ==================================================================================
``server``             a `ServerUnderTest`; the test runs once on each of the three databases
``postgres_server``    that one database; likewise ``mysql_server`` and ``mariadb_server``
``redis_url``          the URL of a Redis
=====================  ==================================================================================

A test whose server cannot be had is skipped, and the server is named at the end of the run.
``DJ_TEST_REQUIRE`` is ``all``, or names separated by commas: without those the run fails.
``--servers postgresql,mysql`` narrows a run while developing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.launch import Unavailable
from tests.support.servers import SERVER_NAMES, RunFolder, Servers, ServerUnderTest

_RUN = pytest.StashKey[RunFolder]()
_SERVERS = pytest.StashKey[Servers]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        default=",".join(SERVER_NAMES),
        metavar="NAMES",
        help=f"database servers to test on, separated by commas (default: {','.join(SERVER_NAMES)})",
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


# Connections and schemas on top of the servers: below this line.
