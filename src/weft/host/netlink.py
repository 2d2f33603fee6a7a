"""Route netlink on the wire: messages, attributes, and one request answered at a time.

The kernel carries a request out inside send(), so its answer is there when send() returns: a request never waits
for anything but the kernel's own lock. Layouts are those of linux/netlink.h and linux/rtnetlink.h; the kernel's
own words for a refusal (extended acknowledgement) end up in the exception.
"""

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator

from weft.model.errors import Exists, Internal, NotFound, Unavailable, WeftError

REQUEST, ACK, ROOT_MATCH = 0x1, 0x4, 0x300
EXCLUSIVE, CREATE = 0x200, 0x400
NESTED = 0x8000

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _EXT_ACK, _STRICT_CHECK = 270, 11, 12
_DUMP_INTERRUPTED, _CAPPED, _ACK_TLVS = 0x10, 0x100, 0x200
_DUMP_ATTEMPTS = 5
"""What is listed may change meanwhile; after so many times something is better than nothing."""
_ACK_MESSAGE = 1
_RECEIVE = 1 << 16
_ERRORS: dict[int, type[WeftError]] = {
    errno.EEXIST: Exists,
    errno.EADDRNOTAVAIL: NotFound,
    errno.ENODEV: NotFound,
    errno.ENOENT: NotFound,
    errno.EPERM: Unavailable,
    errno.EOPNOTSUPP: Unavailable,
}


class Refused(OSError):
    """The kernel said no: `errno`, and in `strerror` its own words where it has any."""


def attribute(kind: int, value: bytes | str | int) -> bytes:
    """One attribute; text gets its final zero, a number is 32 bits wide."""
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NESTED, b"".join(parts))


def parse_attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by kind, flags stripped. What is cut off at the end is left out."""
    return dict(_walk_attributes(data))


def find_attribute(data: bytes, wanted: int) -> bytes:
    """The first attribute of a kind; empty when there is none."""
    return next((value for kind, value in _walk_attributes(data) if kind == wanted), b"")


def _walk_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at, end = 0, len(data)
    while at + _ATTRIBUTE.size <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size or at + size > end:
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + size]
        at += size + -size % 4


def parse_text(value: bytes) -> str:
    """Text up to its final zero."""
    return value.split(b"\0", 1)[0].decode(errors="replace")


def parse_messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, sequence number and body of each message in a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        if size < _HEADER.size:
            break
        yield kind, flags, sequence, data[at + _HEADER.size : at + size]
        at += size + -size % 4


class NetlinkSocket:
    """One route netlink socket. Safe to use from several threads, which then wait for each other."""

    def __init__(self, sock: socket.socket, timeout: float = 10.0) -> None:
        """`timeout` in seconds bounds every single answer."""
        sock.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        sock.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)  # without it a dump ignores what it was asked to filter by
        sock.settimeout(timeout)
        self._sock = sock
        self._sequence = 0
        self._interrupted = False
        self._lock = threading.Lock()

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Have something done. Raises Refused."""
        with self._lock:
            for _ in self._exchange(kind, body, REQUEST | ACK | flags):
                pass

    def fetch(self, kind: int, body: bytes) -> bytes:
        """The body of the one object asked for. Raises Refused."""
        with self._lock:
            return b"".join(self._exchange(kind, body, REQUEST | ACK))

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all objects of a kind, as they were at one moment. Raises Refused."""
        with self._lock:
            for _ in range(_DUMP_ATTEMPTS):
                self._interrupted = False
                found = list(self._exchange(kind, body, REQUEST | ROOT_MATCH))
                if not self._interrupted:
                    break
            return found

    def close(self) -> None:
        self._sock.close()

    def _exchange(self, kind: int, body: bytes, flags: int) -> Iterator[bytes]:
        self._sequence = sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._sock.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body)
        while True:
            for answer, answer_flags, answered, content in parse_messages(self._sock.recv(_RECEIVE)):
                if answered != sequence:
                    continue  # the late answer to a request that was given up
                self._interrupted |= bool(answer_flags & _DUMP_INTERRUPTED)
                if answer in (_ERROR, _DONE):
                    _check(content, answer_flags)
                    return
                yield content


def _check(content: bytes, flags: int) -> None:
    """Raise what an acknowledgement or the end of a dump reports."""
    code = -struct.unpack_from("=i", content)[0] if len(content) >= 4 else 0
    if code:
        raise Refused(code, _kernel_words(content, flags) or os.strerror(code))


def _kernel_words(content: bytes, flags: int) -> str:
    if not flags & _ACK_TLVS or len(content) < 4 + _HEADER.size:
        return ""
    # The request is quoted behind the code: only its header, or (not capped) all of it, padded.
    quoted = _HEADER.size if flags & _CAPPED else struct.unpack_from("=I", content, 4)[0]
    words = parse_attributes(content[4 + quoted + -quoted % 4 :]).get(_ACK_MESSAGE, b"")
    return parse_text(words)


def translate(err: OSError, what: str) -> WeftError:
    """A refusal of the kernel as one of our errors."""
    words = err.strerror or str(err) or "no answer in time"
    return _ERRORS.get(err.errno or errno.EPERM, Internal)(f"{what}: {words}")
