"""Frames put on a fabric's networks, and seen leaving by a machine's tap, exactly as they are."""

import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from weft.host.namespace import open_namespace

_ALL_PROTOCOLS = 3
_SOL_PACKET, _AUXDATA, _VLAN_VALID = 263, 8, 0x10
"""linux/if_packet.h: the kernel takes a frame's outer VLAN tag off and tells it beside the frame."""


class Wiretap:
    """A packet socket on one link of a fabric's namespace."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, frame: bytes) -> None:
        """Put a frame on the link."""
        self._sock.send(frame)

    def sees(self, frame: bytes, *, seconds: float = 5.0) -> bool:
        """Whether this very frame leaves by the link in time, in whatever company."""
        return any(data == frame for data in self._read(seconds))

    def collect_until(self, last: bytes, *, seconds: float = 20.0) -> set[bytes]:
        """Everything that leaves by the link up to a frame that is known to come."""
        seen: set[bytes] = set()
        for data in self._read(seconds):
            seen.add(data)
            if data == last:
                return seen
        raise AssertionError("the last frame did not come")

    def _read(self, seconds: float) -> Iterator[bytes]:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._sock.settimeout(left)
            try:
                data, extras, _, address = self._sock.recvmsg(1 << 16, 128)
            except TimeoutError:
                return
            if address[2] == socket.PACKET_OUTGOING:
                yield with_tag(data, extras)


def tell_of_tags(sock: socket.socket) -> None:
    """Have a packet socket tell what `with_tag` needs."""
    sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)


@asynccontextmanager
async def open_wiretap(home: Path, link: str) -> AsyncIterator[Wiretap]:
    """A wiretap on a link of the fabric in `home`, whose daemon runs."""
    namespace = await open_namespace(home / "run")
    try:
        with await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            tell_of_tags(sock)
            sock.bind((link, _ALL_PROTOCOLS))
            yield Wiretap(sock)
    finally:
        await namespace.close()


def with_tag(data: bytes, extras: list[tuple[int, int, bytes]]) -> bytes:
    """A frame with the VLAN tag that the kernel has taken off, if it has; it tells of it as `tell_of_tags` asks."""
    for level, kind, content in extras:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, tag, tag_kind = struct.unpack("IIIHHHH", content[:20])
            if status & _VLAN_VALID:
                return data[:12] + struct.pack(">HH", tag_kind, tag) + data[12:]
    return data
