"""How much an image may ask for before it is taken for a bomb."""

import threading
from dataclasses import dataclass

from weft.image.flatten.members import Member
from weft.model.errors import NoRoom

MAX_NAME, MAX_PATH = 255, 4095
"""Bytes of one name and of a path or a link's target: what Linux takes (NAME_MAX, PATH_MAX without its NUL)."""

MAX_HEADER = 1 << 20
"""Bytes of one long name or one extended header. Go's archive/tar, which container engines use, has the same limit."""

MAX_XATTR = 1 << 16
"""Bytes of one extended attribute's value: XATTR_SIZE_MAX of Linux."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What all layers of one image together may have. Sizes are in bytes.

    `unpacked` is what comes out of decompression, and for a moment takes room beside the root; `content` is the sum of
    file sizes, where holes count; `headers` are names, links' targets and attributes, which are held in memory.
    """

    unpacked: int = 32 << 30
    content: int = 64 << 30
    headers: int = 256 << 20
    members: int = 1_000_000


LIMITS = Limits()


class Stopped(Exception):
    """Somebody else failed, so there is no need to go on."""


class Budget:
    """What an image has left of its limits. Several threads draw from it, and end once it was stopped."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._unpacked = self._content = self._headers = self._members = 0
        self._stopped = False

    def stop(self) -> None:
        """Whoever draws from now on gets Stopped."""
        self._stopped = True

    def take_unpacked(self, size: int) -> None:
        """Room for a piece of a layer. Raises NoRoom."""
        with self._lock:
            self._unpacked += size
        self._check(self._unpacked, self.limits.unpacked, "bytes of unpacked layers")

    def take_content(self, size: int) -> None:
        """Room for a file of the root. Raises NoRoom."""
        with self._lock:
            self._content += size
        self._check(self._content, self.limits.content, "bytes of files")

    def take_member(self, member: Member) -> None:
        """Room for a member of a layer, in memory. Raises NoRoom."""
        size = sum(map(len, (member.name, member.target, member.user, member.group))) + 24 * len(member.extents or ())
        for name, value in (member.xattrs or {}).items():
            size += len(name) + len(value)
        with self._lock:
            self._members += 1
            self._headers += size
        self._check(self._members, self.limits.members, "files")
        self._check(self._headers, self.limits.headers, "bytes of names and attributes")

    def _check(self, used: int, limit: int, what: str) -> None:
        if self._stopped:
            raise Stopped
        if used > limit:
            raise NoRoom(f"the image has more than {limit} {what}", hint="it is damaged, or made to fill up hosts")
