"""The host end of the agent against guests made here: slow, silent, strange and hostile ones."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from weft.guest import protocol as p
from weft.guest.agent import Agent
from weft.guest.commits import OnCommit
from weft.guest.connecting import open_agent
from weft.guest.frames import Frame, FrameParser, Kind, dump_frame
from weft.guest.opening import ReadyFinder
from weft.model.errors import Invalid, NoRoom, NotFound, Unavailable, WrongState

CLOCK = 1_700_000_000 * 10**9


@dataclass
class Peer:
    """One connection, seen from the guest."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    parser: FrameParser = field(default_factory=FrameParser)
    frames: list[Frame] = field(default_factory=list)

    async def receive(self, kind: Kind) -> Frame:
        """The next frame of this kind; those before it are passed over."""
        while True:
            while self.frames:
                frame = self.frames.pop(0)
                if frame.kind == kind:
                    return frame
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self.frames += self.parser.feed(data)

    def send(self, kind: int, stream: int, payload: bytes = b"") -> None:
        self.writer.write(dump_frame(kind, stream, payload))

    async def welcome(self, major: int = p.MAJOR, wall_ns: int = CLOCK, minor: int = p.MINOR) -> None:
        self.answer(p.parse_hello((await self.receive(Kind.HELLO)).payload), major, wall_ns, minor=minor)

    def answer(
        self,
        hello: p.Hello,
        major: int = p.MAJOR,
        wall_ns: int = CLOCK,
        *,
        minor: int = p.MINOR,
        hostname: str = "fake",
        held: bool = False,
    ) -> None:
        entry = p.EntryStatus("running", pid=7)
        ready = p.Ready(hello.nonce, major, minor, 1, 2, wall_ns, 128, p.WINDOW, entry, "boot", "6.1", hostname, held)
        self.send(Kind.READY, 0, p.dump_ready(ready))

    async def take_exec(self) -> tuple[int, p.ExecRequest]:
        frame = await self.receive(Kind.EXEC)
        self.send(Kind.STARTED, frame.stream, p.dump_u32(99))
        return frame.stream, p.parse_exec(frame.payload)

    def end(self, stream: int, status: p.ExitStatus) -> None:
        self.send(Kind.EXIT, stream, p.dump_exit(status))


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def guest(path: Path, script: Script) -> AsyncIterator[Path]:
    """A guest that follows the script and then keeps the connection open and silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError, ConnectionError):
            await script(Peer(reader, writer))
            await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield path
    finally:
        server.close()


@asynccontextmanager
async def connected(path: Path, script: Script) -> AsyncIterator[Agent]:
    async def welcome_and_go_on(peer: Peer) -> None:
        await peer.welcome()
        await script(peer)

    async with guest(path, welcome_and_go_on), open_agent(path, timeout=5, wall_clock=lambda: CLOCK) as agent:
        yield agent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent"


async def idle(peer: Peer) -> None:
    pass


async def test_ready_is_found_behind_the_rest_of_another_conversation(path: Path) -> None:
    async def script(peer: Peer) -> None:
        # The end of a frame, a frame that is whole, and the beginning of one whose length would swallow READY.
        peer.writer.write(b"rest" + dump_frame(Kind.EXIT, 1, b"x" * 5) + b"W\x06\x01\0\0\x20\0\0abc")
        await peer.welcome()

    async with guest(path, script), open_agent(path, timeout=5, wall_clock=lambda: CLOCK) as agent:
        assert agent.ready.hostname == "fake"
        assert agent.entry == p.EntryStatus("running", pid=7)


def test_ready_is_found_however_it_is_cut() -> None:
    nonce = os.urandom(16)
    ready = dump_frame(Kind.READY, 0, p.dump_ready(p.Ready(nonce, p.MAJOR, 0)))
    stream = b"W\x06noise" + nonce + b"more" + ready + b"tail"
    for size in (1, 2, 7, 24, 25, 1000):
        finder = ReadyFinder(nonce)
        found = b"".join(finder.feed(stream[at : at + size]) for at in range(0, len(stream), size))
        assert found == ready + b"tail"


async def test_hello_is_repeated_to_a_guest_that_boots(path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive(Kind.HELLO)
        await peer.receive(Kind.HELLO)
        await peer.welcome()

    async with guest(path, script), open_agent(path, timeout=10) as agent:
        assert agent.ready.boot_id == "boot"


async def test_a_detached_process_is_over_when_it_runs(path: Path) -> None:
    seen: list[p.ExecRequest] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        seen.append((await peer.take_exec())[1])

    async with guest(path, script), open_agent(path, timeout=5) as agent:
        stream = await agent.exec(["sleep", "9"], detached=True)
        assert (stream.pid, stream.is_over) == (99, True)
        assert await stream.collect() == (p.ExitStatus(code=0), b"", b"")
    assert seen == [p.ExecRequest(["sleep", "9"], {}, detached=True)]


async def test_the_entry_point_is_stream_zero(path: Path) -> None:
    seen: list[Frame] = []
    done = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        seen.append(await peer.receive(Kind.RESIZE))
        seen.append(await peer.receive(Kind.SIGNAL))
        done.set()

    async with guest(path, script), open_agent(path, timeout=5) as agent:
        agent.resize_console(24, 80)
        agent.signal_entry(15)
        with pytest.raises(Invalid, match="65 is not a signal"):
            agent.signal_entry(65)
        async with asyncio.timeout(5):
            await done.wait()
    assert seen == [Frame(Kind.RESIZE, 0, p.dump_resize(24, 80)), Frame(Kind.SIGNAL, 0, p.dump_u32(15))]


async def test_a_guest_that_never_answers(path: Path) -> None:
    async with guest(path, idle):
        with pytest.raises(Unavailable, match=r"no agent answered on .* within 0.3 s"):
            async with open_agent(path, timeout=0.3):
                pass


async def test_a_guest_that_was_not_told_of_a_connection_gets_another(path: Path) -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        if connections > 2:
            await peer.welcome()
        await idle(peer)

    async with guest(path, script), open_agent(path, timeout=5, patience=0.05) as agent:
        assert agent.ready.boot_id == "boot"
        assert connections == 3


async def test_a_guest_of_another_version(path: Path) -> None:
    async with guest(path, lambda peer: peer.welcome(major=9)):
        with pytest.raises(Unavailable, match="the agent speaks protocol 9, this is 1"):
            async with open_agent(path, timeout=5):
                pass


async def test_a_machine_that_ends_while_it_boots(path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive(Kind.HELLO)
        peer.writer.close()
        raise EOFError

    async with guest(path, script):
        with pytest.raises(Unavailable, match="ended before its agent was ready"):
            async with open_agent(path, timeout=5):
                pass


async def test_nobody_there(path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        async with open_agent(path, timeout=5):
            pass


async def test_a_full_queue_of_connections_is_waited_for_and_no_longer(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        with pytest.raises(Unavailable, match="no agent answered"):
            async with open_agent(path, timeout=0.2):
                pass


async def test_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    here = Path.cwd()
    os.chdir(directory)
    try:
        serving = guest(Path("agent"), lambda peer: peer.welcome())
        async with serving, open_agent(directory / "agent", timeout=5) as agent:
            assert agent.ready.hostname == "fake"
    finally:
        os.chdir(here)


async def test_the_clock_is_corrected_only_when_it_is_off(path: Path) -> None:
    seen: asyncio.Queue[Kind] = asyncio.Queue()

    def script(wall_ns: int) -> Script:
        async def run(peer: Peer) -> None:
            await peer.welcome(wall_ns=wall_ns)
            while not peer.frames:
                peer.frames += peer.parser.feed(await peer.reader.read(4096))
            seen.put_nowait(Kind(peer.frames[0].kind))

        return run

    for off, expected in ((4_000_000, Kind.PING), (-6_000_000, Kind.TIME), (10**12, Kind.TIME)):
        async with guest(path, script(CLOCK + off)), open_agent(path, timeout=5, wall_clock=lambda: CLOCK) as agent:
            with suppress(Unavailable):
                await agent.ping(timeout=0.05)
            assert await asyncio.wait_for(seen.get(), 5) == expected
        path.unlink()


async def test_entry_changes_are_reported(path: Path) -> None:
    gone = p.EntryStatus("exited", p.ExitStatus(code=1))

    async def script(peer: Peer) -> None:
        await peer.welcome()
        peer.send(Kind.ENTRY, 0, p.dump_entry(gone))

    heard: asyncio.Queue[p.EntryStatus] = asyncio.Queue()
    async with guest(path, script), open_agent(path, timeout=5, on_entry=heard.put_nowait) as agent:
        assert await asyncio.wait_for(heard.get(), 5) == gone == agent.entry


async def test_exec_and_its_output(path: Path) -> None:
    async def script(peer: Peer) -> None:
        stream, request = await peer.take_exec()
        assert (request.argv, request.env, request.cwd) == (["ls", "-l"], {"A": "b"}, "/srv")
        peer.send(Kind.STDOUT, stream, b"out")
        peer.send(Kind.STDERR, stream, b"err")
        peer.end(stream, p.ExitStatus(code=2))

    async with connected(path, script) as agent:
        stream = await agent.exec(["ls", "-l"], env={"A": "b"}, cwd="/srv")
        assert stream.pid == 99
        assert [chunk async for chunk in stream] == [("stdout", b"out"), ("stderr", b"err")]
        assert await stream.wait() == p.ExitStatus(code=2)
        with pytest.raises(WrongState):
            await stream.write(b"late")


async def test_exec_that_fails_in_the_guest(path: Path) -> None:
    async def script(peer: Peer) -> None:
        frame = await peer.receive(Kind.EXEC)
        peer.send(Kind.ERROR, frame.stream, p.dump_error(p.AgentError(2, "x: No such file or directory")))

    async with connected(path, script) as agent:
        with pytest.raises(NotFound, match="in the machine: x: No such file"):
            await agent.exec(["x"])


async def test_output_is_credited_as_it_is_taken_and_not_before(path: Path) -> None:
    credited: asyncio.Queue[int] = asyncio.Queue()

    async def script(peer: Peer) -> None:
        stream, _ = await peer.take_exec()
        for _ in range(p.WINDOW // 8192):
            peer.send(Kind.STDOUT, stream, bytes(8192))
        while True:
            credited.put_nowait(p.parse_u32(Kind.WINDOW, (await peer.receive(Kind.WINDOW)).payload))

    async with connected(path, script) as agent:
        stream = await agent.exec(["x"])
        await anext(stream)
        assert credited.empty()
        for _ in range(p.WINDOW // 8192 - 1):
            await anext(stream)
        assert sum([await asyncio.wait_for(credited.get(), 5) for _ in range(4)]) == p.WINDOW


async def test_a_guest_that_ignores_the_window_loses_its_connection(path: Path) -> None:
    async def script(peer: Peer) -> None:
        stream, _ = await peer.take_exec()
        for _ in range(p.WINDOW // 8192 + 1):
            peer.send(Kind.STDOUT, stream, bytes(8192))

    async with connected(path, script) as agent:
        stream = await agent.exec(["x"])
        await asyncio.wait_for(agent.closed, 5)
        with pytest.raises(Unavailable, match="more output than the window"):
            await stream.wait()
        with pytest.raises(Unavailable, match="has ended"):
            await agent.ping()


@pytest.mark.parametrize("kind", [Kind.EXIT, Kind.STARTED, Kind.ERROR, Kind.WINDOW])
async def test_malformed_frames_end_the_connection(path: Path, kind: Kind) -> None:
    async def script(peer: Peer) -> None:
        stream, _ = await peer.take_exec()
        peer.send(kind, stream, b"xyz")

    async with connected(path, script) as agent:
        stream = await agent.exec(["x"])
        with pytest.raises(Unavailable, match=f"malformed {kind.name}"):
            await asyncio.wait_for(stream.wait(), 5)


async def test_frames_nobody_asked_for_are_passed_over(path: Path) -> None:
    async def script(peer: Peer) -> None:
        for kind in (Kind.STDOUT, Kind.EXIT, Kind.FACTS, Kind.PONG, Kind.HELLO, 77, 0):
            peer.send(kind, 1234, b"x")
        ping = await peer.receive(Kind.PING)
        peer.send(Kind.PONG, ping.stream, ping.payload)

    async with connected(path, script) as agent:
        assert await agent.ping() < 5


async def test_input_waits_for_credit(path: Path) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        stream, _ = await peer.take_exec()
        data = b""
        while len(data) < p.WINDOW:
            data += (await peer.receive(Kind.STDIN)).payload
        peer.send(Kind.WINDOW, stream, p.dump_u32(10))
        while len(data) < p.WINDOW + 10:
            data += (await peer.receive(Kind.STDIN)).payload
        received.set_result(data)

    async with connected(path, script) as agent:
        stream = await agent.exec(["x"], stdin=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.write(bytes(p.WINDOW + 50)), 0.3)
        assert len(await asyncio.wait_for(received, 5)) == p.WINDOW + 10


async def test_a_start_that_takes_too_long_is_killed(path: Path) -> None:
    killed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.receive(Kind.EXEC)
        killed.set_result(p.parse_u32(Kind.SIGNAL, (await peer.receive(Kind.SIGNAL)).payload))

    async with connected(path, script) as agent:
        with pytest.raises(Unavailable, match="did not start it within"):
            await agent.exec(["x"], timeout=0.1)
        assert await asyncio.wait_for(killed, 5) == 9


async def test_streams_are_bounded(path: Path) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.take_exec()

    async with connected(path, script) as agent:
        numbers = {(await agent.exec(["x"])).number for _ in range(p.MAX_STREAMS)}
        assert len(numbers) == p.MAX_STREAMS and 0 not in numbers
        with pytest.raises(NoRoom):
            await agent.exec(["x"])


async def test_a_connection_that_breaks_fails_everything_that_waits(path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.take_exec()
        await peer.receive(Kind.FACTS)
        peer.writer.transport.abort()

    async with connected(path, script) as agent:
        stream = await agent.exec(["x"])
        with pytest.raises(Unavailable):
            await agent.facts(timeout=5)
        with pytest.raises(Unavailable):
            await stream.wait()
        with pytest.raises(Unavailable):
            await anext(stream)
        await asyncio.wait_for(agent.closed, 5)


async def test_questions_have_a_time_limit(path: Path) -> None:
    async with connected(path, idle) as agent:
        with pytest.raises(Unavailable, match=r"did not answer within 0\.05 s"):
            await agent.facts(timeout=0.05)


async def test_facts_that_make_no_sense(path: Path) -> None:
    async def script(peer: Peer) -> None:
        frame = await peer.receive(Kind.FACTS)
        peer.send(Kind.FACTS, frame.stream, b"load none")

    async with connected(path, script) as agent:
        with pytest.raises(Unavailable, match="malformed FACTS"):
            await agent.facts()


async def test_signals_have_numbers(path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.take_exec()

    async with connected(path, script) as agent:
        stream = await agent.exec(["x"])
        with pytest.raises(Invalid):
            stream.signal(99)
        stream.fail(Unavailable("over"))


async def test_a_reason_and_kills_for_want_of_memory_belong_to_the_entry_point(path: Path) -> None:
    seen: list[p.EntryStatus] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        peer.send(Kind.OOM, 0, p.dump_u32(2))
        peer.send(Kind.REASON, 0, p.dump_reason("/x: not there"))
        peer.send(Kind.ENTRY, 0, p.dump_entry(p.EntryStatus("exited", p.ExitStatus(code=127))))
        peer.send(Kind.ENTRY, 0, p.dump_entry(p.EntryStatus("running", pid=8)))
        peer.writer.write_eof()

    async with guest(path, script), open_agent(path, timeout=5, on_entry=seen.append) as agent:
        await agent.closed
    assert seen == [
        p.EntryStatus("running", pid=7, oom_kills=2),
        p.EntryStatus("exited", p.ExitStatus(code=127), reason="/x: not there", oom_kills=2),
        p.EntryStatus("running", pid=8, oom_kills=2),
    ]


async def commit(path: Path, pieces: list[bytes], on_commit: OnCommit | None) -> str | None:
    """What the guest is told after it has sent these pieces."""
    answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        for piece in [*pieces, b""]:
            peer.send(Kind.COMMIT, 3, piece)
        frame = await peer.receive(Kind.COMMITTED)
        assert frame.stream == 3
        answer.set_result(p.parse_committed(frame.payload))

    async with guest(path, script), open_agent(path, timeout=5, on_commit=on_commit) as agent:
        both: list[asyncio.Future[Any]] = [answer, agent.closed]
        done, _ = await asyncio.wait(both, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert answer in done, "the connection has ended"
        return await answer


async def test_a_commit_is_accepted_or_refused(path: Path) -> None:
    texts: list[str] = []

    async def keep(text: str) -> None:
        texts.append(text)
        if "bad" in text:
            raise Invalid("that is bad")

    assert await commit(path, [b"hostname = ", '"wëft"'.encode()], keep) is None
    assert await commit(path, [b"bad"], keep) == "that is bad"
    assert await commit(path, [b"\xff"], keep) == "not UTF-8 text"
    assert texts == ['hostname = "wëft"', "bad"]
    assert await commit(path, [b"x"], None) == "nothing of this machine is kept"
    assert await commit(path, [b"x" * 8192] * 8, keep) is None


@pytest.mark.parametrize("pieces", [[b"x" * 8192] * 9, [b"x"]])
async def test_a_commit_that_breaks_the_rules_ends_the_connection(path: Path, pieces: list[bytes]) -> None:
    async def script(peer: Peer) -> None:
        for number, piece in enumerate(pieces):
            peer.send(Kind.COMMIT, 3, piece)
            if len(pieces) == 1:
                peer.send(Kind.COMMIT, 4 + number, piece)

    async with connected(path, script) as agent, asyncio.timeout(10):
        await agent.closed
