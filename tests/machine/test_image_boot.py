"""Images in machines of 64 MB: they come up, have room left, and do what they are for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.machine.agent_machine import READY_TIMEOUT, Machine, boot
from tests.machine.fabrics import PREPARED

from weft.guest.agent import Agent
from weft.guest.config import GuestConfig, GuestHost, GuestNic, GuestRoot
from weft.guest.connecting import open_agent
from weft.image.store import ImageStore
from weft.model.image import NicRole

pytestmark = pytest.mark.machine

ROOM_LEFT = 38 << 10
"""KiB that a machine of 64 MB must have to spare when its image is up: an overlay needs somewhere to write to."""

IMAGES = ("base", "web", "sniffer", "bench")
WEB_ADDRESS = "10.0.0.3"


def plan_config(name: str, address: str | None) -> tuple[GuestConfig, Path, list[str]]:
    images = ImageStore(PREPARED)
    image = images.get(name)
    macs = [f"52:54:00:00:{ord(name[0]):02x}:{number:02x}" for number in range(len(image.nics))]
    config = GuestConfig(
        hostname=image.name,
        root=GuestRoot("root", image.root_type),
        overlay="50%",
        nics=tuple(
            GuestNic(mac, nic.name, addresses=(f"{address}/24",) if address and nic.role is NicRole.LAN else ())
            for mac, nic in zip(macs, image.nics, strict=True)
        ),
        wires=((image.nics[0].name, image.nics[1].name),) if image.wire else (),
        hosts=(GuestHost(WEB_ADDRESS, "web"),),
        argv=image.entry.argv,
        env=image.entry.env,
        cwd=image.entry.cwd,
        user=image.entry.user,
        restart=image.entry.restart.value,
    )
    return config, images.root_path(image), macs


@asynccontextmanager
async def booted(tmp_path: Path, name: str, address: str | None = None) -> AsyncIterator[tuple[Machine, Agent]]:
    config, root, macs = plan_config(name, address)
    folder = tmp_path / name
    folder.mkdir()
    async with (
        boot(folder, config, drives={"root": root}, macs=macs) as machine,
        open_agent(machine.agent, timeout=READY_TIMEOUT) as agent,
    ):
        yield machine, agent


async def run(agent: Agent, script: str) -> str:
    async with await agent.exec(["/bin/sh", "-c", script]) as process:
        status, out, err = await process.collect()
    assert status.code == 0, (script, status, out, err)
    return out.decode()


async def wait_for_text(machine: Machine, text: str, timeout: float = 30.0) -> None:
    async with asyncio.timeout(timeout):
        while text not in machine.log():  # noqa: ASYNC110 (a file that another process writes)
            await asyncio.sleep(0.02)


async def available_kib(agent: Agent) -> int:
    return int(await run(agent, "awk '/MemAvailable/ { print $2 }' /proc/meminfo"))


@pytest.mark.parametrize("name", IMAGES)
async def test_64_megabytes_suffice(tmp_path: Path, name: str) -> None:
    async with booted(tmp_path, name) as (_machine, agent):
        assert await available_kib(agent) > ROOM_LEFT
        assert "overlay / overlay" in await run(agent, "cat /proc/mounts")
        assert (await run(agent, "mkdir /srv/new && echo kept > /srv/new/file && cat /srv/new/file")) == "kept\n"
        assert "some avg10" in await run(agent, "cat /proc/pressure/memory")


async def test_web_serves_its_pages_and_logs_requests(tmp_path: Path) -> None:
    async with booted(tmp_path, "web") as (machine, agent):
        await wait_for_text(machine, "server started")
        assert "It weaves" in await run(agent, "wget -q -O - http://127.0.0.1/")
        assert "healthy" in await run(agent, "wget -q -O - http://127.0.0.1/status.json")
        assert "404" in await run(agent, "wget -q -O - http://127.0.0.1/none 2>&1 || echo 404")
        await wait_for_text(machine, '"GET /status.json HTTP/1.1" 200')
        assert "www-data" in await run(agent, "ps -o user,comm | grep lighttpd")
        assert await available_kib(agent) > ROOM_LEFT


@asynccontextmanager
async def cable(left: Machine, left_nic: int, right: Machine, right_nic: int) -> AsyncIterator[None]:
    """Carries frames between NICs of two machines until the context is left."""

    async def carry(source: Machine, source_nic: int, target: Machine, target_nic: int) -> None:
        while True:
            frame = await asyncio.get_running_loop().sock_recv(source.nics[source_nic].test, 1 << 17)
            await target.send_frame(target_nic, frame)

    async with asyncio.TaskGroup() as tasks:
        both = [
            tasks.create_task(carry(left, left_nic, right, right_nic), name="to the right"),
            tasks.create_task(carry(right, right_nic, left, left_nic), name="to the left"),
        ]
        try:
            yield
        finally:
            for task in both:
                task.cancel()


async def test_sniffer_shows_the_requests_that_pass_through_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        client, client_agent = await stack.enter_async_context(booted(tmp_path, "base", "10.0.0.2"))
        sniffer, sniffer_agent = await stack.enter_async_context(booted(tmp_path, "sniffer"))
        web, _agent = await stack.enter_async_context(booted(tmp_path, "web", WEB_ADDRESS))
        await stack.enter_async_context(cable(client, 0, sniffer, 0))
        await stack.enter_async_context(cable(sniffer, 1, web, 0))
        await wait_for_text(web, "server started")
        argv = ["tcpdump", "-i", "eth0", "-n", "-l", "-A", "tcp port 80"]
        seen = ""
        async with await sniffer_agent.exec(argv) as tcpdump, asyncio.timeout(60):
            async for _stream, data in tcpdump:
                seen += data.decode(errors="replace")
                if "listening on" in seen:
                    break
            assert "Hello" in await run(client_agent, "wget -q -O - http://web/hello.html")
            async for _stream, data in tcpdump:
                seen += data.decode(errors="replace")
                if "HTTP/1.1 200 OK" in seen:
                    break
        assert "GET /hello.html HTTP/1.1" in seen
        assert "10.0.0.2" in seen and WEB_ADDRESS in seen
