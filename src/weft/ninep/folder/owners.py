"""Whose files are: names of users and groups."""

import grp
import os
import pwd
from functools import lru_cache

from weft.ninep.words import NinepError


class Owners:
    """Names for the host's numbers. `user` is what the server's own user, and its group, are called."""

    def __init__(self, user: str | None = None) -> None:
        self._user = user
        self._uid = os.geteuid()
        self._gid = os.getegid()

    def user(self, uid: int) -> str:
        return self._user if self._user and uid == self._uid else _user_name(uid)

    def group(self, gid: int) -> str:
        return self._user if self._user and gid == self._gid else _group_name(gid)

    def find_group(self, name: str) -> int:
        """The number of a group. Raises NinepError."""
        if name == self._user:
            return self._gid
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            if name.isascii() and name.isdigit() and int(name) < 1 << 32:
                return int(name)
            raise NinepError("unknown group") from None


@lru_cache(maxsize=1024)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@lru_cache(maxsize=1024)
def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
