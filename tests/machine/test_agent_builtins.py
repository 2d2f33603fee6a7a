"""Programs inside the init, in an image that has nothing but one static program; and commits."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.machine.agent_machine import READY_TIMEOUT, SQUASHFS, boot, build_image, find_busybox

from weft.guest.agent import Agent
from weft.guest.config import GuestConfig
from weft.guest.connecting import open_agent
from weft.guest.protocol import ExitStatus, MachineEvent
from weft.guest.streams import ExecStream
from weft.model.errors import Invalid, NotFound, WrongState

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No /etc, no /dev, no shell by its name."""
    return build_image(tmp_path_factory.mktemp("scratch"), {"busybox": (0o755, find_busybox())})


class Keeper:
    """What a host does with a commit."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, text: str) -> None:
        self.texts.append(text)
        if "no" in text:
            raise Invalid("there is no such setting")


@pytest.fixture
async def path(tmp_path: Path, scratch: Path) -> AsyncIterator[Path]:
    config = GuestConfig(hostname="scratch", root=SQUASHFS, overlay="50%", argv=("/busybox", "sleep", "600"))
    async with boot(tmp_path, config, drives={"root": scratch}) as machine:
        yield machine.agent


async def builtin(
    agent: Agent, *argv: str, data: bytes | None = None, user: str | None = None
) -> tuple[int | None, bytes, bytes]:
    async with await agent.exec(argv, builtin=True, stdin=data is not None, user=user) as process:
        feed = asyncio.create_task(_feed(process, data)) if data is not None else None
        status, out, err = await process.collect()
        if feed:
            await feed
    return status.code, out, err


async def _feed(process: ExecStream, data: bytes) -> None:
    with suppress(WrongState):  # one that complains of its arguments has ended before it reads
        await process.write(data)
        process.close_stdin()


async def test_everything_without_any_tool(path: Path) -> None:
    """One machine for all of it: a boot costs more than a test."""
    async with open_agent(path, timeout=READY_TIMEOUT) as agent:
        assert agent.entry.state == "running"
        await check_copies(agent)
        await check_facts(agent)
        with pytest.raises(NotFound):
            await agent.exec(["nonsense"], builtin=True)


async def check_copies(agent: Agent) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in {"a/b/small": b"x", "big": bytes(range(256)) * 4096}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.mtime = len(content), 0o640, 12, 1_000_000_000
            archive.addfile(member, io.BytesIO(content))
    status, _, err = await builtin(agent, "tar-extract", "/", data=out.getvalue())
    assert (status, err) == (0, b"")
    status, data, err = await builtin(agent, "tar-create", "/", "a", "big")
    assert (status, err) == (0, b"")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert sorted(archive.getnames()) == ["a", "a/b", "a/b/small", "big"]
        big = archive.getmember("big")
        assert (big.mode, big.uid, big.mtime, big.size) == (0o640, 12, 1_000_000_000, 1 << 20)
        read = archive.extractfile(big)
        assert read and read.read() == bytes(range(256)) * 4096
    status, data, err = await builtin(agent, "tar-create", "/", "proc", "dev")
    assert status == 0 and len(data) <= 8192 and not err  # only the folders themselves
    assert (await builtin(agent, "tar-extract", "/absent", data=b""))[0] == 2
    assert (await builtin(agent, "tar-extract", "/", data=b"x" * 100_000))[0] == 2
    status, _, err = await builtin(agent, "tar-extract", "/", data=out.getvalue(), user="1000")
    assert status == 1 and b"Permission denied" in err


async def check_facts(agent: Agent) -> None:
    status, out, _ = await builtin(agent, "stat", "/a/b")
    assert status == 0 and b"type folder\n" in out and b"real /a/b\n" in out
    assert (await builtin(agent, "stat", "/absent"))[0] == 1
    assert await builtin(agent, "hostname", "other") == (0, b"", b"")
    async with await agent.exec(["/busybox", "cat", "/etc/hostname", "/proc/sys/kernel/hostname"]) as process:
        assert (await process.collect())[1] == b"other\nother\n"
    assert (await builtin(agent, "hostname", "a b"))[0] == 2
    status, out, _ = await builtin(agent, "processes")
    rows = [line.split(b" ") for line in out.splitlines()]
    assert status == 0 and {row[8] for row in rows} >= {b"/init", b"/busybox%20sleep%20600"}
    assert b"2" not in {row[1] for row in rows}  # the kernel's own


async def test_commits(path: Path) -> None:
    keeper = Keeper()
    exe = "/proc/1/exe"

    async def commit(agent: Agent, text: str, user: str | None = None) -> tuple[ExitStatus, bytes, bytes]:
        async with await agent.exec([exe, "commit"], stdin=True, user=user) as process:
            await process.write(text.encode())
            process.close_stdin()
            return await process.collect()

    async with open_agent(path, timeout=READY_TIMEOUT, on_commit=keeper) as agent:
        assert await commit(agent, "a = 1") == (ExitStatus(code=0), b"", b"")
        refused = (ExitStatus(code=1), b"", b"commit: refused: there is no such setting\n")
        assert await commit(agent, "no = 1") == refused
        assert (await commit(agent, "ä" * 32768))[0] == ExitStatus(code=0)
        assert (await commit(agent, "x" * 65537))[0] == ExitStatus(code=2)
        results = await asyncio.gather(*(commit(agent, f"n = {n}") for n in range(5)))
        assert [status.code for status, _, _ in results] == [0] * 5
        assert (await builtin(agent, "commit", data=b"b = 2")) == (0, b"", b"")
        assert sorted(keeper.texts[3:]) == ["b = 2", *(f"n = {n}" for n in range(5))]
        assert (await builtin(agent, "commit", data=b"c = 3", user="1000"))[0] == 2
        with pytest.raises(Invalid, match="Permission denied"):
            await commit(agent, "d = 4", user="1000")
    async with open_agent(path, timeout=READY_TIMEOUT) as agent:
        assert await commit(agent, "e = 5") == (
            ExitStatus(code=1),
            b"",
            b"commit: refused: nothing of this machine is kept\n",
        )


async def test_events(path: Path) -> None:
    told: asyncio.Queue[MachineEvent] = asyncio.Queue()
    async with open_agent(path, timeout=READY_TIMEOUT, on_event=told.put_nowait) as agent:
        assert await builtin(agent, "event", "alert", data="one\n\ntwö\nthree".encode()) == (0, b"", b"")
        assert (await builtin(agent, "event", data=b"x"))[0] == 2
        assert (await builtin(agent, "event", "Alert", data=b"no kind\n"))[0] == 0  # the init drops it
        assert (await builtin(agent, "event", "alert", data=b"x", user="1000"))[0] == 2
        assert (await builtin(agent, "event", "last", data=b"y" * 3000))[0] == 0
        async with asyncio.timeout(READY_TIMEOUT):
            events = [await told.get() for _ in range(6)]
    assert events[:3] == [MachineEvent("alert", text) for text in ("one", "twö", "three")]
    assert {event.kind for event in events[3:]} == {"last"}
    assert "".join(event.text for event in events[3:]) == "y" * 3000
