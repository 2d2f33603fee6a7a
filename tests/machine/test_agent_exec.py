"""Running programs in a machine: streams, flow control, terminals, users, and who owns a stream."""

import asyncio
import contextlib
import hashlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.machine.agent_machine import READY_TIMEOUT, SQUASHFS, boot, build_root

from weft.guest.agent import Agent
from weft.guest.config import GuestConfig
from weft.guest.connecting import open_agent
from weft.guest.protocol import WINDOW, ExitStatus
from weft.guest.streams import ExecStream
from weft.model.errors import Invalid, NoRoom, NotFound, Unavailable, WrongState

pytestmark = pytest.mark.machine

CONFIG = GuestConfig(hostname="exec", root=SQUASHFS, overlay="50%", env={"FROM": "image", "KEPT": "yes"})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("root"))


@pytest.fixture
async def path(tmp_path: Path, root: Path) -> AsyncIterator[Path]:
    async with boot(tmp_path, CONFIG, drives={"root": root}) as machine:
        yield machine.agent


@pytest.fixture
async def agent(path: Path) -> AsyncIterator[Agent]:
    async with open_agent(path, timeout=READY_TIMEOUT) as agent:
        yield agent


async def shell(agent: Agent, script: str, **options: object) -> ExecStream:
    return await agent.exec(["sh", "-c", script], **options)  # type: ignore[arg-type]


async def read_until(stream: ExecStream, marker: bytes, timeout: float = 20.0) -> bytes:
    seen = b""
    async with asyncio.timeout(timeout):
        while marker not in seen:
            seen += (await anext(stream))[1]
    return seen


async def test_streams_and_status(agent: Agent) -> None:
    stream = await shell(agent, "echo out; echo err >&2; exit 3")
    assert await stream.collect() == (ExitStatus(code=3), b"out\n", b"err\n")
    stream = await shell(agent, "kill -9 $$")
    assert await stream.collect() == (ExitStatus(signal=9), b"", b"")
    assert (await stream.wait()).shell_code == 137


async def test_environment_user_and_directory(agent: Agent) -> None:
    script = "echo $FROM $KEPT $NEW $HOME; pwd; id -u; id -G"
    stream = await shell(agent, script, env={"FROM": "host", "NEW": "a b"}, cwd="/mnt", user="web")
    status, out, err = await stream.collect()
    assert (status.code, err) == (0, b"")
    assert out.decode().splitlines() == ["host yes a b /srv", "/mnt", "33", "34 35"]
    stream = await shell(agent, "id -u; id -G", user="1234:www")
    assert (await stream.collect())[1] == b"1234\n34\n"


async def test_what_cannot_be_started_says_why(agent: Agent) -> None:
    with pytest.raises(NotFound, match="absent: No such file"):
        await agent.exec(["absent"])
    with pytest.raises(NotFound, match="/nowhere"):
        await agent.exec(["sh"], cwd="/nowhere")
    with pytest.raises(NotFound, match="nobody-knows"):
        await agent.exec(["sh"], user="nobody-knows")
    with pytest.raises(Invalid, match="/etc/passwd: Permission denied"):
        await agent.exec(["/etc/passwd"])
    with pytest.raises(Invalid, match="longer than"):
        await agent.exec(["sh", "-c", "x" * 9000])


async def test_standard_input_comes_back_whole(agent: Agent) -> None:
    data = bytes(range(256)) * 4096
    async with await agent.exec(["cat"], stdin=True) as stream:

        async def feed() -> None:
            await stream.write(data)
            stream.close_stdin()

        feeding = asyncio.create_task(feed())
        status, out, _ = await asyncio.wait_for(stream.collect(), 60)
        await feeding
    assert status.code == 0
    assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()


async def test_input_that_nobody_reads_stops_the_writer_and_nothing_else(agent: Agent) -> None:
    async with await agent.exec(["sleep", "60"], stdin=True) as stream:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.write(b"x" * (4 * WINDOW)), 1)
        assert await agent.ping() < 5
        stream.signal(signal.SIGTERM)
        assert await stream.wait() == ExitStatus(signal=15)
        with pytest.raises(WrongState):
            await stream.write(b"x")


async def test_input_after_its_reader_has_closed_it_is_thrown_away(agent: Agent) -> None:
    async with await shell(agent, "exec <&-; echo closed; sleep 60", stdin=True) as stream:
        await read_until(stream, b"closed")
        await asyncio.wait_for(stream.write(b"x" * (4 * WINDOW)), 20)


async def test_output_that_nobody_takes_stops_only_its_process(agent: Agent) -> None:
    async with await agent.exec(["cat", "/dev/zero"]) as slow:
        stream = await shell(agent, "seq 100000")
        status, out, _ = await asyncio.wait_for(stream.collect(), 60)
        assert (status.code, len(out)) == (0, sum(len(f"{n}\n") for n in range(1, 100001)))
        taken = 0
        async with asyncio.timeout(60):
            while taken < 4 * WINDOW:
                taken += len((await anext(slow))[1])


async def test_what_is_left_of_the_output_is_read_after_the_end(agent: Agent) -> None:
    stream = await shell(agent, "seq 20000; echo done >&2")
    _, out, err = await asyncio.wait_for(stream.collect(), 60)
    assert out.endswith(b"20000\n") and err == b"done\n"


async def test_a_grandchild_with_the_output_open_does_not_keep_the_stream_open(agent: Agent) -> None:
    stream = await shell(agent, "sleep 1000 & echo started")
    status, out, _ = await asyncio.wait_for(stream.collect(), 10)
    assert (status.code, out) == (0, b"started\n")


async def test_terminal(agent: Agent) -> None:
    async with await agent.exec(["sh"], tty=(30, 100), env={"PS1": "> "}) as stream:
        await stream.write(b"stty size; tty 2>/dev/null; echo $TERM\n")
        await read_until(stream, b"30 100")
        stream.resize(40, 120)
        await stream.write(b"stty size\n")
        await read_until(stream, b"40 120")
        await stream.write(b"sleep 1000\n")
        await read_until(stream, b"sleep 1000")
        # Once it runs, the shell has given it the terminal, and Ctrl-C reaches it.
        await (await shell(agent, "until ps | grep -q '[s]leep 1000'; do sleep 0.05; done")).collect()
        await stream.write(b"\x03")
        await stream.write(b"echo al'ive'\n")
        await read_until(stream, b"alive")
    assert (await stream.wait()).signal == 9


async def test_end_of_input_on_a_terminal_is_a_character(agent: Agent) -> None:
    async with await agent.exec(["cat"], tty=(24, 80)) as stream:
        await stream.write(b"line\n")
        await read_until(stream, b"line\r\nline\r\n")
        stream.close_stdin()
        assert await asyncio.wait_for(stream.wait(), 20) == ExitStatus(code=0)


async def test_many_at_once(agent: Agent) -> None:
    streams = [await shell(agent, f"read line; echo {n} $line", stdin=True) for n in range(128)]
    with pytest.raises(NoRoom):
        await shell(agent, "true")
    for stream in streams:
        await stream.write(b"hello\n")
    results = await asyncio.wait_for(asyncio.gather(*(stream.collect() for stream in streams)), 120)
    assert [out for _, out, _ in results] == [f"{n} hello\n".encode() for n in range(128)]


async def test_leaving_kills_and_the_number_is_free_again(agent: Agent) -> None:
    for _ in range(3):
        async with await agent.exec(["sleep", "1000"]) as stream:
            pass
        assert await stream.wait() == ExitStatus(signal=9)
    status, out, _ = await (await shell(agent, "ps | grep -c '[s]leep 1000'")).collect()
    assert (status.code, out) == (1, b"0\n")


async def test_cancelled_start_leaves_nothing(agent: Agent) -> None:
    for delay in (0, 0.001, 0.003, 0.01):
        task = asyncio.create_task(agent.exec(["sleep", "2000"]))
        await asyncio.sleep(delay)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await task).close()
    script = "while ps | grep -q '[s]leep 2000'; do sleep 0.05; done"
    assert (await asyncio.wait_for((await shell(agent, script)).collect(), 20))[0].code == 0


async def test_connection_that_ends_takes_its_processes_with_it_but_not_detached_ones(path: Path) -> None:
    async with open_agent(path, timeout=READY_TIMEOUT) as first:
        boot_id = first.ready.boot_id
        old = await first.exec(["sleep", "3000"])
        await first.exec(["cat", "/dev/zero"])
        detached = await first.exec(["sh", "-c", "echo to nobody; exec sleep 4000"], detached=True)
        assert detached.is_over
        with pytest.raises(NotFound):
            await first.exec(["absent"], detached=True)
    with pytest.raises(Unavailable):
        await old.wait()
    async with open_agent(path, timeout=READY_TIMEOUT) as second:
        assert second.ready.boot_id == boot_id
        # A process that was killed is still there for a moment; and so is a shell that becomes something else.
        gone = "while ps | grep -e '[s]leep 3000' -e '[c]at /dev'; do sleep 0.05; done"
        assert (await asyncio.wait_for((await shell(second, gone)).collect(), READY_TIMEOUT))[0].code == 0
        there = f"until ps | grep -q '^ *{detached.pid} .*[s]leep 4000'; do sleep 0.05; done"
        assert (await asyncio.wait_for((await shell(second, there)).collect(), READY_TIMEOUT))[0].code == 0


async def test_clock_is_set_when_it_is_off(path: Path) -> None:
    ahead = time.time_ns() + 3600 * 10**9
    async with open_agent(path, timeout=READY_TIMEOUT, wall_clock=lambda: ahead) as agent:
        _, out, _ = await (await shell(agent, "date +%s")).collect()
        assert 0 <= int(out) - ahead // 10**9 < 60
    async with open_agent(path, timeout=READY_TIMEOUT) as agent:
        before = time.time()
        _, out, _ = await (await shell(agent, "date +%s")).collect()
        assert before - 5 < int(out) < time.time() + 5


async def test_facts(agent: Agent) -> None:
    facts = await agent.facts()
    assert 30 << 20 < facts.memory_total < 64 << 20
    assert 0 < facts.memory_available < facts.memory_total
    assert facts.uptime_ns >= agent.ready.ready_ns
    assert facts.cpus_online == "0"
