"""Control groups of rooms, on control groups that are folders."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.unit.paper_fabric import FACTS, open_paper_fabric

from weft.api.app import make_app
from weft.fabric.fabric import Fabric
from weft.fabric.latching import limits_of
from weft.fabric.ledger.room_groups import RoomGroups
from weft.fabric.site import Site
from weft.host.cgroup import CgroupMode, Cgroups
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.room import RoomResources, RoomSpec

PLAIN, BUSY = RoomResources(), RoomResources(cpu_weight=300)


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    async with open_paper_fabric(tmp_path / "home") as opened:
        yield opened


def grouped(site: Site, folder: Path, *names: str) -> Site:
    """With control groups of version 1 that are folders, its own and these."""
    bases = tuple(folder / kind / site.room for kind in ("cpu", "memory", "pids"))
    for base in bases:
        for path in (base, *(base / name for name in names)):
            path.mkdir(parents=True)
            for file in ("cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"):
                (path / file).write_text("")
    return replace(site, cgroups=Cgroups(CgroupMode.V1, bases))


def read(folder: Path, room: str, file: str) -> str:
    return (folder / "cpu" / room / file).read_text()


async def test_weights_are_written_when_they_change(fabric: Fabric, tmp_path: Path) -> None:
    await fabric.rooms.create(RoomSpec(name="acme"))
    sites = {name: grouped(fabric.room(name).site, tmp_path / "cg") for name in ("default", "acme")}
    groups = RoomGroups(FACTS)

    def apply(resources: RoomResources) -> None:
        specs = {"default": RoomSpec(name="default"), "acme": RoomSpec(name="acme", resources=resources)}
        groups.apply([(sites[name], spec) for name, spec in specs.items()])

    apply(PLAIN)
    assert read(tmp_path / "cg", "acme", "cpu.shares") == ""
    apply(BUSY)
    assert read(tmp_path / "cg", "acme", "cpu.shares") == "3072"
    assert read(tmp_path / "cg", "default", "cpu.shares") == ""
    apply(RoomResources(cpus=1.5))
    assert read(tmp_path / "cg", "acme", "cpu.shares") == "3072"
    apply(PLAIN)
    assert read(tmp_path / "cg", "acme", "cpu.shares") == "1024"


async def test_a_bound_is_that_of_the_machines_too(fabric: Fabric, tmp_path: Path) -> None:
    spec = MachineSpec(name="web", image="base", cpus=2, nics=(NicSpec(network="lan"),))
    await fabric.default.machines.create(spec)
    shelf = fabric.default.site.shelves.machines
    await shelf.save(shelf.get("web").with_(state=State.RUNNING))
    site = grouped(fabric.default.site, tmp_path / "cg", "web", "other")
    groups = RoomGroups(FACTS)
    bounded = RoomSpec(name="default", resources=RoomResources(max_cpus=0.5))
    await fabric.rooms.change(bounded)
    assert limits_of(site, shelf.get("web")).cpus == 0.5
    groups.apply([(site, bounded)])
    for name in ("default", "default/web", "default/other"):
        assert read(tmp_path / "cg", name, "cpu.cfs_quota_us") == "50000"
    await fabric.rooms.change(RoomSpec(name="default"))
    groups.apply([(site, RoomSpec(name="default"))])
    assert read(tmp_path / "cg", "default", "cpu.cfs_quota_us") == "-1"
    assert read(tmp_path / "cg", "default/web", "cpu.cfs_quota_us") == "250000"


async def test_a_room_is_changed_in_part(fabric: Fabric) -> None:
    first = RoomResources(memory=64 << 20, cpu_weight=200)
    await fabric.rooms.create(RoomSpec(name="acme", description="a customer", resources=first))
    transport = httpx.ASGITransport(make_app(fabric, lambda _machines: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
        answer = await http.patch("/v1/rooms/acme", json={"resources": {"memory": None, "max_cpus": 1.5}})
        assert answer.status_code == 200, answer.text
        view = answer.json()
        assert view["description"] == "a customer" and view["limits"] == "not enforced: on paper"
        assert view["resources"] == RoomResources(max_cpus=1.5, cpu_weight=200).model_dump()
        answer = await http.patch("/v1/rooms/acme", json={"resources": {"cpu_weight": 0}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
        answer = await http.patch("/v1/rooms/acme", json={"resources": {"memory": 2, "max_memory": 1}})
        assert answer.json()["error"]["code"] == "invalid"
        answer = await http.patch("/v1/rooms/nobody", json={})
        assert answer.status_code == 404
    assert fabric.rooms.record("acme").spec.resources.memory is None
