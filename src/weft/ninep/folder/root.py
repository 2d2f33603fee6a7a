"""The directory that is served, and looking at what is in it."""

import asyncio
import os
from functools import cache
from pathlib import Path
from types import TracebackType

from weft.ninep.folder.beneath import DIRECTORY, Opener
from weft.ninep.folder.errors import translate, translating
from weft.ninep.folder.facts import PERMISSIONS, Facts, read_facts
from weft.ninep.folder.owners import Owners
from weft.ninep.folder.places import Place, find_name
from weft.ninep.folder.uses import Uses
from weft.ninep.words import NOT_FOUND, READ_ONLY, Mode, NinepError, Qid, QidType, Stat

_SECOND = 10**9
_WORD = 0xFFFFFFFF
_HANDS = 64
"""Reads and writes that threads have or wait for: their data is in memory."""
_TYPE_SHIFT = 24
_DIR = int(Mode.DIR)
"""A flag costs as much as a call of the system to reckon with; a number does not."""


class Root:
    """A directory of the host, by a descriptor, and what its server keeps in mind about the files in it."""

    def __init__(self, folder: Path | int, *, read_only: bool, user: str | None, max_open: int) -> None:
        """`folder` is a path, or a descriptor, which stays the caller's. Raises OSError."""
        where = os.fspath(folder) if isinstance(folder, Path) else b"."
        at = folder if isinstance(folder, int) else None
        self.descriptor = os.open(where, DIRECTORY | os.O_CLOEXEC, dir_fd=at)
        self.place = Place()
        self.read_only = read_only
        self.owners = Owners(user)
        self.uses = Uses(max_open)
        self.hands = asyncio.Semaphore(_HANDS)
        self._opener = Opener(self.descriptor)

    def close(self) -> None:
        os.close(self.descriptor)

    def open(self, place: Place, flags: int) -> int:
        """A new descriptor of what is at a place. Raises NinepError."""
        with translating:
            return self._opener.open(place.path, flags)

    def directory(self, place: Place, flags: int = DIRECTORY) -> "Working":
        """A descriptor of the directory at a place, to work in; what the host complains of is a NinepError."""
        return Working(self.open(place, flags))

    def look(self, place: Place) -> Facts:
        """What is at a place now. Raises NinepError."""
        if place.is_root:
            with translating:
                return read_facts(self.descriptor, b"")
        if place.is_gone:
            raise NinepError(NOT_FOUND)
        with self.directory(place.parent) as fd:
            return look_served(fd, place.name)

    def qid(self, facts: Facts) -> Qid:
        number = facts.number
        return self._qid(facts, number, self._mode(facts, number))

    def stat(self, facts: Facts, name: bytes) -> Stat:
        """As clients see it. `name` is a host's; the root is called `/`."""
        number = facts.number
        mode = self._mode(facts, number)
        owner = self.owners.user(facts.uid)
        return Stat(
            qid=self._qid(facts, number, mode),
            mode=mode,
            name=(find_name(name) or "?") if name else "/",
            length=0 if facts.is_dir else facts.size,
            atime=facts.accessed // _SECOND & _WORD,
            mtime=facts.modified // _SECOND & _WORD,
            uid=owner,
            gid=self.owners.group(facts.gid),
            muid=owner,
        )

    def refuse_changes(self) -> None:
        """Raises NinepError where nothing may be changed."""
        if self.read_only:
            raise NinepError(READ_ONLY)

    def _mode(self, facts: Facts, number: int) -> int:
        return facts.mode & PERMISSIONS | (_DIR if facts.is_dir else 0) | self.uses.marks(number)

    def _qid(self, facts: Facts, number: int, mode: int) -> Qid:
        return Qid(_find_type(mode >> _TYPE_SHIFT), facts.version(self.uses.changes(number)), number)


class Working:
    """`with` it, a descriptor is open, and an OSError is told as a NinepError. Every request has one: it is not a
    generator, which would cost as much as the calls in it.
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, _kind: type[BaseException] | None, err: BaseException | None, _at: TracebackType | None) -> None:
        os.close(self._fd)
        if isinstance(err, OSError):
            raise translate(err) from err


@cache
def _find_type(top: int) -> QidType:
    return Mode.qid_type(top << _TYPE_SHIFT)


def look_served(directory: int, name: bytes) -> Facts:
    """Of a name in a directory, if it is there for clients. Raises OSError, NinepError."""
    facts = read_facts(directory, name)
    if not facts.is_served:
        raise NinepError(NOT_FOUND)
    return facts
