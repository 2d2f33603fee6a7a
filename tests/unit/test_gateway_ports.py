"""The port of a network's gateway: who has one, what stands at it, and what becomes of that with the network."""

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from tests.unit.fabric_files import World
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.room import Room
from weft.fabric.settings.places import place_insert
from weft.fabric.site import NETWORK_SLOTS
from weft.model.errors import Invalid, NotFound
from weft.model.fabric_file import RoomFile
from weft.model.insert import InsertSpec, InsertState, Mode, find_usual_mode
from weft.model.machine import MachineSpec, NicSpec
from weft.model.names import PortName, parse_port
from weft.model.network import NetworkSpec
from weft.model.place import Stance
from weft.plan.address import UPSTREAM, plan_address_behind
from weft.plan.fabric_file.check_settings import place_insert as foresee_insert
from weft.plan.fabric_file.scene import Scene
from weft.plan.place_files import dump_place_shell

LAN = PortName("", network="lan")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_paper_room(tmp_path) as room:
        dmz = NetworkSpec(name="dmz", subnet=IPv4Network("10.1.0.0/24"), gateway="fw")
        await room.site.shelves.networks.save(NetworkRecord(spec=dmz, slot=2, created=2.0))
        await room.ports.attach_gateway(room.site.shelves.networks.get("lan"))
        yield room


def wanted(before: str, mode: Mode = Mode.INLINE) -> InsertSpec:
    return InsertSpec(name="eye", appliance="sniffer", before=before, mode=mode)


async def stand(room: Room, spec: InsertSpec, state: InsertState = InsertState.ACTIVE) -> InsertRecord:
    return await room.site.shelves.inserts.save(InsertRecord(spec=spec, rank=Fraction(0), created=1.0, state=state))


async def test_an_insert_can_go_before_a_gateway(room: Room) -> None:
    assert room.inserts.checks.check(wanted("network:lan")) == LAN
    assert room.inserts.checks.check(wanted("network:lan", Mode.COPY)) == LAN


async def test_a_machine_that_is_the_gateway_has_the_port(room: Room) -> None:
    with pytest.raises(NotFound, match="machine 'fw'") as said:
        room.inserts.checks.check(wanted("network:dmz"))
    assert said.value.hint == "its port is not there yet"
    nics = (NicSpec(network="lan"), NicSpec(network="dmz"))
    await room.site.links.create_bridge("n2", mtu=1500, alias="weft network dmz")
    await room.machines.create(MachineSpec(name="fw", image="base", nics=nics))
    with pytest.raises(NotFound) as said:
        room.inserts.checks.check(wanted("network:dmz"))
    assert said.value.hint == "its port is fw:1"


async def test_no_gateway_of_a_network_that_is_not_there(room: Room) -> None:
    with pytest.raises(NotFound, match="network 'lam' does not exist"):
        room.inserts.checks.check(wanted("network:lam"))


async def test_its_chain_is_shown(room: Room) -> None:
    await stand(room, wanted("network:lan"))
    (view,) = room.inserts.views_of_ports(network="lan")
    assert (view.port, view.machine, [insert.name for insert in view.chain]) == ("network:lan", None, ["eye"])
    assert [port.port for port in room.inserts.views_of_ports()] == ["network:lan"]


async def test_zones_are_the_network_and_the_outside(room: Room) -> None:
    place = place_insert(room.site, wanted("network:lan"), ())
    assert place.stance is Stance.BRIDGE
    assert [(zone.name, zone.uplink) for zone in place.zones] == [("lan", False), ("uplink", True)]
    assert {zone.subnets for zone in place.zones} == {("10.0.0.0/29",)}


async def test_a_bridge_knows_the_machines_on_both_of_its_sides(room: Room) -> None:
    for name in ("client", "web"):
        await room.machines.create(MachineSpec(name=name, image="base", nics=(NicSpec(network="lan"),)))
    for before, sides in (("web", ["network", "machine"]), ("network:lan", ["lan", "lan"])):
        place = place_insert(room.site, wanted(before), ())
        assert [(other.name, other.zone) for other in place.neighbours] == list(
            zip(["client", "web"], sides, strict=True)
        )
    assert place_insert(room.site, wanted("web", Mode.COPY), ()).neighbours == ()


async def test_a_routed_insert_is_the_gateway_for_machines_and_behind_it_for_the_fabric(room: Room) -> None:
    await room.machines.create(MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),)))
    place = place_insert(room.site, wanted("network:lan", Mode.ROUTED), ())
    lan, uplink = place.zones
    mac = room.site.shelves.networks.get("lan").gateway_mac
    assert (place.stance, place.gateway, place.gateway_mac) == (Stance.GATEWAY, "169.254.87.1", mac)
    assert (lan.name, lan.nic, lan.mac, lan.addresses) == ("lan", "eth0", mac, ("10.0.0.1/29",))
    assert (uplink.name, uplink.nic, uplink.mac, uplink.uplink) == ("uplink", "eth1", mac, True)
    assert uplink.addresses == ("169.254.88.1/32",)
    assert place.resolvers == ("169.254.87.1",)
    assert [(other.zone, other.name) for other in place.neighbours] == [("lan", "web")]
    assert f"PLACE_NEIGHBOURS=10.0.0.2,{place.neighbours[0].mac}\n" in dump_place_shell(place)


async def test_a_routed_insert_goes_nowhere_else(room: Room) -> None:
    await room.machines.create(MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),)))
    with pytest.raises(Invalid, match="web:0 is none"):
        room.inserts.checks.check(wanted("web", Mode.ROUTED))
    with pytest.raises(Invalid, match="not made for mode routed"):
        room.inserts.checks.check(wanted("network:lan", Mode.ROUTED))


def test_every_network_has_an_address_behind_its_gateway() -> None:
    addresses = [plan_address_behind(slot) for slot in NETWORK_SLOTS]
    assert len(set(addresses)) == len(addresses)
    assert UPSTREAM not in addresses


async def test_with_the_network_its_inserts_go(room: Room) -> None:
    await stand(room, wanted("network:lan"))
    await room.networks.remove("lan")
    assert not len(room.site.shelves.inserts)
    assert room.site.shelves.networks.find("lan") is None


async def test_an_insert_of_a_network_that_went_goes_too(room: Room) -> None:
    record = await stand(room, wanted("network:gone"))
    await room.inserts.adopt(record)
    await asyncio.gather(*room.site.tasks.running)
    assert not len(room.site.shelves.inserts)


@pytest.mark.parametrize(
    ("port", "modes", "mode"),
    [
        ("web", ("inline", "copy"), Mode.INLINE),
        ("web", ("copy",), Mode.COPY),
        ("web", ("routed", "inline"), Mode.INLINE),
        ("network:lan", ("inline", "copy"), Mode.INLINE),
        ("network:lan", ("inline", "routed"), Mode.ROUTED),
    ],
)
def test_the_usual_mode(port: str, modes: tuple[str, ...], mode: Mode) -> None:
    assert find_usual_mode(parse_port(port), modes) is mode


async def test_a_fabric_file_knows_the_place_that_an_insert_will_have(room: Room) -> None:
    written = RoomFile.model_validate(
        {
            "networks": {"lan": {"subnet": "10.0.0.0/29"}},
            "machines": {"web": {"image": "base", "networks": ["lan"]}},
            "inserts": {"fw": {"appliance": "firewall", "before": "network:lan", "mode": "routed"}},
        }
    )
    await room.machines.create(MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),)))
    made = place_insert(room.site, wanted("network:lan", Mode.ROUTED), ())
    known = foresee_insert(Scene("acme", written, World()), written.inserts["fw"])
    assert known is not None
    assert (known.stance, known.gateway) == (made.stance, made.gateway)
    assert [(zone.name, zone.addresses, zone.subnets, zone.uplink) for zone in known.zones] == [
        (zone.name, zone.addresses, zone.subnets, zone.uplink) for zone in made.zones
    ]
    assert [(other.name, other.address) for other in known.neighbours] == [("web", "10.0.0.2")]
