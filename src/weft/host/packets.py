"""Heartbeats: frames sent out of a link and heard where they come in again, to tell a live appliance from a hung."""

import asyncio
import ctypes
import socket
import struct
from collections.abc import Callable, Sequence

from weft.host.links import HEARTBEAT_ETHERTYPE
from weft.host.namespace import Namespace
from weft.model.errors import Unavailable

_ALL_PROTOCOLS = 0x0003
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
_SO_ATTACH_FILTER = 26
_OUTGOING = 4

# A locally administered group address: it is nobody's, so every switch and bridge passes it on.
_DESTINATION, _SOURCE = bytes.fromhex("035745465400"), bytes.fromhex("025745465400")
_HEADER = struct.Struct("!6s6sH")
_BEAT = struct.Struct("!4sIQ")
_MAGIC = b"weft"
_SHORTEST = 60

# Classic BPF: load the ethertype; if it is ours take the whole frame, else nothing.
_ONLY_HEARTBEATS = ((0x28, 0, 0, 12), (0x15, 0, 1, HEARTBEAT_ETHERTYPE), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0))

OnBeat = Callable[[int, int], None]
"""Called with identity and sequence number of each heartbeat that comes in."""


class HeartbeatSocket:
    """Sends heartbeats out of one link, and hears those that come in there. Made by `open_heartbeat`."""

    def __init__(self, sock: socket.socket, link: str, on_beat: OnBeat) -> None:
        self.link = link
        self._sock = sock
        self._on_beat = on_beat
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._drain)

    def send(self, identity: int, sequence: int) -> bool:
        """Send one out; both numbers come back at the far end. False when the link cannot take it now."""
        try:
            self._sock.send(dump_beat(identity, sequence))
        except OSError:  # down, gone, or its queue is full: in each case this beat will be missed
            return False
        return True

    def close(self) -> None:
        """Stop listening. Harmless when called again."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _drain(self) -> None:
        while True:
            try:
                frame, address = self._sock.recvfrom(2048)
            except OSError:  # nothing left, or the link went down: its owner hears of that elsewhere
                return
            beat = parse_beat(frame)
            if beat and address[2] != _OUTGOING:
                self._on_beat(*beat)


async def open_heartbeat(namespace: Namespace, link: str, on_beat: OnBeat) -> HeartbeatSocket:
    """Open a link for heartbeats. It listens ahead of the filters, so it hears what a trap swallows.

    Raises Unavailable.
    """
    sock = await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # deaf until it is bound
    try:
        sock.setblocking(False)
        attach_filter(sock, _ONLY_HEARTBEATS)
        sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        sock.bind((link, _ALL_PROTOCOLS))
        return HeartbeatSocket(sock, link, on_beat)
    except OSError as err:
        sock.close()
        raise Unavailable(f"heartbeats of link {link} are not possible: {err.strerror}") from err


def dump_beat(identity: int, sequence: int) -> bytes:
    """A whole frame. `identity` has 32 bits, `sequence` 64."""
    header = _HEADER.pack(_DESTINATION, _SOURCE, HEARTBEAT_ETHERTYPE)
    return (header + _BEAT.pack(_MAGIC, identity, sequence)).ljust(_SHORTEST, b"\0")


def parse_beat(frame: bytes) -> tuple[int, int] | None:
    """Identity and sequence number of a heartbeat; None for any other frame."""
    if len(frame) < _HEADER.size + _BEAT.size or _HEADER.unpack_from(frame)[2] != HEARTBEAT_ETHERTYPE:
        return None
    magic, identity, sequence = _BEAT.unpack_from(frame, _HEADER.size)
    return (identity, sequence) if magic == _MAGIC else None


def attach_filter(sock: socket.socket, instructions: Sequence[tuple[int, int, int, int]]) -> None:
    """Attach a classic BPF program: SO_ATTACH_FILTER takes a count and a pointer. Raises OSError."""
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(program)
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    )
