"""What stands in a tar: plain data."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a member is, by its letter in the header (POSIX pax, ustar interchange format)."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER = b"3"
    BLOCK = b"4"
    FOLDER = b"5"
    FIFO = b"6"


Extent = tuple[int, int]
"""Offset within the file and length of a part that is not a hole."""


@dataclass(slots=True)
class Member:
    """One member. Names are bytes, as they came. `data` is where its content begins in the tar. `user` and `group` are
    its owners' names, if it says them.

    `size` is the file's, with holes; `extents` says which parts of it stand in the tar, one after the other. None
    stands for all of it.
    """

    name: bytes
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    user: bytes = b""
    group: bytes = b""
    mtime: int = 0
    size: int = 0
    target: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] | None = None
    data: int = 0
    extents: tuple[Extent, ...] | None = None


def show(name: bytes) -> str:
    """A name for people: bytes that are no text, or would move the cursor, are escaped."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
