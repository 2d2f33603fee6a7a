"""A tree of files in one file, of which any number of servers read what they need where it lies.

    magic, counts │ one entry for each file │ texts │ contents

Entries are of one size and stand by the level of their folder, those of one folder side by side in the order of their
names' bytes: a name is found by halving, and the number of an entry is for good the file's own. Nothing is unpacked or
parsed at the start; the kernel's cache is the only one, and all servers share it.
"""

import mmap
import os
import struct
from dataclasses import dataclass
from functools import lru_cache

from weft.ninep.words import Mode

MAGIC = b"weft.p9\x01"
PAGE = 4096
_KEPT = 2048
"""Entries that are not read again: those on the way to most files."""
ROOT = 0
"""The number of the root's entry."""
MOST_FILES = 1 << 31
HEAD = struct.Struct("<8sQQ")
"""Magic, number of entries, bytes of texts."""
ENTRY = struct.Struct("<8IQQ")
"""Parent; places of name, user and group among the texts; mode; time; first child, children; content's place, bytes."""


class BadPack(Exception):
    """The file is no pack, or was cut off."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A file of a pack: `children` are numbers of entries, `data` is where its content begins in the pack."""

    number: int
    parent: int
    name: str
    mode: int
    mtime: int
    uid: str
    gid: str
    children: range = range(0)
    data: int = 0
    size: int = 0

    @property
    def is_dir(self) -> bool:
        return bool(self.mode & Mode.DIR)


class Pack:
    """A pack that is open as `fd`, which stays the caller's. Raises BadPack."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        try:
            magic, self.count, texts = HEAD.unpack(os.pread(fd, HEAD.size, 0))
        except struct.error as err:
            raise BadPack("it is too short for a pack") from err
        self._texts = HEAD.size + self.count * ENTRY.size
        size = self._texts + texts
        if magic != MAGIC or not 0 < self.count <= MOST_FILES or os.fstat(fd).st_size < size:
            raise BadPack("it is no pack, or was cut off")
        self._head = mmap.mmap(fd, size, prot=mmap.PROT_READ)
        self.entry = lru_cache(_KEPT)(self._read_entry)
        """The file with a number."""

    def close(self) -> None:
        self._head.close()

    def _read_entry(self, number: int) -> Packed:
        """The file with this number."""
        fields = ENTRY.unpack_from(self._head, HEAD.size + number * ENTRY.size)
        parent, name, uid, gid, mode, mtime, first, children, data, size = fields
        return Packed(
            number=number,
            parent=parent,
            name=self._text(name).decode(),
            mode=mode,
            mtime=mtime,
            uid=self._text(uid).decode(),
            gid=self._text(gid).decode(),
            children=range(first, first + children),
            data=data,
            size=size,
        )

    def find(self, folder: Packed, name: str) -> Packed | None:
        """The file of this name in a folder."""
        wanted = name.encode()
        low, high = folder.children.start, folder.children.stop
        while low < high:
            middle = (low + high) // 2
            if (found := self._name(middle)) == wanted:
                return self.entry(middle)
            low, high = (middle + 1, high) if found < wanted else (low, middle)
        return None

    def read(self, file: Packed, offset: int, count: int) -> bytes:
        """At most `count` bytes of its content."""
        left = min(count, file.size - offset)
        return os.pread(self._fd, left, file.data + offset) if left > 0 else b""

    def _name(self, number: int) -> bytes:
        (place,) = struct.unpack_from("<I", self._head, HEAD.size + number * ENTRY.size + 4)
        return self._text(place)

    def _text(self, place: int) -> bytes:
        start = self._texts + place
        return self._head[start + 1 : start + 1 + self._head[start]]
