"""Pools on a fabric on paper: copies come and go, one becomes a machine, and what a dead daemon leaves."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.unit.paper_fabric import FACTS, open_paper_fabric

from weft.api.app import make_app
from weft.fabric.fabric import Fabric
from weft.fabric.pools.keeping import Keeping
from weft.fabric.pools.pools import Pools
from weft.fabric.pools.taking import Taking
from weft.fabric.records.machine import Holding, MachineRecord
from weft.fabric.records.pool import CopyRecord
from weft.fabric.records.record import Stamp
from weft.fabric.room import Room
from weft.host.pids import ProcessId, stop_processes
from weft.host.process import start_latched
from weft.model.errors import NotFound, Unavailable
from weft.model.image import NicRole
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.pool import PoolSpec
from weft.plan.linknames import tap_name

HELD = Holding(copy_name="sniffer-1", macs=("52:57:0:0:0:1",))
SIDES = (NicSpec(role=NicRole.NETWORK), NicSpec(role=NicRole.MACHINE))


class FakeMaker:
    """Copies are processes that sleep."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.running: dict[str, ProcessId] = {}
        self.ended = asyncio.Event()
        self.fails = False

    async def start(self, copy: CopyRecord) -> CopyRecord:
        if self.fails:
            raise Unavailable("no template")
        machine = copy.machine
        for number in range(len(machine.nics)):
            await self._room.site.links.create_tap(tap_name(machine.slot, number), mtu=1400, alias="a copy")
        self._room.site.layout.pool.machine(machine.name).folder.mkdir(parents=True)
        latched = start_latched(["sleep", "60"])
        self.running[machine.name] = latched.process
        machine = machine.with_(monitor=Stamp.of(latched.process))
        copy = await self._room.site.shelves.copies.save(copy.with_(machine=machine, macs=("52:57:0:0:0:1",)))
        latched.release()
        return copy

    async def end(self, machine: MachineRecord) -> None:
        links = await self._room.site.links.list_links()
        for tap in {tap_name(machine.slot, number) for number in range(len(machine.nics))} & links.keys():
            await self._room.site.links.delete_link(tap)
        if process := self.running.pop(machine.name, None):
            await stop_processes([process], term_for=0)
        self.ended.set()
        shutil.rmtree(self._room.site.layout.pool.machine(machine.name).folder, ignore_errors=True)


class Rig:
    """A room with pools of its own."""

    def __init__(self, fabric: Fabric) -> None:
        self.room = fabric.default
        self.maker = FakeMaker(self.room)
        self.keeping = Keeping(self.room.site, self.room.machines, self.maker, self.room.templates)
        self.pools = Pools(self.room.site, self.room.machines, self.keeping)
        self.room.machines.stand_in = Taking(self.room.site, self.room.ports, self.keeping)

    async def settle(self) -> None:
        """Until nothing is to be done any more."""
        task = asyncio.create_task(self.keeping.keep())
        async with asyncio.timeout(10):
            await self.keeping.wait_rest()
        task.cancel()

    async def names(self) -> list[str]:
        """Copies that are ready."""
        return sorted(copy.name for copy in self.room.site.shelves.copies if copy.ready)

    async def shown(self) -> tuple[int, str]:
        """Of the pool of sniffers: how many are ready, and why not more."""
        view = await self.pools.view(self.pools.get("sniffer"))
        return view.ready, view.reason


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        await fabric.default.site.links.ensure_void()
        rig = Rig(fabric)
        yield rig
        await rig.keeping.end_all()


async def make_full(rig: Rig, size: int = 2) -> None:
    await rig.pools.set(PoolSpec(image="sniffer", size=size))
    await rig.settle()


async def test_a_pool_is_filled_made_smaller_and_goes(rig: Rig) -> None:
    await make_full(rig)
    assert await rig.names() == ["sniffer-1", "sniffer-2"]
    assert await rig.shown() == (2, "")
    await make_full(rig, 1)
    assert len(rig.maker.running) == 1
    await rig.pools.remove("sniffer")
    await rig.settle()
    assert rig.maker.running == {}
    with pytest.raises(NotFound, match="no pool of image 'sniffer'"):
        rig.pools.get("sniffer")


async def test_a_machine_takes_a_copy_with_all_it_has(rig: Rig) -> None:
    await make_full(rig, 1)
    (copy,) = rig.room.site.shelves.copies
    machine = await rig.room.machines.create(MachineSpec(name="tap", image="sniffer"), at_once=True)
    assert (machine.slot, machine.monitor, machine.held) == (copy.machine.slot, copy.machine.monitor, HELD)
    assert machine.group_name == "pool.sniffer-1"
    assert machine.nics[0].mac != copy.machine.nics[0].mac
    link = (await rig.room.site.links.list_links())[tap_name(machine.slot, 0)]
    assert (link.alias, link.mtu) == ("weft machine tap nic 0", 1500)
    assert rig.room.site.layout.machine("tap").folder.is_dir()
    assert not rig.room.site.layout.pool.machine("sniffer-1").folder.exists()
    assert len(rig.room.site.shelves.copies) == 0
    ready = await rig.room.site.shelves.machines.save(machine.with_(state=State.RUNNING, held=None))
    await rig.keeping.on_ready(ready)
    await rig.settle()
    assert await rig.names() == ["sniffer-2"], "the name of a group that is in use is not used again"


@pytest.mark.parametrize(
    "spec",
    [
        MachineSpec(name="m", image="base", nics=()),
        MachineSpec(name="m", image="sniffer", memory=128 << 20),
        MachineSpec(name="m", image="sniffer", cpus=2),
        MachineSpec(name="m", image="sniffer", cold=True),
        MachineSpec(name="m", image="sniffer", nics=(NicSpec(network="lan"),)),
    ],
)
async def test_a_machine_that_is_otherwise_takes_none(rig: Rig, spec: MachineSpec) -> None:
    await make_full(rig, 1)
    assert (await rig.room.machines.create(spec, at_once=True)).held is None
    assert await rig.names() == ["sniffer-1"]


async def test_a_machine_that_is_not_to_start_takes_none(rig: Rig) -> None:
    await make_full(rig, 1)
    assert (await rig.room.machines.create(MachineSpec(name="m", image="sniffer"))).held is None


async def test_nobody_else_gets_the_slot_of_a_copy(rig: Rig) -> None:
    await make_full(rig, 1)
    (copy,) = rig.room.site.shelves.copies
    other = await rig.room.machines.create(MachineSpec(name="other", image="base", nics=()))
    assert other.slot != copy.machine.slot


async def test_a_copy_that_ends_is_replaced(rig: Rig) -> None:
    await make_full(rig, 1)
    rig.maker.running["sniffer-1"].send(signal.SIGKILL)
    async with asyncio.timeout(10):
        await rig.maker.ended.wait()
    await rig.settle()
    assert len(await rig.names()) == 1


async def test_why_a_pool_is_not_full_is_told(rig: Rig) -> None:
    rig.maker.fails = True
    await make_full(rig, 1)
    assert await rig.shown() == (0, "no template")
    assert len(rig.room.site.shelves.copies) == 0, "nothing is left of it"


async def test_no_copies_are_made_of_what_the_host_keeps_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_HOST_RESERVE", str(FACTS.memory_bytes - (32 << 20)))
    async with open_paper_fabric(tmp_path / "home") as fabric:
        rig = Rig(fabric)
        await make_full(rig)
        ready, reason = await rig.shown()
        assert ready == 0 and reason.startswith("the host is short of memory: 64 MiB are wanted")
        await rig.keeping.end_all()


async def test_the_limit_is_for_all_pools(rig: Rig) -> None:
    most = rig.room.site.settings.pool_limit
    await make_full(rig, most + 1)
    assert len(rig.maker.running) == most
    ready, reason = await rig.shown()
    assert ready == most
    assert "pool_limit" in reason


async def test_another_kernel_makes_other_copies(rig: Rig) -> None:
    await make_full(rig, 1)
    path = rig.room.site.home / "kernels" / "default" / "kernel.json"
    path.write_text(path.read_text().replace("0" * 64, "1" * 64))
    ready, reason = await rig.shown()
    assert (ready, reason) == (0, "being filled")
    assert (await rig.room.machines.create(MachineSpec(name="m", image="sniffer"), at_once=True)).held is None
    rig.keeping.wake()
    await rig.settle()
    assert (await rig.shown())[0] == 1


async def test_starts_of_machines_come_first(rig: Rig) -> None:
    record = await rig.room.machines.create(MachineSpec(name="slow", image="base", nics=()))
    await rig.room.site.shelves.machines.save(record.with_(state=State.STARTING))
    await rig.pools.set(PoolSpec(image="sniffer", size=1))
    task = asyncio.create_task(rig.keeping.keep())
    await asyncio.sleep(0.2)
    assert rig.maker.running == {}
    await rig.room.site.shelves.machines.save(record.with_(state=State.RUNNING))
    async with asyncio.timeout(10):
        await rig.keeping.wait_rest()
    assert await rig.names() == ["sniffer-1"]
    task.cancel()


async def test_the_next_daemon_keeps_what_holds_and_ends_what_was_half_made(rig: Rig) -> None:
    await make_full(rig)
    half, whole = sorted(rig.room.site.shelves.copies, key=lambda copy: copy.name)
    await rig.room.site.shelves.copies.save(half.with_(ready=False))
    await rig.keeping.adopt(same_boot=True)
    assert await rig.names() == [whole.name]
    await rig.keeping.adopt(same_boot=False)
    assert await rig.names() == []


async def test_a_copy_that_was_being_taken_is_its_machine_s(rig: Rig) -> None:
    await make_full(rig, 1)
    (copy,) = rig.room.site.shelves.copies
    record = await rig.room.machines.create(MachineSpec(name="tap", image="sniffer"))
    await rig.room.site.shelves.machines.save(copy.lend_to(record))
    await rig.keeping.adopt(same_boot=True)
    assert len(rig.room.site.shelves.copies) == 0
    assert "sniffer-1" in rig.maker.running, "to end it is for the machine"


async def test_routes(rig: Rig, tmp_path: Path) -> None:
    async with open_paper_fabric(tmp_path / "other") as fabric:
        transport = httpx.ASGITransport(make_app(fabric, lambda machines: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://weft") as client:
            made = await client.post("/v1/pools", json={"image": "sniffer", "size": 2}, params={"wait": False})
            assert (made.status_code, made.json()["size"]) == (200, 2)
            assert [pool["image"] for pool in (await client.get("/v1/pools")).json()] == ["sniffer"]
            assert (await client.get("/v1/pools/sniffer")).json()["ready"] == 0
            assert (await client.post("/v1/pools", json={"image": "gone", "size": 2})).status_code == 404
            assert (await client.post("/v1/pools", json={"image": "sniffer", "size": 0})).status_code == 422
            assert (await client.delete("/v1/pools/sniffer")).status_code == 204
            assert (await client.delete("/v1/pools/sniffer")).status_code == 404


async def test_copies_are_shown_among_all_machines(rig: Rig) -> None:
    await make_full(rig, 1)
    (view,) = rig.pools.views_of_copies()
    assert (view.name, view.state, view.image) == ("pool.sniffer-1", State.POOLED, "sniffer")


async def test_a_copy_whose_links_are_gone_is_not_taken(rig: Rig) -> None:
    await make_full(rig, 1)
    (copy,) = rig.room.site.shelves.copies
    await rig.room.site.links.delete_link(tap_name(copy.machine.slot, 0))
    machine = await rig.room.machines.create(MachineSpec(name="tap", image="sniffer"), at_once=True)
    assert (machine.held, machine.monitor, machine.group) == (None, None, "")
    assert not rig.maker.running["sniffer-1"].alive()
    assert tap_name(machine.slot, 0) in await rig.room.site.links.list_links()


async def test_the_next_daemon_ends_a_copy_whose_links_are_gone(rig: Rig) -> None:
    await make_full(rig, 1)
    (copy,) = rig.room.site.shelves.copies
    await rig.room.site.links.delete_link(tap_name(copy.machine.slot, 0))
    await rig.keeping.adopt(same_boot=True)
    assert await rig.names() == []
