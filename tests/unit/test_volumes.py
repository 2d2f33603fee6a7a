"""Volumes on a fabric on paper: who may have one, who may remove it, and what a dead daemon's leftovers become.

Disks themselves are in tests/host/test_disks.py.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import make_app
from weft.fabric.fabric import Fabric
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.volume import VolumeRecord
from weft.model.errors import Exists, Invalid, NotFound, Unavailable, WrongState
from weft.model.machine import MachineSpec, NicSpec, Profile, State
from weft.model.mount import MountKind, MountSpec
from weft.model.volume import VolumeSpec


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    async with open_paper_fabric(tmp_path / "home") as opened:
        yield opened


async def put(fabric: Fabric, name: str, *, made: bool = True, **more: Any) -> VolumeRecord:
    """A volume on record, with a file for its disk."""
    path = fabric.default.site.layout.volume(name) / "disk.img"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(4096))
    record = VolumeRecord(spec=VolumeSpec(name=name, size=8 << 20), created=1.0, made=made, **more)
    return await fabric.default.site.shelves.volumes.save(record)


async def make(fabric: Fabric, name: str, *, read_only: bool = False, started: float | None = None) -> MachineRecord:
    """A machine with the volume `data`; live when it was `started`."""
    mount = MountSpec(kind=MountKind.VOLUME, source="data", target="/srv", read_only=read_only)
    record = await fabric.default.machines.create(MachineSpec(name=name, image="base", nics=(), mounts=(mount,)))
    state = State.STARTING if started else State.CREATED
    return await fabric.default.site.shelves.machines.save(record.with_(state=state, started=started))


async def test_one_machine_writes(fabric: Fabric) -> None:
    await put(fabric, "data")
    first, second = await make(fabric, "one", started=1.0), await make(fabric, "two", started=2.0)
    assert (await fabric.default.volumes.claim(first, "data", read_only=False)).name == "disk.img"
    with pytest.raises(WrongState, match="volume 'data' is being written by machine 'one'"):
        await fabric.default.volumes.claim(second, "data", read_only=False)
    with pytest.raises(WrongState, match="being written"):
        await fabric.default.volumes.claim(second, "data", read_only=True)


async def test_several_machines_read(fabric: Fabric) -> None:
    await put(fabric, "data")
    await make(fabric, "one", read_only=True, started=1.0)
    second = await make(fabric, "two", read_only=True, started=2.0)
    assert await fabric.default.volumes.claim(second, "data", read_only=True)
    with pytest.raises(WrongState, match="being read by machine 'one'"):
        await fabric.default.volumes.claim(second, "data", read_only=False)


async def test_of_two_that_start_at_once_one_gets_it(fabric: Fabric) -> None:
    await put(fabric, "data")
    both = [await make(fabric, "one", started=1.0), await make(fabric, "two", started=1.0)]
    outcomes: list[Path | WrongState] = []
    for machine in both:
        try:
            outcomes.append(await fabric.default.volumes.claim(machine, "data", read_only=False))
        except WrongState as err:
            outcomes.append(err)
    assert [isinstance(outcome, Path) for outcome in outcomes] == [True, False]


async def test_a_lost_disk_is_not_made_anew(fabric: Fabric) -> None:
    await put(fabric, "data")
    machine = await make(fabric, "one", started=1.0)
    (fabric.default.site.layout.volume("data") / "disk.img").unlink()
    with pytest.raises(Unavailable, match="not there any more"):
        await fabric.default.volumes.claim(machine, "data", read_only=False)


async def test_a_used_volume_stays_also_when_nothing_runs(fabric: Fabric) -> None:
    await put(fabric, "data")
    await put(fabric, "more")
    await make(fabric, "one")
    with pytest.raises(WrongState, match="volume 'data' is used by one"):
        await fabric.default.volumes.remove("data")
    assert await fabric.default.volumes.prune() == ["more"]
    await fabric.default.machines.remove("one")
    await fabric.default.volumes.remove("data")
    assert list((fabric.default.site.layout.home / "volumes").iterdir()) == []
    with pytest.raises(NotFound):
        await fabric.default.volumes.remove("data")


async def test_it_only_grows_and_only_at_rest(fabric: Fabric) -> None:
    await put(fabric, "data")
    await make(fabric, "one", started=1.0)
    with pytest.raises(Invalid, match="can only grow"):
        await fabric.default.volumes.resize("data", 4 << 20)
    with pytest.raises(WrongState, match="in use by one"):
        await fabric.default.volumes.resize("data", 16 << 20)


async def test_what_was_begun_is_finished(fabric: Fabric) -> None:
    await put(fabric, "whole")
    await put(fabric, "half", made=False)
    await put(fabric, "leaving", removing=True)
    await fabric.default.volumes.adopt()
    assert [record.name for record in fabric.default.site.shelves.volumes] == ["whole"]
    assert [path.name for path in (fabric.default.site.layout.home / "volumes").iterdir()] == ["whole"]


async def test_a_name_is_given_once(fabric: Fabric) -> None:
    await put(fabric, "data")
    with pytest.raises(Exists):
        await fabric.default.volumes.create(VolumeSpec(name="data"))


async def test_a_machine_with_more_than_fits_is_refused_before_anything_is_made(fabric: Fabric) -> None:
    await put(fabric, "data")
    mounts = tuple(MountSpec(kind=MountKind.VOLUME, source=f"new{n}", target=f"/{n}") for n in range(4))
    spec = MachineSpec(name="big", image="base", nics=(NicSpec(network="lan"),), mounts=mounts)
    with pytest.raises(Invalid, match="a microvm takes 4 devices, not 1 NICs, 4 disks"):
        await fabric.default.machines.create(spec)
    assert [record.name for record in fabric.default.site.shelves.volumes] == ["data"]
    assert spec.profile is Profile.MICROVM


async def test_the_api_shows_size_store_and_users(fabric: Fabric) -> None:
    await put(fabric, "data")
    await make(fabric, "one")
    transport = httpx.ASGITransport(make_app(fabric, lambda machines: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://weft/v1") as http:
        (view,) = (await http.get("/volumes")).json()
        assert view == (await http.get("/volumes/data")).json()
        assert (view["size"], view["stored"] > 0) == (8 << 20, True)
        assert view["users"] == [{"machine": "one", "target": "/srv", "read_only": False, "live": False}]
        assert (await http.delete("/volumes/data")).json()["error"]["code"] == "wrong-state"
        assert (await http.patch("/volumes/data", json={"size": 1})).json()["error"]["code"] == "invalid"
        assert (await http.post("/volumes", json={"name": "Data"})).json()["error"]["code"] == "invalid"
        assert (await http.get("/volumes/none")).json()["error"]["code"] == "not-found"
