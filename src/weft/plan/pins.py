"""What may come into a network from a port: frames of the machine there, and not of anybody it claims to be.

The table is one for a room. Its chains say what is looked at; its sets say what each port may send, so that a machine
that comes or goes is a few elements more or less. A port that is in no set sends nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

from weft.model.elements import ElementChanges, SetElement
from weft.plan.pin_elements import Element, Mac, Network, Stand, Value
from weft.plan.pin_table import TABLE, Forgery, plan_table

LINK_LOCAL = IPv6Network("fe80::/10")
_LINK_PREFIX = IPv6Network("fe80::/64")
_EUI64_PREFIX = 64
_SOURCE_OPTION, _TARGET_OPTION = bytes([1, 1]), bytes([2, 1])
"""Type and length of the options that tell of a hardware address (RFC 4861, 4.6.1)."""


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


Elements = Mapping[str, Sequence[Element]]
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
    return head + _dump_elements(ports)


def plan_pin_changes(before: Mapping[str, PinnedPort], after: Mapping[str, PinnedPort]) -> ElementChanges:
    """What leads from some ports to others, by their links' names; nothing when they are the same."""
    gone = [port for link, port in before.items() if after.get(link) != port]
    come = [port for link, port in after.items() if before.get(link) != port]
    return ElementChanges(tuple(_pack_elements(gone)), tuple(_pack_elements(come)))


def plan_elements(port: PinnedPort) -> Elements:
    """A port's elements. One that is free has none but its way past the rest."""
    values = {"ports": [port.stand]} if port.stand is Stand.FREE else _plan_values(port)
    return {name: [Element(port.link, value) for value in found] for name, found in values.items() if found}


def _plan_values(port: PinnedPort) -> Mapping[str, Sequence[Value]]:
    number = bytes.fromhex(port.mac.replace(":", ""))
    v4 = [address for address in port.addresses if address.version == 4]
    v6 = [address for address in port.addresses if address.version == 6]
    inside = "inside" if port.stand is Stand.ROUTER else "behind"
    return {
        "ports": [port.stand],
        "stations": [Mac(port.mac)],
        "clients": [number],
        "options": [option + number for option in (_SOURCE_OPTION, _TARGET_OPTION)],
        "sources": v4,
        "sources6": v6,
        "targets": [address.packed for address in v6],
        inside: [net for net in port.ranges if net.version == 4],
        f"{inside}6": [net for net in port.ranges if net.version == 6],
        "forged": list(Forgery),
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


def _gather_elements(ports: Iterable[PinnedPort]) -> Elements:
    gathered: dict[str, list[Element]] = {}
    for port in ports:
        for name, elements in plan_elements(port).items():
            gathered.setdefault(name, []).extend(elements)
    return gathered


def _dump_elements(ports: Iterable[PinnedPort]) -> str:
    texts = {
        name: ", ".join(element.text for element in elements) for name, elements in _gather_elements(ports).items()
    }
    return "".join(f"add element {TABLE} {name} {{ {elements} }}\n" for name, elements in texts.items())


def _pack_elements(ports: Iterable[PinnedPort]) -> Iterator[SetElement]:
    for name, elements in _gather_elements(ports).items():
        yield from (element.pack(name) for element in elements)
