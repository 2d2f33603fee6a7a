"""What may come into a network from a port: frames of the machine there, and not of anybody it claims to be.

The table is one for a room. Its chains say what is looked at; its sets say what each port may send, so that a machine
that comes or goes is a few elements more or less. A port that is in no set sends nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from weft.plan.pin_table import TABLE, Forgery, plan_table

LINK_LOCAL = IPv6Network("fe80::/10")
_LINK_PREFIX = IPv6Network("fe80::/64")
_EUI64_PREFIX = 64
Network = IPv4Network | IPv6Network
_SOURCE_OPTION, _TARGET_OPTION = "0101", "0201"
"""Type and length of the options that tell of a hardware address (RFC 4861, 4.6.1)."""


class Stand(StrEnum):
    """What a port is: the names of the chains for it."""

    MACHINE = "machine"
    """It sends what comes from itself, and from networks behind it."""
    ROUTER = "router"
    """The gateway of its network: it sends what comes from elsewhere, too, and tells of routes and addresses."""
    FREE = "free"
    """Nothing is held against it."""


@dataclass(frozen=True, slots=True)
class PinnedPort:
    """What the one at a port may send. `ranges`: of a router those of its network, where it may be itself only; of a
    machine those of the networks behind it.
    """

    link: str
    mac: str
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    stand: Stand = Stand.MACHINE
    ranges: tuple[Network, ...] = ()


Elements = Mapping[str, Sequence[str]]
"""Elements by the names of their sets."""


def find_own_addresses(mac: str, subnet: IPv6Network | None) -> tuple[IPv6Address, ...]:
    """What a host calls itself of its own accord: link-local, and in a network's range where routers tell it to."""
    has_own = subnet is not None and subnet.prefixlen == _EUI64_PREFIX
    return tuple(_find_eui64(mac, prefix) for prefix in (_LINK_PREFIX, *([subnet] if subnet and has_own else [])))


def _find_eui64(mac: str, prefix: IPv6Network) -> IPv6Address:
    """The address that a host makes of its hardware address in a /64 (RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    number = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return prefix[int.from_bytes(number, "big")]


def plan_pins(ports: Iterable[PinnedPort]) -> str:
    """The whole table as nft reads it; loading it replaces the one before in one step."""
    head = f"add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{plan_table()}}}\n"
    return head + _dump_elements("add", ports)


def plan_pin_changes(before: Mapping[str, PinnedPort], after: Mapping[str, PinnedPort]) -> str:
    """What leads from some ports to others, by their links' names; nothing when they are the same."""
    gone = [port for link, port in before.items() if after.get(link) != port]
    come = [port for link, port in after.items() if before.get(link) != port]
    return _dump_elements("delete", gone) + _dump_elements("add", come)


def plan_elements(port: PinnedPort) -> Elements:
    """A port's elements. One that is free has none but its way past the rest."""
    if port.stand is Stand.FREE:
        return {"ports": [f'"{port.link}" : accept']}
    here, number = f'"{port.link}"', port.mac.replace(":", "")
    v4 = [address for address in port.addresses if address.version == 4]
    v6 = [address for address in port.addresses if address.version == 6]
    inside = "inside" if port.stand is Stand.ROUTER else "behind"
    return {
        "ports": [f"{here} : goto {port.stand}"],
        "stations": [f"{here} . {port.mac}"],
        "clients": [f"{here} . 0x{number}"],
        "options": [f"{here} . 0x{option}{number}" for option in (_SOURCE_OPTION, _TARGET_OPTION)],
        "sources": [f"{here} . {address}" for address in v4],
        "sources6": [f"{here} . {address}" for address in v6],
        "targets": [f"{here} . 0x{int(address):032x}" for address in v6],
        inside: [f"{here} . {net}" for net in port.ranges if net.version == 4],
        f"{inside}6": [f"{here} . {net}" for net in port.ranges if net.version == 6],
        "forged": [f"{here} . {kind:d}" for kind in Forgery],
    }


def parse_forged(listed: str) -> dict[str, dict[Forgery, int]]:
    """How many frames of each port were dropped, by what they claimed, from what nft lists of the set as JSON."""
    found: dict[str, dict[Forgery, int]] = {}
    for element in _walk_elements(json.loads(listed or "{}")):
        link, mark = element["val"]["concat"]
        if packets := element["counter"]["packets"]:
            found.setdefault(link, {})[Forgery(mark)] = packets
    return found


def _walk_elements(listed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in listed.get("nftables", []):
        yield from (element["elem"] for element in entry.get("set", {}).get("elem", []))


def _dump_elements(verb: str, ports: Iterable[PinnedPort]) -> str:
    gathered: dict[str, list[str]] = {}
    for port in ports:
        for name, elements in plan_elements(port).items():
            gathered.setdefault(name, []).extend(elements)
    filled = {name: ", ".join(elements) for name, elements in gathered.items() if elements}
    return "".join(f"{verb} element {TABLE} {name} {{ {elements} }}\n" for name, elements in filled.items())
