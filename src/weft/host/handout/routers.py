"""Answers to who looks for an IPv6 router while it boots: there is none.

iPXE waits for one some 16 s before it loads anything, whatever DHCP has said. An advertisement of a router that is
none (RFC 4861, 4.2: a lifetime of zero), without a prefix, is all that it needs.
"""

import errno
import socket
import struct
from collections.abc import Callable

_HEADERS, _SHORTEST = 14 + 40, 14 + 40 + 8
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 133, 134
_HOPS = 255
_EVERYBODY = b"\xff\x02" + bytes(13) + b"\x01"
SOLICITATIONS = (
    (0x28, 0, 0, 12),  # the kind of frame
    (0x15, 0, 5, 0x86DD),
    (0x30, 0, 0, 20),  # what is behind the header of IPv6
    (0x15, 0, 3, _ICMPV6),
    (0x30, 0, 0, _HEADERS),
    (0x15, 0, 1, _SOLICITATION),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)
"""Classic BPF, as the kernel has it: these and nothing else."""


def answer_solicitation(frame: bytes, own: bytes, knows: Callable[[str], bool]) -> bytes | None:
    """The frame that answers one, by who has the hardware address `own`; None: it is not for us to answer."""
    asker = frame[6:12]
    if len(frame) < _SHORTEST or frame[_HEADERS] != _SOLICITATION or not knows(asker.hex(":")):
        return None
    source = frame[22:38]
    to = source if any(source) else _EVERYBODY
    return asker + own + b"\x86\xdd" + _packet(link_local(own), to)


def link_local(mac: bytes) -> bytes:
    """The address that a host calls itself on a link (RFC 4291, appendix A)."""
    return b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]


def _packet(source: bytes, to: bytes) -> bytes:
    body = struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0)
    pseudo = source + to + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, _HOPS) + source + to + body


def _checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def answer_for_ever(sock: socket.socket, knows: Callable[[str], bool]) -> None:
    """Answer whoever asks on the link that a packet socket is bound to, and is known."""
    own = sock.getsockname()[4]
    while True:
        if (answer := answer_solicitation(_hear(sock), own, knows)) is not None:
            try:
                sock.send(answer)
            except OSError:  # its queue is full, or the link is down: the machine asks again
                continue


def _hear(sock: socket.socket) -> bytes:
    """The next frame. A link that goes down says so once (packet(7)), and is heard again when it is back."""
    while True:
        try:
            return sock.recv(2048)
        except OSError as err:
            if err.errno != errno.ENETDOWN:
                raise
