"""NICs: who gets which address, and what a machine is told of its networks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.nics import give_nics, guest_nics, guest_resolvers
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.settings.places import place_machine
from weft.fabric.site import Site
from weft.model.errors import Exists, Invalid, NotFound
from weft.model.machine import MachineSpec, NicSpec
from weft.model.network import NetworkSpec


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """With the networks `wan` (the fabric's, with an uplink), `lan` and `dmz`, whose gateway is `fw`."""
    async with open_paper_room(tmp_path) as room:
        await add_network(room.site, 2, name="wan", subnet="10.1.0.0/24", uplink=True)
        await add_network(room.site, 3, name="dmz", subnet="10.2.0.0/24", gateway="fw", subnet6="fd00:2::/64")
        await add_network(room.site, 4, name="work", subnet="10.3.0.0/24", gateway="fw", dns=("ns", "192.0.2.53"))
        yield room.site


async def add_network(site: Site, slot: int, **spec: Any) -> None:
    record = NetworkRecord(spec=NetworkSpec.model_validate(spec), slot=slot, created=float(slot))
    await site.shelves.networks.save(record)


async def add(site: Site, name: str, *nics: NicSpec, kept: tuple[NicRecord | None, ...] = ()) -> MachineRecord:
    spec = MachineSpec(name=name, image="base", nics=nics)
    given = give_nics(site, name, nics, kept)
    record = MachineRecord(spec=spec, slot=1, uuid="", created=1.0, kernel="default", memory=1 << 26, nics=given)
    return await site.shelves.machines.save(record)


def on(network: str, **more: Any) -> NicSpec:
    return NicSpec(network=network, **more)


def addresses(machine: MachineRecord) -> list[str]:
    return [str(nic.address) for nic in machine.nics]


async def test_a_gateway_has_the_first_address_though_it_comes_last(site: Site) -> None:
    assert addresses(await add(site, "web", on("dmz"))) == ["10.2.0.2"]
    fw = await add(site, "fw", on("wan"), on("dmz"), on("work"), on("dmz"))
    assert addresses(fw) == ["10.1.0.2", "10.2.0.1", "10.3.0.1", "10.2.0.3"]
    assert [str(nic.address6) for nic in fw.nics] == ["None", "fd00:2::1", "None", "fd00:2::3"]


async def test_the_default_route_leads_through_the_first_network_with_another_gateway(site: Site) -> None:
    fw = await add(site, "fw", on("dmz"), on("work"), on("wan"))
    assert [nic.gateways for nic in guest_nics(site, fw)] == [(), (), ("10.1.0.1",)]
    web = await add(site, "web", on("work"), on("dmz"), on("wan"))
    assert [nic.gateways for nic in guest_nics(site, web)] == [("10.3.0.1",), ("fd00:2::1",), ()]
    assert guest_nics(site, web)[1].addresses == ("10.2.0.2/24", "fd00:2::2/64")
    one = await add(site, "one", NicSpec(), on("wan"))
    assert [nic.gateways for nic in guest_nics(site, one)] == [(), ("10.1.0.1",)]


async def test_a_machine_asks_its_networks_name_servers_or_else_their_gateways(site: Site) -> None:
    assert guest_resolvers(site, await add(site, "fw", on("wan"), on("dmz"))) == ("10.1.0.1",)
    assert guest_resolvers(site, await add(site, "web", on("wan"), on("dmz"))) == ("10.2.0.1", "10.1.0.1")
    # A name that no machine has yet is left out; a name server does not ask itself.
    assert guest_resolvers(site, await add(site, "pc", on("work"))) == ("192.0.2.53",)
    ns = await add(site, "ns", on("work", address="10.3.0.53"))
    assert guest_resolvers(site, site.shelves.machines.get("pc")) == ("10.3.0.53", "192.0.2.53")
    assert guest_resolvers(site, ns) == ("192.0.2.53",)


async def test_what_is_asked_for_is_not_given_to_another_nic_of_the_machine(site: Site) -> None:
    mac = "02:00:00:00:00:07"
    web = await add(site, "web", on("wan"), on("wan", address="10.1.0.2", mac=mac.upper(), pinned=False))
    assert addresses(web) == ["10.1.0.3", "10.1.0.2"]
    assert (web.nics[1].mac, web.nics[1].pinned, web.nics[0].pinned) == (mac, False, True)
    with pytest.raises(Exists, match=f"address {mac} is that of machine 'web'"):
        await add(site, "db", on("dmz", mac=mac))
    with pytest.raises(Exists, match=r"10\.1\.0\.2 of network 'wan' is that of machine 'web'"):
        await add(site, "db", on("wan", address="10.1.0.2"))
    with pytest.raises(NotFound, match="network 'den' does not exist"):
        await add(site, "db", on("den"))
    assert site.shelves.machines.find("db") is None


async def test_a_nic_that_is_kept_stays_what_it_was_unless_it_is_to_be_something_else(site: Site) -> None:
    before = (await add(site, "web", on("dmz"), on("wan"))).nics
    await add(site, "db", on("dmz"))
    after = await add(
        site, "web", on("wan"), on("dmz", address="10.2.0.9"), on("dmz"), kept=(before[1], before[0], None)
    )
    assert addresses(after) == ["10.1.0.2", "10.2.0.9", "10.2.0.2"]
    assert [nic.mac for nic in after.nics[:2]] == [before[1].mac, before[0].mac]
    assert str(after.nics[1].address6) == "fd00:2::9"
    assert (await add(site, "web", on("wan"), kept=(before[1],))).nics == (before[1],)


def test_what_no_network_can_be_is_refused() -> None:
    for wrong in ({"subnet6": "fe80::/64"}, {"subnet6": "fd00::/125"}, {"dns": ["no name"]}, {"gateway": "NO"}):
        with pytest.raises(Invalid):
            NetworkSpec.model_validate({"name": "lan", **wrong})
    with pytest.raises(Invalid, match="no machine is its gateway"):
        NetworkSpec(name="lan", gateway="fw", uplink=True)
    with pytest.raises(Invalid, match="no network has no address"):
        NicSpec.model_validate({"address": "10.0.0.2"})


async def test_an_appliance_s_place_says_of_its_networks_what_the_machine_is_told_at_boot(site: Site) -> None:
    await add(site, "ns", on("work", address="10.3.0.53"))
    fw = await add(site, "fw", on("dmz"), on("work"), on("wan"))
    place = place_machine(site, "fw", fw.nics)
    assert [zone.addresses for zone in place.zones] == [nic.addresses for nic in guest_nics(site, fw)]
    assert [zone.name for zone in place.zones if zone.uplink] == ["wan"] and place.gateway == "10.1.0.1"
    assert set(place.resolvers) == set(guest_resolvers(site, fw)) == {"10.1.0.1", "10.3.0.53", "192.0.2.53"}
