"""A child whose parent was killed ends as the parent would have had it end: in time, its job released.

Without a parent it claims nothing more anyway (`child.Orders`); this is for the job that it still runs.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time

from dj_workers.shutdown import AT_ONCE

log = logging.getLogger("datajoint.workers")

_FAREWELL_S = 10.0  # in which a job can be released; native code may not let it


def end_with_parent(fd: int, within_s: float) -> None:
    """Have this process end when its parent does, though a job runs.

    Parameters
    ----------
    fd : int
        The pipe to the parent, which closes its end only when it is gone.
    within_s : float
        How long the running job has.
    """
    threading.Thread(target=_end, args=(fd, within_s), name="datajoint-parent", daemon=True).start()


def _end(fd: int, within_s: float) -> None:
    hangup = select.poll()
    hangup.register(fd, 0)  # the end of the other side is told anyway, and nothing else is asked for
    hangup.poll()
    time.sleep(within_s)
    log.warning("the parent of this process was killed, and its job takes longer; the job is released")
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, AT_ONCE)  # that thread, so that it wakes
    time.sleep(_FAREWELL_S)
    os.kill(os.getpid(), signal.SIGKILL)  # its session ends with it, and others take the job over
