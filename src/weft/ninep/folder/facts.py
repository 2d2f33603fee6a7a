"""What the host's file system says about a file, and what 9P makes of it."""

import ctypes
import os
import stat
import struct
import zlib
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

PERMISSIONS = 0o777
LAST_OFFSET = (1 << 63) - 1
"""Offsets of the host have a sign."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_STATX = struct.Struct("=I4x8xIIIH2xQQ8x8x" + 4 * "qI4x" + "8xQ")
"""struct statx: mask, links, owner, group, mode, inode, size, times (accessed, born, changed, modified), device."""
_BYTES = 256
_ALL = 0xFFF
_BORN = 0x800
_NOFOLLOW = 0x100
_EMPTY_PATH = 0x1000
_OVERLAY = 0x794C7630
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_SECOND = 10**9


class Facts(NamedTuple):
    """About a file, at one instant. Times are nanoseconds since the epoch; `born` is 0 where nobody knows."""

    mode: int
    size: int
    uid: int
    gid: int
    device: int
    inode: int
    accessed: int
    born: int
    changed: int
    modified: int

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_served(self) -> bool:
        """Whether it is there for clients."""
        return stat.S_ISREG(self.mode) or stat.S_ISDIR(self.mode)

    @property
    def number(self) -> int:
        """One file's alone for good: a file system gives an inode to another file later, but never with this birth."""
        return number_file(self.device, self.inode, self.born)

    def version(self, changes: int) -> int:
        """Moves with every change. Two within one tick of the kernel's clock are told apart by `changes` alone."""
        seen = struct.pack("=qqQQ", self.changed, self.modified, self.size, changes)
        return zlib.crc32(seen)


def read_facts(directory: int, name: bytes) -> Facts:
    """Of a name in a directory, or with an empty name of what the descriptor is of. Raises OSError."""
    flags = _NOFOLLOW if name else _EMPTY_PATH
    buffer = ctypes.create_string_buffer(_BYTES)
    if _LIBC.statx(directory, name, flags, _ALL, buffer) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    mask, _links, uid, gid, mode, inode, size, *times, device = _STATX.unpack_from(buffer)
    accessed, born, changed, modified = (times[at] * _SECOND + times[at + 1] for at in (0, 2, 4, 6))
    if not mask & _BORN or not _keeps_births(device, directory, name):
        born = 0
    return Facts(mode, size, uid, gid, device, inode, accessed, born, changed, modified)


_births: dict[int, bool] = {}


def _keeps_births(device: int, directory: int, name: bytes) -> bool:
    """Whether a file there keeps its birth. In an overlay it gets another one when it is first written to."""
    if device not in _births:
        fd = os.open(name, _LOOK, dir_fd=directory) if name else os.dup(directory)
        try:
            _births[device] = _read_kind(fd) != _OVERLAY
        finally:
            os.close(fd)
    return _births[device]


def _read_kind(fd: int) -> int:
    """The magic number of a file's file system: the first field of struct statfs."""
    buffer = ctypes.create_string_buffer(_BYTES)
    return _OVERLAY if _LIBC.fstatfs(fd, buffer) != 0 else ctypes.c_long.from_buffer(buffer).value


@lru_cache(maxsize=4096)
def number_file(device: int, inode: int, born: int) -> int:
    """64 bits from what is one file's alone; a million files collide in one case of 30 million."""
    told = struct.pack("=QQq", device, inode, born)
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "little")
