"""Who may call what is served at a gateway: by the records of machines, and in nothing but their own network."""

from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.model.machine import MachineSpec, NicSpec
from weft.model.network import NetworkSpec
from weft.plan.callers import SET, Caller, GatewayPort, plan_caller_changes, plan_caller_rule, plan_caller_set

ONE = Caller("g1", IPv4Address("10.0.0.2"), GatewayPort.TREE)
OTHER = Caller("g12", IPv4Address("10.0.1.9"), GatewayPort.ROOT)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_paper_room(tmp_path) as opened:
        opened.ports.callers.wants = {port: wants_all(port) for port in GatewayPort}
        yield opened


def wants_all(port: GatewayPort) -> Callable[[MachineRecord], bool]:
    return lambda machine: str(port.value) in machine.spec.labels


async def make(room: Room, name: str, *ports: GatewayPort, nics: tuple[NicSpec, ...]) -> None:
    labels = {str(port.value): "" for port in ports}
    await room.machines.create(MachineSpec(name=name, image="base", labels=labels, nics=nics))


def test_the_set_and_its_rule_as_text():
    assert plan_caller_set([]) == "set callers { type ifname . ipv4_addr . inet_service; }"
    elements = 'elements = { "g1" . 10.0.0.2 . 5640, "g12" . 10.0.1.9 . 564 };'
    assert plan_caller_set([OTHER, ONE]) == f"set callers {{ type ifname . ipv4_addr . inet_service; {elements} }}"
    here = 'iifname "g1" ip daddr { 10.0.0.1, 255.255.255.255 } meta l4proto { tcp, udp }'
    rule = f"{here} iifname . ip saddr . th dport @callers accept"
    assert plan_caller_rule("g1", "10.0.0.1") == rule


def test_an_element_as_the_kernel_has_it():
    packed = OTHER.pack()
    assert (packed.name, packed.key) == (SET, b"g12".ljust(16, b"\0") + bytes([10, 0, 1, 9]) + b"\x02\x34\0\0")


def test_changes_are_what_differs():
    changes = plan_caller_changes({ONE}, {OTHER})
    assert (changes.gone, changes.come) == ((ONE.pack(),), (OTHER.pack(),))
    assert not plan_caller_changes({ONE, OTHER}, {OTHER, ONE})


async def test_only_machines_that_are_to_be_heard_are(room: Room):
    lan = (NicSpec(network="lan", address=IPv4Address("10.0.0.2")),)
    await make(room, "in", GatewayPort.TREE, nics=lan)
    await make(room, "out", nics=(NicSpec(network="lan"),))
    assert list(room.ports.callers.find_callers()) == [ONE]
    await room.machines.remove("in")
    assert list(room.ports.callers.find_callers()) == []


async def test_who_asks_for_an_address_is_heard_without_one(room: Room):
    await make(room, "in", GatewayPort.DHCP, nics=(NicSpec(network="lan", address=IPv4Address("10.0.0.2")),))
    heard = {str(caller.address) for caller in room.ports.callers.find_callers()}
    assert heard == {"0.0.0.0", "10.0.0.2"}


async def test_who_could_be_anybody_is_not_heard(room: Room):
    await make(room, "free", GatewayPort.TREE, nics=(NicSpec(network="lan", pinned=False),))
    assert list(room.ports.callers.find_callers()) == []


async def test_where_a_machine_is_the_gateway_nothing_is_served(room: Room):
    await room.networks.create(NetworkSpec(name="dmz", gateway="wall"))
    nics = (NicSpec(network="lan", address=IPv4Address("10.0.0.2")), NicSpec(network="dmz"))
    await make(room, "in", *GatewayPort, nics=nics)
    assert {caller.link for caller in room.ports.callers.find_callers()} == {"g1"}
    assert {caller.port for caller in room.ports.callers.find_callers()} == set(GatewayPort)
