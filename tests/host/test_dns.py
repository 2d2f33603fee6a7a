"""A network's name server: answers, hosts that change, adoption, and what is left of it."""

import asyncio
import signal
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.host.waiting import PATIENCE, wait_until

from weft.host.dns import (
    NameServer,
    dump_hosts,
    dump_servers,
    find_name_server,
    has_ended,
    plan_name_server,
    start_name_server,
)
from weft.host.kernel_links import KernelLinks
from weft.host.namespace import Namespace
from weft.host.records import write_record
from weft.host.sandbox import Identity
from weft.model.errors import Unavailable

pytestmark = pytest.mark.host
GATEWAY = "10.66.0.1"


async def look_up(namespace: Namespace, name: str) -> str | None:
    """The address of a name, as a machine would ask for it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    loop = asyncio.get_running_loop()
    with await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((GATEWAY, 53))
        await loop.sock_sendall(sock, struct.pack("!6H", 9, 256, 1, 0, 0, 0) + labels + b"\0\0\1\0\1")
        answer = await asyncio.wait_for(loop.sock_recv(sock, 512), PATIENCE)
    return socket.inet_ntoa(answer[-4:]) if answer[7] else None


async def start(namespace: Namespace, folder: Path, identity: Identity | None, **hosts: list[str]) -> NameServer:
    names = {"lan": hosts, "dmz": {"web": ["10.67.0.2"], "mail": ["10.67.0.3"]}}
    return await start_name_server(namespace, folder, network="lan", gateway=GATEWAY, names=names, identity=identity)


@pytest.fixture
async def server(
    namespace: Namespace, links: KernelLinks, tmp_path: Path, identity: Identity | None
) -> AsyncIterator[NameServer]:
    mac, addresses = "02:00:00:00:00:01", [f"{GATEWAY}/24"]
    await links.create_gateway("gt1", "g1", mtu=1500, alias="test", mac=mac, addresses=addresses)
    started = await start(namespace, tmp_path / "dns", identity, web=["10.66.0.2"])
    yield started
    await started.stop()


async def test_machines_are_known_by_both_names(namespace: Namespace, server: NameServer):
    assert await look_up(namespace, "web") == "10.66.0.2"
    assert await look_up(namespace, "web.lan") == "10.66.0.2"
    assert await look_up(namespace, "db.lan") is None


async def test_names_of_the_whole_room_are_known_those_of_the_own_network_first(
    namespace: Namespace, server: NameServer
):
    assert await look_up(namespace, "web.dmz") == "10.67.0.2"
    assert await look_up(namespace, "mail.dmz") == await look_up(namespace, "mail") == "10.67.0.3"
    assert await look_up(namespace, "mail.lan") is None
    assert await look_up(namespace, "missing.dmz") is None


async def test_nobody_outside_hears_of_a_rooms_names(namespace: Namespace, server: NameServer):
    """A network that comes later is the room's own from then on."""
    with await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.bind(("127.0.0.1", 0))
        outside.setblocking(False)
        await server.stop()
        port = outside.getsockname()[1]
        names: dict[str, dict[str, list[str]]] = {"lan": {}, "dmz": {}}
        again = await start_name_server(
            namespace, server.directory, network="lan", gateway=GATEWAY, names=names, resolver=f"127.0.0.1#{port}"
        )
        again.set_names("lan", {**names, "lan": {"db": ["10.66.0.3"]}, "new": {"web": ["10.68.0.2"]}})
        async with asyncio.timeout(PATIENCE):
            # The signal takes a moment, in which names of the new network are still asked for outside. Bare ones never.
            while await look_up(namespace, "db") != "10.66.0.3":
                pass
        assert await look_up(namespace, "web.new") == "10.68.0.2"
        for name in ("web", "web.lan", "web.dmz", "db.new", "missing"):
            await look_up(namespace, name)
        with pytest.raises(BlockingIOError):
            outside.recv(512)
        asked = asyncio.create_task(look_up(namespace, "example.org"))
        async with asyncio.timeout(PATIENCE):
            assert b"example" in await asyncio.get_running_loop().sock_recv(outside, 512)
        asked.cancel()
        await again.stop()


async def test_machines_come_and_go(namespace: Namespace, server: NameServer):
    server.set_names("lan", {"lan": {"db": ["10.66.0.3"]}})
    async with asyncio.timeout(PATIENCE):
        while await look_up(namespace, "db") != "10.66.0.3":  # the signal takes a moment
            pass
    assert await look_up(namespace, "web") is None


async def test_a_running_server_is_adopted_with_the_new_hosts(
    namespace: Namespace, server: NameServer, identity: Identity | None
):
    assert await start(namespace, server.directory, identity, db=["10.66.0.3"]) == server
    assert (server.directory / "served/hosts").read_text().startswith("10.66.0.3 db db.lan\n")


async def test_a_server_of_another_namespace_is_replaced(
    namespace: Namespace, server: NameServer, identity: Identity | None
):
    write_record(server.directory / "dns.json", server.process, namespace="1.1")
    other = await start(namespace, server.directory, identity, web=["10.66.0.9"])
    assert other != server
    assert not server.process.alive()
    assert await look_up(namespace, "web") == "10.66.0.9"
    await other.stop()


async def test_stopping_leaves_nothing(server: NameServer):
    children = server.process.children()
    await server.stop()
    assert not any(child.alive() for child in children)
    assert not server.directory.exists()
    assert find_name_server(server.directory) is None


async def test_its_death_is_told(namespace: Namespace, server: NameServer):
    for child in server.process.children():
        child.send(signal.SIGKILL)
    await asyncio.wait_for(server.servant.wait_end(), PATIENCE)
    assert has_ended(server.directory, namespace)
    assert server.servant.on_record


async def test_another_takes_the_place_of_one_whose_walls_were_killed(
    namespace: Namespace, server: NameServer, identity: Identity | None
):
    (program,) = server.process.children()
    ending = asyncio.create_task(server.servant.wait_end())
    record = server.directory / "dns.json"
    await wait_until(lambda: "program" in record.read_text(), PATIENCE)
    server.process.send(signal.SIGKILL)
    await asyncio.wait_for(ending, PATIENCE)
    assert program.alive()
    other = await start(namespace, server.directory, identity, web=["10.66.0.9"])
    assert not program.alive()
    assert await look_up(namespace, "web") == "10.66.0.9"
    await other.stop()


async def test_a_server_that_does_not_answer_is_told_and_goes(
    namespace: Namespace, tmp_path: Path, identity: Identity | None
):
    with pytest.raises(Unavailable, match=f"no name server at {GATEWAY}"):  # an address that is not there
        await start_name_server(
            namespace, tmp_path / "dns", network="lan", gateway=GATEWAY, names={}, identity=identity, timeout=0.3
        )
    assert not (tmp_path / "dns").exists()


def test_the_hosts_file():
    lan = {"web": ["10.0.0.2", "10.0.0.3"], "db": ["10.0.0.4"], "none": []}
    assert dump_hosts("lan", {"lan": lan}) == "10.0.0.4 db db.lan\n10.0.0.2 web web.lan\n10.0.0.3 web web.lan\n"
    dmz = {"web": ["10.1.0.2"], "mail": ["10.1.0.3"]}
    assert dump_hosts("lan", {"dmz": dmz, "lan": {"web": ["10.0.0.2"]}}) == (
        "10.0.0.2 web web.lan\n10.1.0.3 mail.dmz mail\n10.1.0.2 web.dmz\n"
    )
    assert dump_servers({"lan": lan, "dmz": dmz}) == "server=/dmz/\nserver=/lan/\n"


def test_only_a_network_with_an_uplink_asks_outside():
    assert not any(option.startswith("--server=") for option in plan_name_server("lan", GATEWAY, None))
    assert "--server=1.2.3.4" in plan_name_server("lan", GATEWAY, "1.2.3.4")
    assert {"--no-resolv", "--no-hosts", "--domain-needed"} <= set(plan_name_server("lan", GATEWAY, None))
