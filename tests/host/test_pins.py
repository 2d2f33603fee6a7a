"""The table of pins in a real kernel: what comes through a bridge from each port, and what does not."""

import asyncio
import json
import select
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
from benchmarks.harness.frames import (
    ICMPV6,
    LISTENER_REPORT,
    NEIGHBOR_ADVERT,
    NEIGHBOR_SOLICIT,
    REDIRECT,
    ROUTER_ADVERT,
    ROUTER_SOLICIT,
    UDP,
    arp,
    dhcp_question,
    ethernet,
    icmp6,
    ip,
    neighbor,
    raw,
    udp,
)
from tests.machine.raw_frames import tell_of_tags, with_tag
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.pins import Pins
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.host.kernel_links import KernelLinks
from weft.host.namespace import Namespace
from weft.host.nft import list_set, load_ruleset
from weft.host.nft_elements import change_elements
from weft.host.process import run
from weft.model.elements import ElementChanges
from weft.model.errors import Internal
from weft.model.image import NicRole
from weft.model.machine import MachineSpec
from weft.plan.pin_elements import Stand
from weft.plan.pin_table import TABLE, Forgery
from weft.plan.pins import (
    LINK_LOCAL,
    PinnedPort,
    find_own_addresses,
    parse_forged,
    plan_pin_changes,
    plan_pins,
)

pytestmark = pytest.mark.host

SUBNET, SUBNET6 = ip_network("10.0.0.0/24"), IPv6Network("fd00::/64")
ME, VICTIM, ROUTER, FREE = (f"52:57:00:00:00:0{number}" for number in range(1, 5))
MINE, HIS, GATEWAY = "10.0.0.2", "10.0.0.3", "10.0.0.1"
MINE6, HIS6, GATEWAY6 = "fd00::2", "fd00::3", "fd00::1"
LOCAL, SLAAC = map(str, find_own_addresses(ME, SUBNET6))
HIS_LOCAL = str(find_own_addresses(VICTIM, None)[0])
ROUTER_LOCAL = str(find_own_addresses(ROUTER, None)[0])
ELSEWHERE, BEHIND = "192.0.2.7", "10.9.0.7"
SENTINEL = 0x88B6
"""A type of its own for the frame after which everything before it has come."""


def pin(slot: int, mac: str, *addresses: str, stand: Stand = Stand.MACHINE, behind: str | None = None) -> PinnedPort:
    given: list[IPv4Address | IPv6Address] = [ip_address(address) for address in addresses]
    ranges = (SUBNET, SUBNET6, LINK_LOCAL) if stand is Stand.ROUTER else (ip_network(behind),) if behind else ()
    return PinnedPort(f"b{slot}.0", mac, (*given, *find_own_addresses(mac, SUBNET6)), stand, ranges)


PORTS = {
    port.link: port
    for port in (
        pin(1, ME, MINE, MINE6, behind="10.9.0.0/24"),
        pin(2, VICTIM, HIS, HIS6),
        pin(3, ROUTER, GATEWAY, GATEWAY6, stand=Stand.ROUTER),
        pin(4, FREE, stand=Stand.FREE),
    )
}


class Wire:
    """Raw sockets at the far ends of the ports."""

    def __init__(self, namespace: Namespace, ends: dict[int, socket.socket]) -> None:
        self.namespace = namespace
        self._ends = ends

    def send(self, slot: int, frame: bytes) -> None:
        self._ends[slot].send(frame)

    def passes(self, slot: int, frame: bytes, *, to: int = 2) -> bool:
        """Whether a frame sent by one machine comes out at another: the one behind it tells when it will not."""
        last = ethernet(FREE, SENTINEL, struct.pack(">d", time.monotonic()))
        self._ends[slot].send(frame)
        self._ends[4].send(last)
        return frame in list(self._read_until(to, last))

    def _read_until(self, slot: int, last: bytes) -> Iterator[bytes]:
        while select.select([self._ends[slot]], [], [], 5.0)[0]:
            data, extras, _, _ = self._ends[slot].recvmsg(1 << 16, 128)
            if data == last:
                return
            yield with_tag(data, extras)
        raise AssertionError("the last frame did not come")

    async def forged(self) -> dict[str, dict[Forgery, int]]:
        return parse_forged(await list_set(self.namespace, TABLE, "forged"))


@pytest.fixture
async def wire(namespace: Namespace, links: KernelLinks) -> AsyncIterator[Wire]:
    """A bridge with the four ports, and the table loaded."""
    await links.create_bridge("n1", mtu=1500, alias="test")
    await load_ruleset(namespace, plan_pins(PORTS.values()))
    with ExitStack() as stack:
        ends = {}
        for slot in range(1, 5):
            await links.create_port(f"b{slot}.0", f"p{slot}.0", bridge="n1", mtu=1500, alias="test")
            kind = socket.htons(3)
            ends[slot] = stack.enter_context(await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, kind))
            ends[slot].bind((f"p{slot}.0", 3))
            tell_of_tags(ends[slot])
        yield Wire(namespace, ends)


def fragment6(source: str, sender: str, target: str, message: bytes) -> bytes:
    """The first of two parts, which has all that matters."""
    return ip(source, sender, target, 44, struct.pack(">BBHI", ICMPV6, 0, 1, 7) + message, limit=255)


HONEST = {
    "ARP, a question": arp(ME, MINE, HIS),
    "ARP, an answer": arp(ME, MINE, HIS, operation=2),
    "ARP, gratuitous": arp(ME, MINE, MINE, operation=2),
    "ARP, a probe": arp(ME, "0.0.0.0", MINE),
    "IPv4": udp(ME, MINE, HIS, (9, 9)),
    "IPv4, broadcast": udp(ME, MINE, "255.255.255.255", (9, 9)),
    "IPv4, multicast": udp(ME, MINE, "224.0.0.251", (5353, 5353)),
    "IPv4, of a network behind": udp(ME, BEHIND, HIS, (9, 9)),
    "IGMP, without an address": ip(ME, "0.0.0.0", "224.0.0.22", 2, bytes(8)),
    "DHCP, a question": dhcp_question(ME, ME),
    "DHCP, a renewal": dhcp_question(ME, ME, sender=MINE),
    "IPv6": udp(ME, MINE6, HIS6, (9, 9)),
    "IPv6, link-local": udp(ME, LOCAL, "ff02::1", (9, 9)),
    "IPv6, an address of its own making": udp(ME, SLAAC, HIS6, (9, 9)),
    "duplicate address detection": neighbor(ME, "::", NEIGHBOR_SOLICIT, LOCAL),
    "neighbour solicitation": neighbor(ME, MINE6, NEIGHBOR_SOLICIT, HIS6, option=ME),
    "neighbour solicitation without option": neighbor(ME, LOCAL, NEIGHBOR_SOLICIT, HIS6),
    "neighbour advertisement": neighbor(ME, MINE6, NEIGHBOR_ADVERT, MINE6, option=ME),
    "neighbour advertisement of a made address": neighbor(ME, LOCAL, NEIGHBOR_ADVERT, SLAAC, option=ME),
    "router solicitation": icmp6(ME, LOCAL, "ff02::2", ROUTER_SOLICIT, bytes(4) + b"\1\1" + raw(ME)),
    "router solicitation, nameless": icmp6(ME, "::", "ff02::2", ROUTER_SOLICIT, bytes(4)),
    "groups, nameless": icmp6(ME, "::", "ff02::16", LISTENER_REPORT, bytes(24), limit=1),
    "IPv6, large ping": fragment6(ME, MINE6, HIS6, bytes(64)).replace(b"\x2c\xff", b"\x2c\x40", 1),
    "unknown kind": ethernet(ME, 0x88B7, b"whatever it is"),
}

FORGED = {
    Forgery.MAC: {
        "another's": udp(VICTIM, MINE, HIS, (9, 9)),
        "nobody's": udp("02:00:00:00:00:99", MINE, HIS, (9, 9)),
        "another's, of a kind unknown": ethernet(VICTIM, 0x88B7, b"whatever it is"),
        "the gateway's": arp(ROUTER, GATEWAY, HIS),
    },
    Forgery.ARP: {
        "another's address": arp(ME, HIS, MINE),
        "another's address, answered": arp(ME, HIS, MINE, operation=2),
        "gratuitous": arp(ME, HIS, HIS, operation=2),
        "the gateway": arp(ME, GATEWAY, HIS, operation=2),
        "another sender": arp(ME, MINE, HIS, claims=VICTIM),
        "an address elsewhere": arp(ME, ELSEWHERE, HIS),
        "a probe for another's address": arp(ME, "0.0.0.0", HIS),
        "an answer from nowhere": arp(ME, "0.0.0.0", MINE, operation=2),
        "of another size": ethernet(ME, 0x0806, struct.pack(">HHBBH", 1, 0x0800, 5, 4, 2) + raw(ME) * 4),
        "cut off": ethernet(ME, 0x0806, struct.pack(">HHBB", 1, 0x0800, 6, 4))[:20],
    },
    Forgery.ADDRESS: {
        "another's": udp(ME, HIS, GATEWAY, (9, 9)),
        "the gateway's": udp(ME, GATEWAY, HIS, (9, 9)),
        "free in the network": udp(ME, "10.0.0.77", HIS, (9, 9)),
        "elsewhere": udp(ME, ELSEWHERE, HIS, (9, 9)),
        "none": udp(ME, "0.0.0.0", HIS, (9, 9)),
        "IPv6: another's": udp(ME, HIS6, MINE6, (9, 9)),
        "IPv6: another's link-local": udp(ME, HIS_LOCAL, MINE6, (9, 9)),
        "IPv6: the gateway's": udp(ME, GATEWAY6, HIS6, (9, 9)),
        "IPv6: free in the network": udp(ME, "fd00::77", HIS6, (9, 9)),
        "IPv6: elsewhere": udp(ME, "2001:db8::1", HIS6, (9, 9)),
        "IPv6: none": udp(ME, "::", HIS6, (9, 9)),
        "a later part of a datagram": ip(ME, HIS, GATEWAY, UDP, bytes(24)).replace(b"\0\1\0\0\x40", b"\0\1\0\4\x40", 1),
    },
    Forgery.NEIGHBOUR: {
        "advertisement of another's address": neighbor(ME, MINE6, NEIGHBOR_ADVERT, HIS6, option=ME),
        "advertisement of the gateway": neighbor(ME, LOCAL, NEIGHBOR_ADVERT, GATEWAY6, option=ME),
        "advertisement of another's link-local": neighbor(ME, LOCAL, NEIGHBOR_ADVERT, HIS_LOCAL, option=ME),
        "advertisement with another's MAC": neighbor(ME, MINE6, NEIGHBOR_ADVERT, MINE6, option=VICTIM),
        "solicitation with another's MAC": neighbor(ME, MINE6, NEIGHBOR_SOLICIT, HIS6, option=VICTIM),
        "detection of another's address": neighbor(ME, "::", NEIGHBOR_SOLICIT, HIS6),
        "a second option": icmp6(
            ME,
            MINE6,
            "ff02::1",
            NEIGHBOR_SOLICIT,
            bytes(4) + IPv6Address(HIS6).packed + b"\1\1" + raw(ME) + b"\1\1" + raw(VICTIM),
        ),
        "router solicitation with another's MAC": icmp6(
            ME, LOCAL, "ff02::2", ROUTER_SOLICIT, bytes(4) + b"\1\1" + raw(VICTIM)
        ),
        "in fragments": fragment6(ME, MINE6, "ff02::1", struct.pack(">BBHI", NEIGHBOR_ADVERT, 0, 0, 0) + bytes(16)),
        "behind another header": ip(
            ME,
            MINE6,
            "ff02::1",
            0,
            bytes([ICMPV6, 0, 1, 4, 0, 0, 0, 0])
            + struct.pack(">BBHI", NEIGHBOR_SOLICIT, 0, 0, 0)
            + IPv6Address(HIS6).packed,
            limit=255,
        ),
    },
    Forgery.SERVICE: {
        "DHCP, an answer": udp(ME, MINE, "255.255.255.255", (67, 68), bytes(240)),
        "DHCP, for another": dhcp_question(ME, VICTIM),
        "DHCP, cut off": udp(ME, MINE, "255.255.255.255", (68, 67), bytes(20)),
        "DHCPv6, an answer": udp(ME, LOCAL, "ff02::1", (547, 546), bytes(40)),
        "router advertisement": icmp6(ME, LOCAL, "ff02::1", ROUTER_ADVERT, bytes(12)),
        "router advertisement behind another header": ip(
            ME,
            LOCAL,
            "ff02::1",
            0,
            bytes([ICMPV6, 0, 1, 4, 0, 0, 0, 0]) + struct.pack(">BBHI", ROUTER_ADVERT, 0, 0, 0) + bytes(8),
            limit=255,
        ),
        "redirect": icmp6(ME, LOCAL, HIS6, REDIRECT, bytes(36)),
    },
    Forgery.FRAME: {
        "VLAN": ethernet(ME, 0x8100, struct.pack(">HH", 7, 0x0800) + udp(ME, HIS, GATEWAY, (9, 9))[14:]),
        "VLAN, with what is its own": ethernet(
            ME, 0x8100, struct.pack(">HH", 7, 0x0800) + udp(ME, MINE, HIS, (9, 9))[14:]
        ),
        "VLAN of providers": ethernet(ME, 0x88A8, struct.pack(">HHHH", 7, 0x8100, 8, 0x0800) + bytes(40)),
        "LLDP": ethernet(ME, 0x88CC, b"who I am", target="01:80:c2:00:00:0e"),
        "VLAN of old": ethernet(ME, 0x9100, struct.pack(">HH", 7, 0x0800) + bytes(40)),
        "IEEE 802.3 with ARP": ethernet(ME, 36, bytes.fromhex("aaaa03000000 0806") + bytes(28)),
    },
}


async def test_what_a_machine_says_itself_arrives(wire: Wire) -> None:
    assert {name: wire.passes(1, frame) for name, frame in HONEST.items()} == dict.fromkeys(HONEST, True)
    assert await wire.forged() == {}


@pytest.mark.parametrize("kind", FORGED, ids=lambda kind: kind.name)
async def test_what_it_forges_does_not_and_is_counted(wire: Wire, kind: Forgery) -> None:
    frames = FORGED[kind]
    assert {name: wire.passes(1, frame) for name, frame in frames.items()} == dict.fromkeys(frames, False)
    assert await wire.forged() == {"b1.0": {kind: len(frames)}}
    await change_elements(
        wire.namespace, TABLE, plan_pin_changes(PORTS, {**PORTS, "b1.0": pin(1, ME, stand=Stand.FREE)})
    )
    arrived = {name: wire.passes(1, frame) for name, frame in frames.items()}
    assert arrived == dict.fromkeys(frames, True), "each frame would arrive if nothing were held against it"


async def test_a_router_passes_on_what_comes_from_elsewhere(wire: Wire) -> None:
    frames = {
        "its own": udp(ROUTER, GATEWAY, HIS, (9, 9)),
        "from elsewhere": udp(ROUTER, ELSEWHERE, HIS, (9, 9)),
        "from elsewhere, IPv6": udp(ROUTER, "2001:db8::1", HIS6, (9, 9)),
        "an answer of DHCP": udp(ROUTER, GATEWAY, "255.255.255.255", (67, 68), bytes(240)),
        "routes": icmp6(ROUTER, ROUTER_LOCAL, "ff02::1", ROUTER_ADVERT, bytes(12)),
        "its address": arp(ROUTER, GATEWAY, HIS, operation=2),
        "its address of IPv6": neighbor(ROUTER, GATEWAY6, NEIGHBOR_ADVERT, GATEWAY6, option=ROUTER),
    }
    assert {name: wire.passes(3, frame) for name, frame in frames.items()} == dict.fromkeys(frames, True)
    forged = {
        Forgery.ADDRESS: {
            "a machine": udp(ROUTER, MINE, HIS, (9, 9)),
            "a free address": udp(ROUTER, "10.0.0.77", HIS, (9, 9)),
            "a machine, IPv6": udp(ROUTER, MINE6, HIS6, (9, 9)),
            "a machine, link-local": udp(ROUTER, LOCAL, HIS6, (9, 9)),
            "routes as a machine": icmp6(ROUTER, LOCAL, "ff02::1", ROUTER_ADVERT, bytes(12)),
        },
        Forgery.ARP: {
            "a machine": arp(ROUTER, MINE, HIS, operation=2),
            "elsewhere": arp(ROUTER, ELSEWHERE, HIS),
        },
        Forgery.NEIGHBOUR: {"a machine": neighbor(ROUTER, GATEWAY6, NEIGHBOR_ADVERT, MINE6, option=ROUTER)},
        Forgery.MAC: {"a machine": udp(ME, GATEWAY, HIS, (9, 9))},
    }
    for frames in forged.values():
        assert {name: wire.passes(3, frame) for name, frame in frames.items()} == dict.fromkeys(frames, False)
    assert await wire.forged() == {"b3.0": {kind: len(frames) for kind, frames in forged.items()}}


async def test_heartbeats_enter_no_network(wire: Wire) -> None:
    for slot, mac in enumerate((ME, VICTIM, ROUTER, FREE), 1):
        assert not wire.passes(slot, ethernet(mac, 0x88B5, b"beat"), to=2 if slot != 2 else 1)


async def test_ports_come_and_go_and_one_that_is_unknown_is_silent(wire: Wire) -> None:
    frame = udp(ME, MINE, HIS, (9, 9))
    others = {link: port for link, port in PORTS.items() if link != "b1.0"}
    await change_elements(wire.namespace, TABLE, plan_pin_changes(PORTS, others))
    assert not wire.passes(1, frame)
    await change_elements(wire.namespace, TABLE, plan_pin_changes(others, PORTS))
    assert wire.passes(1, frame)
    assert not wire.passes(1, udp(ME, HIS, GATEWAY, (9, 9)))
    changes = plan_pin_changes(PORTS, others)
    with pytest.raises(Internal):  # what is gone cannot go again, and then nothing else has changed either
        await change_elements(wire.namespace, TABLE, ElementChanges(changes.gone + changes.gone))
    assert wire.passes(1, frame)
    assert await wire.forged() == {"b1.0": {Forgery.ADDRESS: 1}}


async def test_elements_over_netlink_are_those_that_nft_makes(namespace: Namespace) -> None:
    many = {port.link: port for port in (pin(slot, ME, f"10.0.1.{slot}", MINE6) for slot in range(10, 90))}
    ports = {**PORTS, **many}
    await load_ruleset(namespace, plan_pins(ports.values()))
    by_nft = await list_table(namespace)
    await change_elements(namespace, TABLE, plan_pin_changes(ports, {}))
    await change_elements(namespace, TABLE, plan_pin_changes({}, ports))
    assert await list_table(namespace) == by_nft
    await change_elements(namespace, TABLE, plan_pin_changes(ports, PORTS))
    over_netlink = await list_table(namespace)
    await load_ruleset(namespace, plan_pins(PORTS.values()))
    assert await list_table(namespace) == over_netlink
    with pytest.raises(Internal, match="No such file"):
        await change_elements(namespace, "bridge none", plan_pin_changes(PORTS, {}))


async def list_table(namespace: Namespace) -> list[str]:
    """The lines of the table with its elements, each of which nft writes at the end of a line or before a comma."""
    done = await run(namespace.argv(["nft", "list", "table", *TABLE.split()]))
    return sorted(piece.strip() for line in done.text.splitlines() for piece in line.strip(" \t}").split(","))


async def test_a_rooms_table_follows_its_records(namespace: Namespace, tmp_path: Path) -> None:
    async with open_paper_room(tmp_path / "paper") as room:
        site = replace(room.site, namespace=namespace)
        pins = Pins(site)
        spec = MachineSpec(name="web", image="base")
        nics = (NicRecord(mac=ME, role=NicRole.LAN, network="lan", address=IPv4Address("10.0.0.2")),)
        web = MachineRecord(spec=spec, slot=1, uuid="", created=1.0, kernel="default", memory=1 << 26, nics=nics)
        await pins.sync()
        assert not pins.holds(web, 0) and await stations(namespace) == ["gb1"]
        await site.shelves.machines.save(web)
        await asyncio.gather(*(pins.sync() for _ in range(5)))
        assert pins.holds(web, 0) and await stations(namespace) == ["b1.0", "gb1"]
        await load_ruleset(namespace, f"delete table {TABLE}")
        assert await pins.count_forged() == {} and await stations(namespace) == ["b1.0", "gb1"]
        await load_ruleset(namespace, f"flush set {TABLE} stations")
        await site.shelves.machines.save(web.with_(nics=(nics[0].with_(pinned=False),)))
        await pins.sync()
        assert not pins.holds(web, 0) and await stations(namespace) == ["gb1"]
        await site.shelves.machines.drop("web")
        await pins.sync()
        assert "b1.0" not in (await run(namespace.argv(["nft", "list", "table", *TABLE.split()]))).text


async def stations(namespace: Namespace) -> list[str]:
    (_, listed) = json.loads(await list_set(namespace, TABLE, "stations"))["nftables"]
    return sorted(element["concat"][0] for element in listed["set"].get("elem", []))


@pytest.mark.parametrize("last", range(16))
async def test_no_frame_teaches_the_bridge_that_another_is_here(wire: Wire, last: int) -> None:
    """Frames to the addresses of IEEE 802.1D, some of which a bridge keeps to itself, and learns from."""
    group = f"01:80:c2:00:00:{last:02x}"
    wire.send(2, udp(VICTIM, HIS, MINE, (9, 9)))
    wire.send(1, ethernet(VICTIM, 0x88CC, b"where am I", target=group))
    wire.send(1, ethernet(VICTIM, 36, bytes.fromhex("424203") + bytes(33), target=group))
    assert wire.passes(4, ethernet(FREE, SENTINEL, b"for the victim", target=VICTIM))
    assert not wire.passes(4, ethernet(FREE, SENTINEL, b"for it alone", target=VICTIM), to=1)
