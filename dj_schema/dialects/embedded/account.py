"""Which user the server runs as: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

_NOBODY = 65534


class PopenUser(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """A user of the system; `is_other` when that is not the one who runs this process."""

    uid: int
    gid: int
    is_other: bool

    def popen_arguments(self) -> PopenUser:
        """Return what `subprocess.Popen` needs to run a program as this user."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand `path`, which we have just made, to this user."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)


def account_for(folder: Path, cluster: Path) -> Account:
    """Choose the user for the server: ourselves, and as root whoever owns the data.

    Root's new cluster goes to the owner of the data folder, or to `nobody` where that is root too.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), is_other=False)
    import pwd  # not on every system

    if cluster.exists() and cluster.stat().st_uid != 0:
        return Account(cluster.stat().st_uid, cluster.stat().st_gid, is_other=True)
    owner = folder.stat()
    # initdb refuses a user without a name, as the owner of a container's volume often is.
    if owner.st_uid != 0 and any(user.pw_uid == owner.st_uid for user in pwd.getpwall()):
        return Account(owner.st_uid, owner.st_gid, is_other=True)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(_NOBODY, _NOBODY, is_other=True)
    return Account(nobody.pw_uid, nobody.pw_gid, is_other=True)
