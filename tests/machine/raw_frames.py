"""Frames put on a fabric's networks, and seen leaving by a machine's tap, exactly as they are."""

import socket
import struct
import time
from collections.abc import AsyncIterator
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
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._sock.settimeout(left)
            try:
                data, extras, _, address = self._sock.recvmsg(1 << 16, 128)
            except TimeoutError:
                break
            if address[2] == socket.PACKET_OUTGOING and _with_tag(data, extras) == frame:
                return True
        return False


@asynccontextmanager
async def open_wiretap(home: Path, link: str) -> AsyncIterator[Wiretap]:
    """A wiretap on a link of the fabric in `home`, whose daemon runs."""
    namespace = await open_namespace(home / "run")
    try:
        with await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
            sock.bind((link, _ALL_PROTOCOLS))
            yield Wiretap(sock)
    finally:
        await namespace.close()


def _with_tag(data: bytes, extras: list[tuple[int, int, bytes]]) -> bytes:
    for level, kind, content in extras:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, tag, tag_kind = struct.unpack("IIIHHHH", content[:20])
            if status & _VLAN_VALID:
                return data[:12] + struct.pack(">HH", tag_kind, tag) + data[12:]
    return data
