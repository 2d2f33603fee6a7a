"""Contents of a machine's own files: each is a file of the host that is called by a number, and all have one bound.

What is charged is how long files are and not what they take on the disk, so a machine learns at once, and always at the
same place, that there is no room.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from weft.ninep.pack import Pack, Packed
from weft.ninep.words import NinepError

FULL = "No space left on device"
"""As Linux calls it: v9fs knows errno by that, and Plan 9 shows the text."""
FILE_COST = 1024
"""Bytes that are charged for a file beside its content: its row, and an inode of the host."""
_PIECE = 1 << 20
_NAME = re.compile(r"[0-9a-f]+")


class Contents:
    """The contents in `folder`; a content that is not there is empty. `limit` is in bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self.used = 0
        folder.mkdir(mode=0o700, exist_ok=True)

    def sweep(self, owners: Iterable[int]) -> None:
        """Count what is there, and remove what no file has: a copy whose making was cut short."""
        kept = set(owners)
        for path in list(self._folder.iterdir()):
            if _NAME.fullmatch(path.name) and int(path.name, 16) in kept:
                self.used += path.stat().st_size
            else:
                path.unlink()

    def charge(self, size: int) -> None:
        """Raises NinepError when there is no room for so many bytes more. They may be given back as less than none."""
        self.want_room(size)
        self.used += size

    def want_room(self, size: int) -> None:
        """Raises NinepError when there is no room for so many bytes more."""
        if size > 0 and self.used + size > self._limit:
            raise NinepError(FULL)

    def stat(self, id: int) -> tuple[int, int] | None:
        """How long the content of a file is, and when it was changed."""
        try:
            found = self._path(id).stat()
        except FileNotFoundError:
            return None
        return found.st_size, int(found.st_mtime)

    def open(self, id: int) -> int:
        """A descriptor for reading and writing; the content is there from now on."""
        return os.open(self._path(id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def copy(self, id: int, pack: Pack, file: Packed) -> int:
        """The same, of a copy of an image's file. Raises NinepError, OSError; nothing is there then."""
        self.charge(file.size)
        self.discard(id)
        fd = self.open(id)
        try:
            for offset in range(0, file.size, _PIECE):
                _write_all(fd, pack.read(file, offset, _PIECE), offset)
            os.utime(fd, (file.mtime, file.mtime))
        except BaseException:
            os.close(fd)
            self.discard(id)
            self.charge(-file.size)
            raise
        return fd

    def set_time(self, id: int, mtime: int) -> None:
        """When the content was changed; it is there from now on."""
        fd = self.open(id)
        os.utime(fd, (mtime, mtime))
        os.close(fd)

    def remove(self, id: int) -> None:
        """Give the room of a file back."""
        if found := self.stat(id):
            self.charge(-found[0])
        self.discard(id)

    def discard(self, id: int) -> None:
        """Remove a content that was not charged."""
        self._path(id).unlink(missing_ok=True)

    def _path(self, id: int) -> Path:
        return self._folder / f"{id:x}"


def _write_all(fd: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written
