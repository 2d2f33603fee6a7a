"""The content of a file that somebody has open: the image's as long as nobody writes, then a copy that is its own.

A file is copied whole by the first write. Files of a root are small as a rule, and one that is written is mostly
written anew; blocks would need a map for each file, on record with every write.
"""

import os
from dataclasses import replace
from typing import Protocol

from weft.ninep.overlay.changes import Record
from weft.ninep.overlay.contents import Contents
from weft.ninep.pack import Pack, Packed
from weft.ninep.words import NinepError

VERSIONS = 1 << 12
"""How many versions are put on record at once: after a kill the next run begins behind those that were seen."""
GONE = "file has been removed"


class Records(Protocol):
    """Where records of files are kept."""

    def find(self, id: int) -> Record | None: ...

    def put(self, record: Record) -> None: ...


class Live:
    """One for all who have the file open. `version` is that of its qid now, `size` in bytes."""

    def __init__(self, record: Record, records: Records, pack: Pack, contents: Contents) -> None:
        self.id = record.id
        self.version = self._noted = record.version
        self.users = 0
        self.gone = False
        self._records, self._pack, self._contents = records, pack, contents
        self._fd: int | None = None
        self._packed: Packed | None = None
        if record.base is None:
            self._fd = contents.open(record.id)
            self.size = os.fstat(self._fd).st_size
        else:
            self._packed = pack.entry(record.base)
            self.size = self._packed.size

    def read(self, offset: int, count: int) -> bytes:
        """Raises OSError."""
        if offset >= self.size:
            return b""
        if self._fd is not None:
            return os.pread(self._fd, count, offset)
        assert self._packed is not None
        return self._pack.read(self._packed, offset, count)

    def write(self, offset: int, data: bytes, user: str) -> int:
        """How many bytes were taken. Raises NinepError when there is no room, OSError."""
        fd = self._fd if self._fd is not None else self._copy(user)
        before = self.size
        self._contents.charge(max(0, offset + len(data) - before))
        self.size = max(before, offset + len(data))
        try:
            written = os.pwrite(fd, data, offset)
        finally:
            self._measure(fd)
        self._move(user)
        return written

    def truncate(self, length: int, user: str) -> None:
        """Cut it, or make it longer by zeros. Raises NinepError when there is no room, OSError."""
        fd = self._fd
        if fd is None:
            self._contents.want_room(length)  # before anything is changed
            fd = self._copy(user) if length else self._begin_empty(user)
        self._contents.charge(length - self.size)
        self.size = length
        try:
            os.ftruncate(fd, length)
        finally:
            self._measure(fd)
        self._move(user)

    def sync(self) -> None:
        """Have the content on stable storage."""
        if self._fd is not None:
            os.fsync(self._fd)

    def forget(self) -> None:
        """The file was removed: its content goes with its last user."""
        self.gone = True
        if self._fd is not None:
            self._contents.discard(self.id)

    def close(self) -> None:
        """Nobody has it open any more."""
        record = self._records.find(self.id)
        if record is not None and self.version != self._noted and not self.gone:
            self._records.put(replace(record, version=self.version))
        if self._fd is not None:
            os.close(self._fd)
            if self.gone:
                self._contents.charge(-self.size)

    def _copy(self, user: str) -> int:
        record = self._get()
        assert self._packed is not None
        fd = self._contents.copy(self.id, self._pack, self._packed)
        self._own(record, fd, user)
        return fd

    def _begin_empty(self, user: str) -> int:
        record = self._get()
        self._contents.discard(self.id)
        fd = self._contents.open(self.id)
        self._own(record, fd, user)
        self.size = 0
        return fd

    def _own(self, record: Record, fd: int, user: str) -> None:
        """The content is the file's own from the moment that its record says so."""
        noted = self.version + VERSIONS
        try:
            self._records.put(replace(record, base=None, muid=user, version=noted))
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._packed, self._noted = fd, None, noted

    def _move(self, user: str) -> None:
        self.version += 1
        if self.version >= self._noted and (record := self._records.find(self.id)) is not None and not self.gone:
            self._noted = self.version + VERSIONS
            self._records.put(replace(record, muid=user, version=self._noted))

    def _measure(self, fd: int) -> None:
        """The host may have taken less than was asked for."""
        length = os.fstat(fd).st_size
        self._contents.used += length - self.size
        self.size = length

    def _get(self) -> Record:
        if self.gone or (record := self._records.find(self.id)) is None:
            raise NinepError(GONE)
        return record
