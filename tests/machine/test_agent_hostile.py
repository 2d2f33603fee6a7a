"""A host that is broken or hostile must not bring process 1 down, and a lost connection must not block the next one."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.machine.agent_machine import READY_TIMEOUT, SQUASHFS, Machine, boot, build_root

from weft.guest.agent import Agent
from weft.guest.config import GuestConfig
from weft.guest.connecting import open_agent
from weft.guest.frames import PADDING, Frame, FrameParser, Kind, dump_frame
from weft.guest.protocol import (
    MAJOR,
    MINOR,
    WINDOW,
    ExecRequest,
    Hello,
    dump_exec,
    dump_hello,
    dump_u32,
    parse_error,
    parse_ready,
)
from weft.host.qemu import open_qmp
from weft.host.sockets import connect_unix

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("root"))


@pytest.fixture
def path(machine: Machine) -> Path:
    return machine.agent


@pytest.fixture
async def machine(tmp_path: Path, root: Path) -> AsyncIterator[Machine]:
    config = GuestConfig(root=SQUASHFS, overlay="50%")
    async with boot(tmp_path, config, drives={"root": root}) as machine:
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            boot_id = agent.ready.boot_id
        yield machine
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            assert agent.ready.boot_id == boot_id
            await check_well(agent)


async def check_well(agent: Agent) -> None:
    status, out, _ = await asyncio.wait_for((await agent.exec(["echo", "well"])).collect(), 20)
    assert (status.code, out) == (0, b"well\n")


async def pour(path: Path, *parts: bytes) -> None:
    """Sends bytes without ever reading, then hangs up."""
    reader, writer = await asyncio.open_unix_connection(path)
    for part in parts:
        writer.write(part)
        try:
            async with asyncio.timeout(3):
                await writer.drain()
        except TimeoutError:
            break  # the guest has stopped reading, as it should when its answers are not taken
    writer.transport.abort()
    del reader


def hello(nonce: bytes = b"n" * 16, major: int = MAJOR) -> bytes:
    return PADDING + dump_frame(Kind.HELLO, 0, dump_hello(Hello(nonce, major, MINOR, 0)))


async def test_noise(path: Path) -> None:
    noise = random.Random(1)
    await pour(path, *(noise.randbytes(5000) for _ in range(100)))
    await pour(path, hello(), *(noise.randbytes(5000) for _ in range(100)))


async def test_frames_of_every_kind_with_noise_in_them(path: Path) -> None:
    noise = random.Random(2)
    # SHUTDOWN may be right by chance, TIME always is: that is what a host may do.
    kinds = [kind for kind in range(256) if kind not in (Kind.SHUTDOWN, Kind.TIME)]
    frames = [
        dump_frame(noise.choice(kinds), noise.randrange(4), noise.randbytes(noise.randrange(60))) for _ in range(3000)
    ]
    await pour(path, hello(), *frames)


async def test_answers_that_are_not_taken(path: Path) -> None:
    await pour(path, hello(), *(dump_frame(Kind.PING, n, os.urandom(8192)) for n in range(300)))
    await pour(path, hello(), *(dump_frame(Kind.FACTS, n) for n in range(3000)))


async def test_more_processes_than_there_are_streams(path: Path) -> None:
    request = dump_exec(ExecRequest(["sleep", "1000"], {}, stdin=True))
    await pour(path, hello(), *(dump_frame(Kind.EXEC, n, request) for n in range(1, 400)))


async def test_hang_up_inside_every_part_of_a_frame(path: Path) -> None:
    """The rest of the frame must neither be waited for nor be run with zeros in place of what was lost."""
    request = dump_frame(Kind.EXEC, 1, dump_exec(ExecRequest(["sh", "-c", "echo ran > /tmp/ran"], {})))
    for cut in range(1, len(request), 5):
        await pour(path, hello(os.urandom(16)), request[:cut])
        async with open_agent(path, timeout=READY_TIMEOUT) as agent:
            await check_well(agent)
            assert (await (await agent.exec(["cat", "/tmp/ran"])).collect())[0].code == 1


async def test_more_input_than_the_window_allows_ends_the_stream(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(hello() + dump_frame(Kind.EXEC, 5, dump_exec(ExecRequest(["sleep", "1000"], {}, stdin=True))))
    for _ in range(WINDOW // 8192 + 20):
        writer.write(dump_frame(Kind.STDIN, 5, bytes(8192)))
    async with asyncio.timeout(20):
        error = await find_frame(reader, Kind.ERROR)
    assert "window" in parse_error(error).text
    writer.close()


async def test_credit_overflow_is_harmless(path: Path) -> None:
    flood = [dump_frame(Kind.WINDOW, 1, dump_u32(0xFFFFFFFF)) for _ in range(10)]
    await pour(path, hello(), dump_frame(Kind.EXEC, 1, dump_exec(ExecRequest(["cat", "/dev/zero"], {}))), *flood)


async def test_a_stranger_is_told_so(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(hello(major=MAJOR + 1))
    async with asyncio.timeout(20):
        parser, frames = FrameParser(), list[Frame]()
        while len(frames) < 2:
            frames += parser.feed(await reader.read(4096))
    assert parse_ready(frames[0].payload).major == MAJOR
    assert parse_error(frames[1].payload).text == f"the agent speaks protocol 1, the host 2.{MINOR}"
    writer.close()


async def find_frame(reader: asyncio.StreamReader, kind: Kind) -> bytes:
    parser = FrameParser()
    while True:
        for frame in parser.feed(await reader.read(4096)):
            if frame.kind == kind:
                return frame.payload


async def test_connections_that_come_and_go(path: Path) -> None:
    for _ in range(50):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        connection.close()
        await asyncio.sleep(0)


async def test_a_guest_that_was_not_told_of_a_connection(machine: Machine) -> None:
    """While the guest stands still it takes no messages, and QEMU drops those for which its queue has no room."""
    qmp = await open_qmp(machine.qmp)
    await qmp.pause()
    for _ in range(100):
        (await connect_unix(machine.agent, "the agent's socket")).close()
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(_open_and_check(machine))
        await asyncio.wait([opening], timeout=0.5)
        await qmp.resume()
    await qmp.close()


async def _open_and_check(machine: Machine) -> None:
    async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
        await check_well(agent)
