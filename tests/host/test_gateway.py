"""A network's gateway is a port: its links made, found again, and made of a bridge that was the gateway itself."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.outside import Machine, start_machine
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.ports import Ports
from weft.fabric.records.network import NetworkRecord
from weft.host.kernel_links import KernelLinks
from weft.host.namespace import Namespace
from weft.host.process import run
from weft.model.wiring import BYPASS_SLOT
from weft.plan.ruleset import RuledNetwork

pytestmark = pytest.mark.host
GATEWAY = "10.0.0.1"
RULED = RuledNetwork("g1", "10.0.0.0/29", GATEWAY)
ECHO = "import socket; s = socket.create_connection(('10.0.0.1', 80))\nwhile b := s.recv(9): s.send(b)"


@pytest.fixture
async def ports(links: KernelLinks, tmp_path: Path) -> AsyncIterator[tuple[Ports, NetworkRecord]]:
    async with open_paper_room(tmp_path / "paper") as room:
        yield Ports(replace(room.site, links=links)), room.site.shelves.networks.get("lan")


async def see(links: KernelLinks) -> dict[str, object]:
    """Everything about the links of a gateway that must not change."""
    found = {name: link for name, link in (await links.list_links()).items() if name[0] in "gn"}
    return {**found, **{name: await links.list_filters(name) for name in ("gp1", "gt1")}}


async def test_a_gateway_is_reached_through_its_port(
    namespace: Namespace, links: KernelLinks, ports: tuple[Ports, NetworkRecord]
) -> None:
    made, lan = ports
    await links.create_bridge("n1", mtu=1500, alias="weft network lan")
    await made.attach_gateway(lan)
    async with start_machine(namespace, links, RULED, 1) as machine:
        assert await machine.pings(GATEWAY) == "yes"
        assert lan.gateway_mac in await machine.run("ip", "neigh")
        await links.delete_filter("gp1", BYPASS_SLOT)
        assert await machine.pings(GATEWAY) == "no"
    await made.attach_gateway(lan)  # what is missing comes back,
    before = await see(links)
    await made.attach_gateway(lan)  # and what is there stays
    assert await see(links) == before
    await made.detach_gateway(lan)
    assert set(await links.list_links()) == {"lo", "n1"}


async def test_a_bridge_that_was_the_gateway_hands_that_on(
    namespace: Namespace, links: KernelLinks, ports: tuple[Ports, NetworkRecord]
) -> None:
    made, lan = ports
    for words in (
        f"link add n1 address {lan.gateway_mac} type bridge forward_delay 0 mcast_snooping 0",
        f"addr add {GATEWAY}/29 dev n1",
        "link set n1 up",
    ):
        await run(namespace.argv(["ip", *words.split()]))
    with await namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((GATEWAY, 80))
        listener.listen()
        listener.setblocking(False)
        async with start_machine(namespace, links, RULED, 1) as machine:
            talking = asyncio.create_task(machine.run(sys.executable, "-c", ECHO))
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            with connection:
                await exchange(connection, b"before")
                await made.attach_gateway(lan)
                await exchange(connection, b"after")
            await talking
            await expect_only_the_gateway(namespace, machine, lan)
    assert (await links.list_links())["n1"].mac != lan.gateway_mac


async def exchange(connection: socket.socket, words: bytes) -> None:
    """Say something to the echo at the other end of a connection, and hear it."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, words)
    async with asyncio.timeout(10):
        assert await loop.sock_recv(connection, 99) == words


async def expect_only_the_gateway(namespace: Namespace, machine: Machine, lan: NetworkRecord) -> None:
    """The gateway's link answers, with the MAC that everybody knows, and the bridge has no address any more."""
    await machine.run("ip", "neigh", "flush", "all")
    assert await machine.pings(GATEWAY) == "yes"
    assert lan.gateway_mac in await machine.run("ip", "neigh")
    assert GATEWAY not in (await run(namespace.argv(["ip", "addr", "show", "dev", "n1"]))).text
