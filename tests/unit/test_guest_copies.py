"""The host end of the agent with guests that are copies, are frozen, and go on behind another socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.test_guest_agent import CLOCK, Peer, connected, guest, path  # noqa: F401

from weft.guest import protocol as p
from weft.guest.becoming import Become, Gatherer, Told, become_id, dump_become
from weft.guest.config import GuestConfig, GuestFile
from weft.guest.config_text import dump_guest_config
from weft.guest.connecting import open_agent
from weft.guest.frames import MAX_PAYLOAD, PADDING, Kind, dump_frame
from weft.model.errors import Unavailable, WrongState

BECOME = Become(GuestConfig(hostname="copy", files=(GuestFile("/f", "x" * 20_000),)), bytes(range(32)))


async def take_become(peer: Peer) -> tuple[p.Hello, Told]:
    hello = p.parse_hello((await peer.receive(Kind.HELLO)).payload)
    gatherer, told = Gatherer(), None
    while told is None:
        told = gatherer.take((await peer.receive(Kind.BECOME)).payload)
    return hello, told


async def test_a_copy_is_told_who_it_is_in_one_go(path: Path) -> None:  # noqa: F811
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        first = await peer.reader.readexactly(8)
        seen.append(first)
        peer.frames += peer.parser.feed(first)
        hello, told = await take_become(peer)
        assert hello.becomes and (told.id, told.wall_ns) == (become_id(BECOME), CLOCK)
        assert told.text == dump_guest_config(BECOME.config)
        peer.answer(hello, hostname="copy")

    async with guest(path, script), open_agent(path, timeout=5, wall_clock=lambda: CLOCK, become=BECOME) as agent:
        assert (agent.ready.hostname, agent.ready.held) == ("copy", False)
    assert seen[0][:2] == b"W\x01", "padding before it"


async def test_a_machine_that_is_held_says_so_to_whoever_does_not_tell_it_who_it_is(path: Path) -> None:  # noqa: F811
    async def script(peer: Peer) -> None:
        peer.answer(p.parse_hello((await peer.receive(Kind.HELLO)).payload), held=True)

    async with guest(path, script), open_agent(path, timeout=5) as agent:
        assert agent.ready.held


async def test_held_is_not_ready_for_whoever_has_told_it(path: Path) -> None:  # noqa: F811
    async def script(peer: Peer) -> None:
        hello, _ = await take_become(peer)
        peer.answer(hello, hostname="", held=True)
        peer.answer(hello, hostname="copy")

    async with guest(path, script), open_agent(path, timeout=5, become=BECOME) as agent:
        assert agent.ready.hostname == "copy"


async def test_why_it_cannot_become_that(path: Path) -> None:  # noqa: F811
    async def script(peer: Peer) -> None:
        hello, _ = await take_become(peer)
        peer.answer(hello, held=True)
        peer.send(Kind.ERROR, 0, p.dump_error(p.AgentError(22, "line 2: unknown key")))
        peer.send(Kind.ERROR, 0, p.dump_error(p.AgentError(22, "again")))

    async with guest(path, script):
        with pytest.raises(Unavailable, match="in the machine: line 2: unknown key"):
            async with open_agent(path, timeout=5, become=BECOME):
                pass


async def test_a_copy_that_is_silent_is_told_again_with_padding(path: Path) -> None:  # noqa: F811
    async def script(peer: Peer) -> None:
        first = len(b"".join(dump_frame(Kind.BECOME, 0, piece) for piece in dump_become(BECOME, 0))) + 8 + 29
        await peer.reader.readexactly(first)
        assert await peer.reader.readexactly(len(PADDING)) == PADDING
        hello, _ = await take_become(peer)
        peer.answer(hello, hostname="late")

    async with guest(path, script), open_agent(path, timeout=5, become=BECOME) as agent:
        assert agent.ready.hostname == "late"


async def take_freeze(peer: Peer, errno: int = 0) -> None:
    frame = await peer.receive(Kind.FREEZE)
    peer.send(Kind.FREEZE, frame.stream, p.dump_u32(errno))


async def take_thaw(peer: Peer) -> None:
    frame = await peer.receive(Kind.THAW)
    peer.send(Kind.THAW, frame.stream, p.dump_u32(0))


async def test_nothing_is_sent_while_it_is_frozen(path: Path) -> None:  # noqa: F811
    order: list[Kind] = []
    done = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.take_exec()
        await take_freeze(peer)
        while len(order) < 3:
            for frame in peer.parser.feed(await peer.reader.read(4096)):
                order.append(Kind(frame.kind))
                if frame.kind == Kind.THAW:
                    peer.send(Kind.THAW, frame.stream, p.dump_u32(0))
        done.set()

    async with connected(path, script) as agent:
        stream = await agent.exec(["cat"], stdin=True)
        await agent.freeze()
        await stream.write(b"later")
        stream.signal(15)
        assert order == []
        await agent.thaw()
        await asyncio.wait_for(done.wait(), 5)
    assert order == [Kind.THAW, Kind.STDIN, Kind.SIGNAL]


async def test_what_cannot_be_frozen_goes_on(path: Path) -> None:  # noqa: F811
    async def script(peer: Peer) -> None:
        await take_freeze(peer, errno=11)
        await take_thaw(peer)
        ping = await peer.receive(Kind.PING)
        peer.send(Kind.PONG, ping.stream, ping.payload)

    async with connected(path, script) as agent:
        with pytest.raises(Unavailable, match="cannot be frozen"):
            await agent.freeze()
        assert await agent.ping() < 5


async def test_an_older_init_cannot_freeze(path: Path) -> None:  # noqa: F811
    async with guest(path, lambda peer: peer.welcome(minor=2)), open_agent(path, timeout=5) as agent:
        with pytest.raises(Unavailable, match="cannot freeze"):
            await agent.freeze()


@asynccontextmanager
async def successor() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Peer]]:
    """Our end of a second socket, and the guest's."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    peer = Peer(*await asyncio.open_unix_connection(sock=theirs))
    yield reader, writer, peer
    peer.writer.close()


@pytest.mark.parametrize("old", ["stands still", "has ended"])
async def test_a_conversation_goes_on_behind_another_socket(path: Path, old: str) -> None:  # noqa: F811
    """The output is cut in the middle of a frame, and the rest comes by the other socket."""
    output = dump_frame(Kind.STDOUT, 1, b"x" * MAX_PAYLOAD)
    sent = asyncio.Event()

    async def script(peer: Peer) -> None:
        assert (await peer.take_exec())[0] == 1
        await take_freeze(peer)
        peer.writer.write(output + output[:100])
        await peer.writer.drain()
        sent.set()
        if old == "has ended":
            peer.writer.close()

    async with connected(path, script) as agent, successor() as (reader, writer, peer):
        stream = await agent.exec(["yes"])
        await agent.freeze()
        await sent.wait()
        await agent.move_to(reader, writer)
        peer.writer.write(output[100:])
        thawing = asyncio.create_task(agent.thaw())
        await take_thaw(peer)
        await thawing
        peer.end(stream.number, p.ExitStatus(code=0))
        status, out, _ = await asyncio.wait_for(stream.collect(), 5)
        assert (status.code, out) == (0, b"x" * 2 * MAX_PAYLOAD)
        assert not agent.closed.done()


async def test_only_a_frozen_conversation_can_be_moved(path: Path) -> None:  # noqa: F811
    async with connected(path, lambda peer: peer.receive(Kind.EXEC)) as agent, successor() as (reader, writer, _):  # type: ignore[arg-type,return-value]
        with pytest.raises(WrongState):
            await agent.move_to(reader, writer)
        writer.close()


async def test_a_machine_that_ends_while_it_is_moved(path: Path) -> None:  # noqa: F811
    async def script(peer: Peer) -> None:
        await take_freeze(peer)

    async with connected(path, script) as agent, successor() as (reader, writer, peer):
        await agent.freeze()
        await agent.move_to(reader, writer)
        peer.writer.close()
        thawing = asyncio.create_task(agent.thaw())
        with pytest.raises(Unavailable):
            await asyncio.wait_for(thawing, 5)
        await asyncio.wait_for(agent.closed, 5)
        with pytest.raises(Unavailable):
            await agent.freeze()
