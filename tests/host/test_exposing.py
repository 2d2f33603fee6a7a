"""Calls for the file tree at a gateway, in a namespace: who is heard, as whom, and until when."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.exposing import MOST, Exposing
from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.site import Site
from weft.host.namespace import Namespace
from weft.host.process import run
from weft.model.expose import ExposeSpec, TreePart, Visit
from weft.model.image import NicRole
from weft.model.machine import MachineSpec
from weft.plan.callers import GatewayPort
from weft.plan.ruleset import RuledNetwork, plan_ruleset

pytestmark = pytest.mark.host

GATEWAY, WEB, DB = "10.0.0.1", "10.0.0.2", "10.0.0.3"
LAN = RuledNetwork("g1", "10.0.0.0/29", GATEWAY)
ROOM, LOOK = ExposeSpec(part=TreePart.ROOM), ExposeSpec(part=TreePart.MACHINE, read_only=True)


async def tell(connection: socket.socket, visits: Sequence[Visit]) -> None:
    """Says who calls, and holds the line."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, (" ".join(map(str, visits)) + "\n").encode())
    await loop.sock_recv(connection, 1)


def record(name: str, slot: int, address: str, *expose: ExposeSpec, pinned: bool = True) -> MachineRecord:
    spec = MachineSpec(name=name, image="base", expose=expose)
    mac = f"52:57:00:00:00:0{slot}"
    nic = NicRecord(mac=mac, role=NicRole.LAN, network="lan", address=IPv4Address(address), pinned=pinned)
    return MachineRecord(spec=spec, slot=slot, uuid="", created=1.0, kernel="default", memory=1 << 26, nics=(nic,))


@pytest.fixture
async def site(namespace: Namespace, tmp_path: Path) -> AsyncIterator[Site]:
    """Where all addresses of the network are on its gateway's own link."""
    for command in (
        "link set lo up",
        "link add g1 type veth peer name gt1",
        *(f"addr add {address}/29 dev g1" for address in (GATEWAY, WEB, DB)),
        "link set g1 up",
        "link set gt1 up",
    ):
        await run(namespace.argv(["ip", *command.split()]))
    async with open_paper_room(tmp_path / "paper") as room:
        yield replace(room.site, namespace=namespace, receive=tell)


@asynccontextmanager
async def open_exposing(site: Site, *machines: MachineRecord) -> AsyncIterator[tuple[Ports, Exposing]]:
    for machine in machines:
        await site.shelves.machines.save(machine)
    ports = Ports(site)
    exposing = Exposing(site, ports)
    await ports.callers.load(lambda callers: plan_ruleset([LAN], callers=callers))
    try:
        yield ports, exposing
    finally:
        await site.tasks.cancel()


async def call(site: Site, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = await site.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((address, 0))
    sock.setblocking(False)
    async with asyncio.timeout(10):
        await asyncio.get_running_loop().sock_connect(sock, (GATEWAY, GatewayPort.TREE))
    return await asyncio.open_connection(sock=sock)


async def hear(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(10):
        try:
            return (await reader.readline()).decode().strip()
        except ConnectionError:
            return ""


async def test_who_was_given_something_is_heard_and_nobody_else(site: Site):
    web = record("web", 1, WEB, LOOK, ROOM)
    async with open_exposing(site, web, record("db", 2, DB)):
        reader, writer = await call(site, WEB)
        assert await hear(reader) == "default/web/machine:ro default/web/room"
        other, closing = await call(site, DB)
        assert await hear(other) == ""
        writer.close()
        closing.close()


async def test_a_call_ends_with_what_it_was_given_for(site: Site):
    web = record("web", 1, WEB, ROOM)
    async with open_exposing(site, web) as (ports, exposing):
        reader, writer = await call(site, WEB)
        assert await hear(reader) == "default/web/room"
        await exposing.sync()
        await site.shelves.machines.save(record("web", 1, WEB, LOOK))
        await ports.callers.sync()
        assert await hear(reader) == ""
        again, closing = await call(site, WEB)
        assert await hear(again) == "default/web/machine:ro"
        await exposing.on_end(web)
        assert await hear(again) == ""
        await site.shelves.machines.drop("web")
        await ports.callers.sync()
        with pytest.raises(ConnectionRefusedError):
            await call(site, WEB)
        writer.close()
        closing.close()


async def test_nobody_is_heard_where_anybody_could_be_him(site: Site):
    async with open_exposing(site, record("web", 1, WEB, ROOM), record("free", 2, DB, pinned=False)):
        reader, writer = await call(site, WEB)
        assert await hear(reader) == ""
        writer.close()


async def test_one_machine_does_not_take_all(site: Site):
    async with open_exposing(site, record("web", 1, WEB, ROOM)):
        calls = [await call(site, WEB) for _ in range(MOST + 1)]
        heard = [await hear(reader) for reader, _ in calls]
        assert heard == ["default/web/room"] * MOST + [""]
        for _, writer in calls:
            writer.close()
