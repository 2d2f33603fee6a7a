"""Forks of rooms on paper: what is on record of the copy, what is not, and that nothing is left of one that fails."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.host.waiting import wait_until
from tests.unit.paper_fabric import open_paper_fabric
from tests.unit.test_forks import PaperCapturing, PaperLife

from weft.fabric.fabric import Fabric
from weft.fabric.forks.copies import Copies
from weft.fabric.forks.rooms import RoomForks
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.volume import VolumeRecord
from weft.fabric.room import Room
from weft.fabric.rooms import Rooms
from weft.model.errors import Exists, Unavailable, WrongState
from weft.model.fork import RoomForkSpec
from weft.model.insert import InsertSpec, InsertState
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.mount import MountKind, MountSpec
from weft.model.publish import PublishSpec
from weft.model.room import RoomSpec
from weft.model.volume import VolumeSpec


class PaperRooms:
    """The rooms of a fabric, in which machines seem to start and to be captured."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.capturing = PaperCapturing()
        self.failing: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rooms, name)

    def get(self, name: str) -> Room:
        room = self.rooms.get(name)
        life = PaperLife(room)
        life.failing = self.failing
        life.copies = Copies(room.site, room.machines, room.ports, cast(Any, life), room.volumes)
        networks = cast(Any, PaperNetworks(room))
        return replace(room, lifecycle=cast(Any, life), capturing=cast(Any, self.capturing), networks=networks)


class PaperNetworks:
    """Networks without name servers."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def adopt(self) -> None:
        await self._room.site.links.ensure_void()
        for network in self._room.site.shelves.networks:
            await self._room.ports.attach_gateway(network)


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    """With a room `prod` of three machines, of which two run, an insert and a volume."""
    async with open_paper_fabric(tmp_path / "home") as fabric:
        await fabric.rooms.create(RoomSpec(name="prod", description="the real one"))
        site, machines = fabric.room("prod").site, fabric.room("prod").machines
        await site.links.ensure_void()
        await site.shelves.volumes.save(VolumeRecord(spec=VolumeSpec(name="data"), created=1.0, made=True))
        disk = site.layout.volume("data") / "disk.img"
        disk.parent.mkdir(parents=True)
        disk.write_bytes(b"data" * 1000)
        mount = MountSpec(kind=MountKind.VOLUME, source="data", target="/data")
        for name, mounts in (("gone", ()), ("web", (mount,)), ("off", ())):
            nics = (NicSpec(network="lan"),)
            publish = (PublishSpec(guest_port=80),) if name == "off" else ()
            await machines.create(MachineSpec(name=name, image="base", nics=nics, mounts=mounts, publish=publish))
        await machines.remove("gone")
        sides = site.images.get("sniffer").nics
        await machines.create(
            MachineSpec(name="ear", image="sniffer", nics=tuple(NicSpec(role=side.role) for side in sides))
        )
        for name in ("web", "ear"):
            await site.shelves.machines.save(site.shelves.machines.get(name).with_(state=State.RUNNING))
        spec = InsertSpec(name="ear", appliance="sniffer", before="web")
        insert = InsertRecord(spec=spec, rank=cast(Any, 1), created=1.0, state=InsertState.ACTIVE)
        await site.shelves.inserts.save(insert)
        yield fabric


async def test_the_copy_has_the_same_but_for_who_its_machines_are(fabric: Fabric) -> None:
    rooms = PaperRooms(fabric.rooms)
    forked = await RoomForks(cast(Rooms, rooms)).fork("prod", RoomForkSpec(name="staging"))
    assert (set(forked.pauses), forked.left_out) == ({"web", "ear"}, ["published ports of machine off"])
    old, new = fabric.room("prod").site.shelves, fabric.room("staging").site.shelves
    for name, state in (("web", State.RUNNING), ("ear", State.RUNNING), ("off", State.CREATED)):
        one, other = old.machines.get(name), new.machines.get(name)
        assert (one.slot, one.nics, one.memory) == (other.slot, other.nics, other.memory)
        assert one.uuid != other.uuid
        assert (other.state, other.becoming) == (state, False)
    assert new.machines.get("off").spec.publish == ()
    assert [insert.spec for insert in new.inserts] == [insert.spec for insert in old.inserts]
    assert [network.slot for network in new.networks] == [network.slot for network in old.networks]
    (volume,) = new.volumes
    assert volume.made
    assert (fabric.room("staging").site.layout.volume("data") / "disk.img").read_bytes() == b"data" * 1000
    record = fabric.rooms.record("staging")
    assert (record.spec.description, record.forking) == ("the real one", False)
    web = new.machines.get("web").ends(0)
    filters = await fabric.room("staging").site.links.list_filters(web.patch)
    assert [(found.slot, found.target) for found in filters] == [(200, "t1.0"), (300, web.tap)]
    assert all(moment.closed for moment in rooms.capturing.moments)


async def test_nothing_is_left_of_one_that_fails(fabric: Fabric) -> None:
    rooms = PaperRooms(fabric.rooms)
    rooms.failing = {"ear"}
    forks = RoomForks(cast(Rooms, rooms))
    with pytest.raises(Unavailable, match="'ear' did not become ready"):
        await forks.fork("prod", RoomForkSpec(name="staging"))
    assert "staging" not in fabric.rooms
    assert not (fabric.shared.layout.home / "rooms" / "staging").exists()
    with pytest.raises(Exists):
        await forks.fork("prod", RoomForkSpec(name="default"))
    shelf = fabric.room("prod").site.shelves.machines
    await shelf.save(shelf.get("off").with_(state=State.STARTING))
    with pytest.raises(WrongState, match="machine 'off' is starting"):
        await forks.fork("prod", RoomForkSpec(name="staging"))


async def test_a_copy_that_an_earlier_daemon_began_is_taken_away(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with open_paper_fabric(home) as fabric:
        await fabric.rooms.create(RoomSpec(name="half"), forking=True)
    async with open_paper_fabric(home) as fabric:
        await wait_until(lambda: [record.name for record in fabric.rooms.records()] == ["default"])
