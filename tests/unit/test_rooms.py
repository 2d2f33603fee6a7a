"""Rooms on paper: equal names side by side, routes for each, removal, adoption, and the logs of all machines."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import OF_A_ROOM, make_app
from weft.fabric.fabric import Fabric
from weft.fabric.logreading import Wanted
from weft.fabric.records.volume import VolumeRecord
from weft.fabric.roomlogs import follow_logs, read_logs
from weft.fabric.rooms import ROOM_BLOCKS
from weft.model.errors import Exists, Invalid, NotFound, Unavailable, WrongState
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.room import RoomSpec, RoomView
from weft.model.volume import VolumeSpec


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    async with open_paper_fabric(tmp_path / "home") as opened:
        yield opened


async def make(fabric: Fabric, room: str, name: str) -> None:
    spec = MachineSpec(name=name, image="base", nics=(NicSpec(network="lan"),))
    await fabric.room(room).machines.create(spec)


@asynccontextmanager
async def open_http(fabric: Fabric) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(fabric, lambda _machines: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
        yield http


async def test_equal_names_and_addresses_in_two_rooms(fabric: Fabric) -> None:
    for name in ("acme", "bolt"):
        await fabric.rooms.create(RoomSpec(name=name))
        await make(fabric, name, "web")
    acme, bolt = (fabric.room(name).site for name in ("acme", "bolt"))
    one, other = (site.shelves.machines.get("web") for site in (acme, bolt))
    assert (one.slot, one.nics[0].address) == (other.slot, other.nics[0].address)
    assert one.uuid != other.uuid
    assert one.nics[0].mac != other.nics[0].mac
    assert acme.layout.machine("web").folder != bolt.layout.machine("web").folder
    assert fabric.default.site.shelves.machines.find("web") is None
    assert [room.site.room for room in fabric.rooms] == ["default", "acme", "bolt"]


async def test_no_two_rooms_share_user_ids(fabric: Fabric) -> None:
    for number in range(20):
        await fabric.rooms.create(RoomSpec(name=f"r{number}"))
    blocks = [record.block for record in fabric.rooms.records()]
    assert len(set(blocks)) == 21
    assert blocks[0] == 0x0BADCAFE % 4096
    assert set(blocks[1:]) <= set(ROOM_BLOCKS)
    last = fabric.default.site.settings.uid_base + (ROOM_BLOCKS[-1] + 1) * 4096
    assert last < 1 << 31


async def test_a_room_has_one_name(fabric: Fabric) -> None:
    await fabric.rooms.create(RoomSpec(name="acme"))
    for name in ("acme", "default"):
        with pytest.raises(Exists):
            await fabric.rooms.create(RoomSpec(name=name))
    with pytest.raises(NotFound, match="does not exist") as refused:
        fabric.room("zebra")
    assert refused.value.hint == "weft room create zebra"
    with pytest.raises(NotFound) as refused:
        fabric.room("acmee")
    assert refused.value.hint == "did you mean acme?"


async def test_a_room_that_is_not_empty_is_only_removed_with_what_it_has(fabric: Fabric) -> None:
    await fabric.rooms.create(RoomSpec(name="acme"))
    await make(fabric, "acme", "web")
    home = fabric.room("acme").site.layout.home
    await fabric.room("acme").site.shelves.volumes.save(_volume("data"))
    with pytest.raises(WrongState, match="has machines: web"):
        await fabric.rooms.remove("acme", volumes=True)
    with pytest.raises(WrongState, match="has volumes: data"):
        await fabric.rooms.remove("acme", force=True)
    assert fabric.room("acme").site.shelves.machines.find("web")
    await fabric.rooms.remove("acme", force=True, volumes=True)
    assert not home.exists()
    assert await fabric.shared.store.list("rooms/acme") == []
    with pytest.raises(NotFound):
        fabric.room("acme")
    with pytest.raises(Invalid, match="always there"):
        await fabric.rooms.remove("default", force=True)


def _volume(name: str) -> VolumeRecord:
    return VolumeRecord(spec=VolumeSpec(name=name), created=1.0)


async def test_rooms_are_there_again_after_a_restart(tmp_path: Path) -> None:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        await fabric.rooms.create(RoomSpec(name="acme", description="a customer"))
        await make(fabric, "acme", "web")
        await fabric.rooms.note("acme", file="/srv/acme.yaml", applied='{"a": 1}')
        before = fabric.rooms.record("acme")
    async with open_paper_fabric(tmp_path / "home") as fabric:
        assert fabric.rooms.record("acme") == before
        assert [machine.name for machine in fabric.room("acme").site.shelves.machines] == ["web"]
        view = fabric.rooms.view(before)
        assert (view.machines, view.running, view.networks, view.file) == (1, 0, ["lan"], "/srv/acme.yaml")


async def test_a_removal_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        await fabric.rooms.create(RoomSpec(name="acme"))
        await make(fabric, "acme", "web")
        record = fabric.rooms.record("acme").with_(removing=True)
        await fabric.shared.store.put("rooms/acme", record.model_dump_json().encode())
    async with open_paper_fabric(tmp_path / "home") as fabric:
        async with asyncio.timeout(10):
            async for event in fabric.shared.events.follow(0):
                if event.kind == "room.removed":
                    break
        with pytest.raises(NotFound):
            fabric.rooms.record("acme")
        assert not (tmp_path / "home" / "rooms" / "acme").exists()


async def test_a_broken_room_holds_up_no_other(tmp_path: Path) -> None:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        for name in ("acme", "bolt"):
            await fabric.rooms.create(RoomSpec(name=name))
            await make(fabric, name, "web")
    machines = tmp_path / "home" / "rooms" / "acme" / "machines"
    machines.rename(machines.with_name("elsewhere"))
    machines.write_text("no folder")
    async with open_paper_fabric(tmp_path / "home") as fabric:
        assert fabric.room("bolt").site.shelves.machines.get("web")
        with pytest.raises(Unavailable, match="could not be opened"):
            fabric.room("acme")
        assert fabric.rooms.view(fabric.rooms.record("acme")).broken
        assert [event.subject for event in fabric.shared.events.since(0) if event.kind == "adoption.failed"] == ["acme"]
        # Its machines are not forgotten: what they boot stays.
        with pytest.raises(WrongState, match="acme:web, bolt:web"):
            fabric.images.remove("base")


async def test_routes_are_there_for_each_room(fabric: Fabric) -> None:
    async with open_http(fabric) as http:
        made = await http.post("/v1/rooms", json={"name": "acme", "description": "a customer"})
        assert made.status_code == 201
        RoomView.model_validate(made.json())
        spec = {"name": "web", "image": "base", "nics": [{"network": "lan"}]}
        body = {"spec": spec, "start": False}
        assert (await http.post("/v1/rooms/acme/machines", json=body)).json()["room"] == "acme"
        assert (await http.post("/v1/machines", json=body)).json()["room"] == "default"
        listed = (await http.get("/v1/rooms/acme/machines?all=true")).json()
        assert [(view["room"], view["name"]) for view in listed] == [("acme", "web")]
        listed = (await http.get("/v1/machines?all=true&all_rooms=true")).json()
        assert [(view["room"], view["name"]) for view in listed] == [("default", "web"), ("acme", "web")]
        listed = (await http.get("/v1/networks?all_rooms=true")).json()
        assert [(view["room"], view["name"]) for view in listed] == [("default", "lan"), ("acme", "lan")]
        assert (await http.get("/v1/rooms/default/machines/web")).json()["room"] == "default"
        assert [view["name"] for view in (await http.get("/v1/rooms")).json()] == ["default", "acme"]
        for path in ("/v1/rooms/nobody", "/v1/rooms/nobody/machines", "/v1/rooms/nobody/events"):
            assert (await http.get(path)).json()["error"]["hint"] == "weft room create nobody"
        refused = await http.delete("/v1/rooms/acme")
        assert refused.json()["error"]["code"] == "wrong-state"
        assert (await http.delete("/v1/rooms/acme?force=true")).status_code == 204
        assert (await http.get("/v1/machines/web")).status_code == 200


async def test_every_route_of_a_room_is_there_twice_and_listed_once(fabric: Fabric) -> None:
    paths = {f"/v1{route.path}" for module in OF_A_ROOM for route in module.router.routes}
    async with open_http(fabric) as http:
        document = (await http.get("/openapi.json")).json()["paths"]
        assert [path for path in document if path.startswith("/v1/rooms/{room}")] == []
        for path, methods in document.items():
            for method in methods if path in paths else ():
                again = "/v1/rooms/nobody" + re.sub(r"{.*?}", "x", path.removeprefix("/v1"))
                answer = await http.request(method, again)
                assert answer.json()["error"]["hint"] == "weft room create nobody", (method, again)


async def test_events_are_those_of_the_room(fabric: Fabric) -> None:
    await fabric.rooms.create(RoomSpec(name="acme"))
    await make(fabric, "acme", "web")
    await make(fabric, "default", "db")
    fabric.shared.events.publish("image.added", "nginx", "image nginx was pulled")

    async with open_http(fabric) as http:

        async def subjects(path: str) -> list[str]:
            text = (await http.get(path)).text
            return [line.split('"subject": "')[1].split('"')[0] for line in text.splitlines() if "data:" in line]

        assert await subjects("/v1/events") == ["db", "nginx"]
        assert await subjects("/v1/rooms/acme/events") == ["acme", "web", "nginx"]
        assert await subjects("/v1/events?all_rooms=true") == ["acme", "web", "db", "nginx"]


async def write_log(fabric: Fabric, name: str, text: str) -> None:
    path = fabric.default.site.layout.machine(name).log
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


async def test_logs_of_all_machines(fabric: Fabric) -> None:
    for name in ("web", "db"):
        await make(fabric, "default", name)
        await write_log(fabric, name, f"{name} one\n{name} two\nrest")

    async def read(**wanted: Any) -> list[tuple[str, bytes]]:
        return [line async for line in read_logs(fabric.default.site, Wanted(**wanted))]

    lines = await read()
    assert sorted(lines) == [(name, text) for name in ("db", "web") for text in sorted(
        (f"{name} one\n".encode(), f"{name} two\n".encode(), b"rest"))]  # fmt: skip
    assert [text for name, text in lines if name == "db"] == [b"db one\n", b"db two\n", b"rest"]
    assert sorted(await read(tail=1)) == [("db", b"rest"), ("web", b"rest")]
    assert all(text.startswith(b"20") for _, text in await read(timestamps=True))
    async with open_http(fabric) as http:
        assert "db\tdb one\n" in (await http.get("/v1/logs")).text


async def test_logs_are_followed_by_machines_that_come_later(fabric: Fabric) -> None:
    gone = False
    seen: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def follow() -> None:
        async for line in follow_logs(fabric.default.site, Wanted(), lambda: gone):
            seen.put_nowait(line)

    async def next_line() -> tuple[str, bytes]:
        async with asyncio.timeout(10):
            return await seen.get()

    async def run(name: str, started: float) -> None:
        shelf = fabric.default.site.shelves.machines
        await shelf.save(shelf.get(name).with_(state=State.RUNNING, started=started))

    await make(fabric, "default", "web")
    await write_log(fabric, "web", "before\n")
    await run("web", 1.0)
    following = asyncio.create_task(follow())
    assert await next_line() == ("web", b"before\n")
    await write_log(fabric, "web", "after\n")
    assert await next_line() == ("web", b"after\n")
    await make(fabric, "default", "db")
    await write_log(fabric, "db", "hello\n")
    await run("db", 2.0)
    assert await next_line() == ("db", b"hello\n")
    fabric.default.site.layout.machine("web").log.unlink()  # started again: the log begins anew
    await run("web", 3.0)
    await write_log(fabric, "web", "again\n")
    assert await next_line() == ("web", b"again\n")
    gone = True
    async with asyncio.timeout(10):
        await following
