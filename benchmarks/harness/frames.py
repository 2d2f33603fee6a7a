"""Ethernet frames, made byte by byte: what honest machines send, and what others do."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ICMPV6, UDP = 58, 17
ROUTER_SOLICIT, ROUTER_ADVERT, NEIGHBOR_SOLICIT, NEIGHBOR_ADVERT, REDIRECT, LISTENER_REPORT = (
    133,
    134,
    135,
    136,
    137,
    143,
)


def raw(mac: str) -> bytes:
    """A hardware address as it stands in a frame."""
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(source: str, kind: int, payload: bytes, target: str = BROADCAST) -> bytes:
    """A frame of at least the length that all have."""
    return (raw(target) + raw(source) + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def arp(source: str, sender: str, target: str, *, claims: str | None = None, operation: int = 1) -> bytes:
    """From `source`, about `sender` being at `claims`, or at the source itself."""
    asked = socket.inet_aton(target)
    body = raw(claims or source) + socket.inet_aton(sender) + bytes(6) + asked
    return ethernet(source, 0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + body)


def ip(source: str, sender: str, target: str, protocol: int, payload: bytes, *, limit: int = 64) -> bytes:
    """A packet of either version, after its addresses."""
    ours, theirs = ip_address(sender), ip_address(target)
    if isinstance(ours, IPv4Address):
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, limit, protocol, 0)
        head = head[:10] + struct.pack(">H", checksum(head + ours.packed + theirs.packed)) + head[12:]
        return ethernet(source, 0x0800, head + ours.packed + theirs.packed + payload)
    head = struct.pack(">IHBB", 6 << 28, len(payload), protocol, limit)
    return ethernet(source, 0x86DD, head + ours.packed + theirs.packed + payload)


def udp(source: str, sender: str, target: str, ports: tuple[int, int], payload: bytes = b"hello") -> bytes:
    """A datagram; without a checksum, as IPv4 allows."""
    head = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    return ip(source, sender, target, UDP, head + payload)


def echo(source: str, sender: str, wanted: str, words: bytes, *, target: str) -> bytes:
    """An echo request of IPv4, straight to a hardware address."""
    head = struct.pack(">BBHHH", 8, 0, 0, 7, 1)
    head = head[:2] + struct.pack(">H", checksum(head + words)) + head[4:]
    frame = ip(source, sender, wanted, 1, head + words)
    return raw(target) + frame[6:]


def dhcp_question(source: str, client: str, sender: str = "0.0.0.0") -> bytes:
    """What a client at the hardware address `client` asks of all servers."""
    body = struct.pack(">BBBBIHH", 1, 1, 6, 0, 9, 0, 0x8000) + bytes(16) + raw(client) + bytes(10 + 192)
    return udp(source, sender, "255.255.255.255", (68, 67), body + bytes.fromhex("63825363 350101 ff"))


def icmp6(source: str, sender: str, target: str, kind: int, body: bytes, *, limit: int = 255) -> bytes:
    """A message of ICMPv6, its checksum right."""
    ours, theirs = IPv6Address(sender), IPv6Address(target)
    pseudo = ours.packed + theirs.packed + struct.pack(">II", 4 + len(body), ICMPV6)
    total = checksum(pseudo + struct.pack(">BBH", kind, 0, 0) + body)
    return ip(source, sender, target, ICMPV6, struct.pack(">BBH", kind, 0, total) + body, limit=limit)


def neighbor(source: str, sender: str, kind: int, about: str, *, option: str | None = None) -> bytes:
    """A solicitation or advertisement about an address; `option`: the hardware address it tells."""
    number = 1 if kind == NEIGHBOR_SOLICIT else 2
    told = bytes([number, 1]) + raw(option) if option else b""
    flags = b"\x20\0\0\0" if kind == NEIGHBOR_ADVERT else bytes(4)
    return icmp6(source, sender, "ff02::1", kind, flags + IPv6Address(about).packed + told)


def checksum(data: bytes) -> int:
    """As all of IP sums up (RFC 1071)."""
    even = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
