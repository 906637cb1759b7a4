"""How PostgreSQL's programs are called: the server's settings, and who it is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dj_schema.dialects.embedded.account import Account
from dj_schema.dialects.embedded.folder import PORT
from dj_schema.dialects.embedded.programs import Programs, environment

SUPERUSER = "postgres"
DATABASE = "postgres"
READY, REJECTING = 0, 1
"""What `pg_isready` returns of a server that answers: at once, or when its recovery is done."""

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "on",
    # Errors go to the client; in the log they would only repeat the user's values.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    "logging_collector": "off",
}


def name_of(cluster: Path, account: Account) -> str:
    """Return the path by which a program, started inside `cluster`, is told where its data is.

    Another user may not pass the folders above it (root's home, say), and those are not ours to open.
    The kernel's link to the working folder needs no way through them.
    """
    if account.is_other and sys.platform == "linux":
        return "/proc/self/cwd"
    return str(cluster)


def initdb_command(programs: Programs, account: Account, cluster: Path) -> list[str]:
    # texts in order of their code points, and capitals of all letters, whatever the system's libraries know
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = ["--auth=trust", "--encoding=UTF8", *locale, "--no-instructions"]
    return [str(programs.initdb), "-D", name_of(cluster, account), "-U", SUPERUSER, *options]


def postgres_command(programs: Programs, account: Account, cluster: Path, socket_dir: Path) -> list[str]:
    settings = {**_SETTINGS, "unix_socket_directories": str(socket_dir)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [str(programs.postgres), "-D", name_of(cluster, account), *options]


def probe_command(programs: Programs, socket_dir: Path) -> list[str]:
    where = ["-h", str(socket_dir), "-p", str(PORT), "-U", SUPERUSER, "-d", DATABASE]
    return [str(programs.pg_isready), "-q", *where]


def probe(programs: Programs, socket_dir: Path) -> int:
    """Ask the server whether it takes connections; return the code of `pg_isready`."""
    return subprocess.run(
        probe_command(programs, socket_dir),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode
