"""Changes of machines that do not run, on a fabric on paper: what changes, what stays, what a dead daemon leaves."""

from collections.abc import AsyncIterator
from fractions import Fraction
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import make_app
from weft.fabric.fabric import Fabric
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.room import Room
from weft.model.elastic import ElasticPolicy, ElasticSpec
from weft.model.errors import Invalid, NotFound, WrongState
from weft.model.insert import InsertSpec
from weft.model.machine import MachineRestart, MachineSpec, NicSpec, State
from weft.model.network import NetworkSpec


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    async with open_paper_fabric(tmp_path / "home") as opened:
        dmz = NetworkSpec(name="dmz", subnet=IPv4Network("10.1.0.0/29"))
        await opened.default.site.shelves.networks.save(NetworkRecord(spec=dmz, slot=2, created=1.0))
        await opened.default.site.links.create_bridge("n2", mtu=1500, alias="weft network dmz")
        yield opened


@pytest.fixture
def room(fabric: Fabric) -> Room:
    return fabric.default


async def make(room: Room, *networks: str, **more: Any) -> MachineRecord:
    nics = tuple(NicSpec(network=name) for name in networks)
    return await room.machines.create(MachineSpec(name="web", image="base", nics=nics, **more))


def find(room: Room) -> MachineRecord:
    return room.site.shelves.machines.get("web")


async def test_what_is_not_named_stays(room: Room) -> None:
    before = await make(room, "lan", env={"A": "1"})
    change = await room.updates.update("web", before.spec.model_copy(update={"memory": 128 << 20, "cpus": 2}))
    assert set(change.restart) == {"memory", "cpus"}
    after = find(room)
    assert (after.memory, after.spec.cpus, after.spec.env) == (128 << 20, 2, {"A": "1"})
    assert (after.slot, after.uuid, after.nics) == (before.slot, before.uuid, before.nics)
    assert after.change is None and after.state is State.CREATED and after.again_at is None


async def test_a_nic_on_a_network_that_stays_keeps_its_addresses(room: Room) -> None:
    before = await make(room, "lan", "dmz")
    nics = (NicSpec(network="dmz"), NicSpec(network="lan"), NicSpec(network="lan"))
    await room.updates.update("web", before.spec.model_copy(update={"nics": nics}))
    after = find(room)
    assert after.nics[:2] == (before.nics[1], before.nics[0])
    assert after.nics[2].mac not in {nic.mac for nic in before.nics}
    assert str(after.nics[2].address) == "10.0.0.3"
    links = await room.site.links.list_links()
    assert {name for name in links if name.startswith(("b1", "p1", "t1"))} == {
        f"{kind}1.{number}" for kind in "bpt" for number in range(3)
    }
    assert [links[f"b1.{number}"].master for number in range(3)] == ["n2", "n1", "n1"]
    await room.updates.update("web", after.spec.model_copy(update={"nics": (NicSpec(network="lan"),)}))
    assert find(room).nics == (before.nics[0],)
    assert {name for name in await room.site.links.list_links() if "1." in name} == {"b1.0", "p1.0", "t1.0"}


async def test_what_cannot_be_changes_nothing(room: Room) -> None:
    before = await make(room, "lan")
    for changes, error in (
        ({"image": "nothing"}, NotFound),
        ({"kernel": "nothing"}, NotFound),
        ({"nics": (NicSpec(network="nothing"),)}, NotFound),
        ({"name": "other"}, Invalid),
    ):
        with pytest.raises(error):
            await room.updates.update("web", before.spec.model_copy(update=changes))
    assert find(room) == before


async def test_a_port_with_an_insert_stays(room: Room) -> None:
    before = await make(room, "lan", "dmz")
    spec = InsertSpec(name="eye", appliance="sniffer", before="web:1")
    await room.site.shelves.inserts.save(InsertRecord(spec=spec, rank=Fraction(0), created=1.0))
    for nics in ((NicSpec(network="lan"),), (NicSpec(network="dmz"), NicSpec(network="lan"))):
        with pytest.raises(WrongState, match="insert 'eye' is at web:1, which goes"):
            await room.updates.update("web", before.spec.model_copy(update={"nics": nics}))
    await room.updates.update("web", before.spec.model_copy(update={"nics": (NicSpec(network="dmz"),) * 2}))


async def test_a_machine_that_runs_is_not_restarted_unasked(room: Room) -> None:
    machine = await make(room, "lan")
    await room.site.shelves.machines.save(machine.with_(state=State.RUNNING))
    with pytest.raises(WrongState, match="would have to be restarted for another memory"):
        await room.updates.update("web", machine.spec.model_copy(update={"memory": 128 << 20, "labels": {"a": ""}}))
    assert find(room).spec == machine.spec
    live = {"labels": {"a": ""}, "restart": MachineRestart.ALWAYS}
    await room.updates.update("web", machine.spec.model_copy(update=live))
    assert find(room).spec.labels == {"a": ""} and find(room).state is State.RUNNING


class Died(BaseException):
    """The daemon is killed."""


@pytest.mark.parametrize("steps", range(5))
async def test_whatever_step_a_daemon_dies_at_the_next_one_goes_on(
    room: Room, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await make(room, "lan")
    left = steps
    shelf, links = room.site.shelves.machines, room.site.links

    def counted(act: Any) -> Any:
        async def count(*args: Any, **more: Any) -> Any:
            nonlocal left
            if not left:
                raise Died
            left -= 1
            return await act(*args, **more)

        return count

    with monkeypatch.context() as patched:
        patched.setattr(shelf, "save", counted(shelf.save))
        patched.setattr(links, "delete_link", counted(links.delete_link))
        patched.setattr(links, "create_tap", counted(links.create_tap))
        nics = (NicSpec(network="lan"), NicSpec(network="dmz"))
        with pytest.raises(Died):
            await room.updates.update("web", before.spec.model_copy(update={"nics": nics, "memory": 128 << 20}))
    await room.ports.attach(find(room))
    await room.ports.splice_all(find(room))
    await room.updates.adopt("web")
    after = find(room)
    assert after.change is None
    assert (after.memory, len(after.nics)) == ((128 << 20, 2) if steps else (before.memory, 1))
    assert after.nics[0] == before.nics[0]
    wired = {name for name in await links.list_links() if name[1:].startswith("1.")}
    assert wired == {f"{kind}1.{number}" for kind in "bpt" for number in range(len(after.nics))}


async def test_the_api_changes_parts(fabric: Fabric, room: Room) -> None:
    await make(room, "lan", labels={"a": "1"})
    app = make_app(fabric, lambda _machines: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://weft") as http:
        plan = await http.patch("/v1/machines/web", json={"changes": {"memory": 128 << 20}, "plan": True})
        assert (plan.json()["restart"], find(room).memory) == (["memory"], 64 << 20)
        done = await http.patch("/v1/machines/web", json={"changes": {"memory": 128 << 20, "labels": {}}})
        assert done.json()["machine"]["memory"] == 128 << 20
        assert (done.json()["live"], done.json()["restart"]) == (["labels"], ["memory"])
        for changes in ({"memori": 1}, {"memory": 1}, {"name": "other"}):
            refused = await http.patch("/v1/machines/web", json={"changes": changes})
            assert refused.status_code == 422, refused.text


async def test_a_machine_becomes_elastic_by_an_update_and_its_policy_changes_while_it_runs(
    fabric: Fabric, room: Room
) -> None:
    await make(room, "lan")
    app = make_app(fabric, lambda _machines: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://weft") as http:

        async def patch(**changes: Any) -> Any:
            return (await http.patch("/v1/machines/web", json={"changes": changes})).json()

        assert set((await patch(elastic={"max_memory": 1 << 30}))["restart"]) == {"profile", "elastic"}
        await room.site.shelves.machines.save(find(room).with_(state=State.RUNNING))
        assert (await patch(elastic={"policy": {"mode": "auto"}}))["live"] == ["elastic"]
        error = (await patch(elastic={"max_memory": 2 << 30}))["error"]
        assert error["message"] == "machine 'web' would have to be restarted for another range"
        assert error["hint"] == "--restart-now does that"
        error = (await patch(memory=512 << 20, elastic={"max_memory": None}))["error"]
        assert error["hint"] == "--restart-now does that; within its range weft scale changes its size while it runs"
        assert find(room).spec.elastic == ElasticSpec(max_memory=1 << 30, policy=ElasticPolicy())
        error = (await patch(memory=16 << 20, elastic={"max_cpus": 65, "max_cpu": 2}))["error"]
        assert error["message"] == (
            "memory: must be at least 32M, not 16M; elastic.max_cpus: must be at most 64, not 65;"
            " elastic.max_cpu: unknown key"
        )
        assert "needs room to grow" in (await patch(elastic={"max_memory": None, "policy": {}}))["error"]["message"]


async def test_a_machine_that_cannot_have_what_its_image_needs_is_not_made(room: Room) -> None:
    with pytest.raises(Invalid) as caught:
        await make(room, "lan", elastic=ElasticSpec(max_memory=48 << 20))
    assert str(caught.value) == (
        "machine 'web': it may grow to 48M of memory, and its image needs 64M"
        " (raise the maximum, or say a smaller minimum)"
    )
    assert room.site.shelves.machines.find("web") is None
    await make(room, "lan", memory=32 << 20, elastic=ElasticSpec(max_memory=48 << 20))
