"""Route netlink messages for links and addresses, and reading links back. Layouts: linux/if_link.h, linux/if_addr.h."""

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from weft.host.netlink import NESTED, attribute, find_attribute, nest, parse_attributes, parse_text

NEW_LINK, DELETE_LINK, GET_LINK, NEW_ADDRESS, DELETE_ADDRESS = 16, 17, 18, 20, 21
LINK_GROUP = 1
"""RTMGRP_LINK: the multicast group that tells of links."""

_MESSAGE = struct.Struct("=BxHiII")  # ifinfomsg: family, hardware type, index, flags, change mask
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_UP, _LOWER_UP = 0x1, 0x10000
_MAC, _NAME, _MTU, _QUEUE, _MASTER, _INFO, _ALIAS = 1, 3, 4, 6, 10, 18, 20
_STATS = 23
_TRAFFIC = struct.Struct("=QQQQ")
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_NAMESPACE = 28  # IFLA_NET_NS_FD
_BRIDGE_FORWARD_DELAY, _BRIDGE_STP, _BRIDGE_GROUPS, _BRIDGE_SNOOPING = 1, 5, 9, 23
_LLDP = struct.pack("=H", 1 << 0xE)
_LOCAL, _OWN = 2, 1  # IFA_LOCAL, IFA_ADDRESS
_LINK_SCOPE = 253  # RT_SCOPE_LINK: never the source of what goes elsewhere


_BRIDGE_SETTINGS = nest(
    _INFO_DATA,
    attribute(_BRIDGE_FORWARD_DELAY, 0),
    attribute(_BRIDGE_STP, 0),
    attribute(_BRIDGE_GROUPS, _LLDP),
    attribute(_BRIDGE_SNOOPING, b"\0"),
)
"""LLDP (01:80:c2:00:00:0e) is passed on: a bridge that keeps it learns its sender before any rule has seen it."""


@dataclass(frozen=True, slots=True)
class RawLink:
    """A link as the kernel numbers it; `master` is the index of its bridge, or zero.

    `active`: it has a queue, so that frames can leave by it, which takes the kernel a moment after the carrier came.
    `received` and `sent` count bytes, the last two frames.
    """

    index: int
    name: str
    kind: str
    alias: str
    up: bool
    carrier: bool
    master: int
    mac: str
    mtu: int
    active: bool
    received: int
    sent: int
    frames_received: int
    frames_sent: int


def dump_bridge(name: str, *, mtu: int, mac: bytes) -> bytes:
    """A bridge with a MAC of its own: a bridge without takes its ports', and changes it as they come and go."""
    return _dump_new(name, mtu, attribute(_MAC, mac), _dump_info("bridge", _BRIDGE_SETTINGS))


def dump_bridge_settings(index: int) -> bytes:
    """The same settings for a bridge that is there."""
    return _MESSAGE.pack(0, 0, index, 0, 0) + _dump_info("bridge", _BRIDGE_SETTINGS)


def dump_pair(
    name: str, peer: str, *, mtu: int, master: int = 0, mac: bytes | None = None, namespace: int | None = None
) -> bytes:
    """A veth pair; `name` joins the bridge `master`, and has the hardware address `mac`. `namespace`: a descriptor of
    the one that the peer is made in."""
    elsewhere = b"" if namespace is None else attribute(_NAMESPACE, namespace)
    far = attribute(_VETH_PEER | NESTED, _dump_new(peer, mtu, elsewhere))
    bridge = attribute(_MASTER, master) if master else b""
    own = attribute(_MAC, mac) if mac else b""
    return _dump_new(name, mtu, bridge, own, _dump_info("veth", nest(_INFO_DATA, far)))


def dump_change(index: int, *, mtu: int | None = None, alias: str | None = None, up: bool | None = None) -> bytes:
    """Changes to a link that is there."""
    parts = [attribute(_MTU, mtu) if mtu else b"", attribute(_ALIAS, alias.encode()) if alias else b""]
    flags, mask = (_UP if up else 0), (0 if up is None else _UP)
    return _MESSAGE.pack(0, 0, index, flags, mask) + b"".join(parts)


def dump_mac(index: int, mac: bytes) -> bytes:
    """Another hardware address for a link that is there."""
    return _MESSAGE.pack(0, 0, index, 0, 0) + attribute(_MAC, mac)


def dump_link(index: int) -> bytes:
    """Names a link, to fetch or remove it; index zero names all, to list them."""
    return _MESSAGE.pack(0, 0, index, 0, 0)


def dump_address(index: int, address: IPv4Interface) -> bytes:
    """An address with its prefix on a link."""
    packed = address.ip.packed
    scope = _LINK_SCOPE if address.is_link_local else 0
    header = _ADDRESS.pack(socket.AF_INET, address.network.prefixlen, 0, scope, index)
    return header + attribute(_LOCAL, packed) + attribute(_OWN, packed)


def dump_peer(index: int, own: IPv4Address, peer: IPv4Address) -> bytes:
    """An address on a link that has another at its far end."""
    header = _ADDRESS.pack(socket.AF_INET, peer.max_prefixlen, 0, _LINK_SCOPE, index)
    return header + attribute(_LOCAL, own.packed) + attribute(_OWN, peer.packed)


def parse_link(body: bytes) -> RawLink:
    """What the kernel says about one link."""
    _, _, index, flags, _ = _MESSAGE.unpack_from(body)
    found = parse_attributes(body[_MESSAGE.size :])
    info = parse_attributes(found.get(_INFO, b""))
    return RawLink(
        index,
        parse_text(found.get(_NAME, b"")),
        parse_text(info.get(_INFO_KIND, b"")),
        parse_text(found.get(_ALIAS, b"")),
        bool(flags & _UP),
        bool(flags & _LOWER_UP),
        _parse_number(found.get(_MASTER)),
        found.get(_MAC, b"").hex(":"),
        _parse_number(found.get(_MTU)),
        parse_text(found.get(_QUEUE, b"")) != "noop",
        *_parse_traffic(found.get(_STATS)),
    )


def parse_news(body: bytes) -> tuple[str, bool, bool]:
    """What an event says first: a link's name, whether it is up, and whether it has carrier."""
    _, _, _, flags, _ = _MESSAGE.unpack_from(body)
    return parse_text(find_attribute(body[_MESSAGE.size :], _NAME)), bool(flags & _UP), bool(flags & _LOWER_UP)


def _dump_new(name: str, mtu: int, *parts: bytes) -> bytes:
    # Down and nameless owner at first: the kernel refuses to bring up a pair's far end while it makes the pair,
    # and passes over an alias in a creation.
    return _MESSAGE.pack(0, 0, 0, 0, 0) + attribute(_NAME, name) + attribute(_MTU, mtu) + b"".join(parts)


def _dump_info(kind: str, data: bytes) -> bytes:
    return nest(_INFO, attribute(_INFO_KIND, kind), data)


def _parse_traffic(value: bytes | None) -> tuple[int, int, int, int]:
    """Bytes in and out, frames in and out; rtnl_link_stats64 begins with the frames."""
    if value is None or len(value) < _TRAFFIC.size:
        return 0, 0, 0, 0
    frames_received, frames_sent, received, sent = _TRAFFIC.unpack_from(value)
    return received, sent, frames_received, frames_sent


def _parse_number(value: bytes | None) -> int:
    return int(struct.unpack_from("=I", value)[0]) if value and len(value) >= 4 else 0
