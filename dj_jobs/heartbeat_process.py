"""What runs in the process of `heartbeat.py`: ``python -I -S heartbeat_process.py LEASE_S PARENT PATH...``.

It reads lines: ``connection HEX``, ``held HEX``, ``beat``. Nothing but the interpreter's own modules is
imported until there is something to do, so that it starts in milliseconds.
"""

import os
import select
import sys


def is_running(pid: str) -> bool:
    """Whether a process that is there is not stopped; True where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in b"TtZX"
    except OSError:
        return not os.path.isdir("/proc/self")


def main() -> None:
    lease_s, parent, path = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    said = {b"connection": b"", b"held": b""}
    rest = b""
    renewal = None
    while True:
        if select.select([0], [], [], lease_s * (0.33 if renewal else 0.36))[0]:
            block = os.read(0, 65536)
            if not block:
                return
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                word, _, value = line.partition(b" ")
                if word in said:
                    said[word] = value
            if renewal is not None:
                renewal.close()
                renewal = None
        elif os.getppid() != int(parent):
            return  # a fork of the parent has kept the pipe open
        elif said[b"held"] and is_running(parent):
            if renewal is None:
                sys.path[:] = path
                from dj_jobs.heartbeat import Renewal

                connection, held = (bytes.fromhex(text.decode()) for text in said.values())
                renewal = Renewal(connection, held, lease_s)
            renewal()


if __name__ == "__main__":
    main()
