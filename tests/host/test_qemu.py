"""QEMU's sockets and monitor, with a real QEMU that has no machine in it."""

import asyncio
import signal
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.host.waiting import PATIENCE

from weft.host.pids import stop_processes
from weft.host.process import Latched, start_latched
from weft.host.qemu import Qmp, open_qmp
from weft.host.sockets import LONGEST_ADDRESS, listen_unix, short_path
from weft.model.errors import Internal, Unavailable

pytestmark = pytest.mark.host


@pytest.fixture(params=["short", "long"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder; a long one is deeper than a unix socket's address can be."""
    path = tmp_path if request.param == "short" else tmp_path / ("x" * LONGEST_ADDRESS)
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[tuple[Latched, Path]]:
    path = tmp_path / "qmp"
    with listen_unix(path) as sock:
        argv = ["qemu-system-x86_64", "-M", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S"]
        argv += ["-chardev", f"socket,id=qmp,fd={sock.fileno()},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]
        latched = start_latched(argv, fds=[sock.fileno()])
    latched.release()
    yield latched, path
    await stop_processes([latched.process], term_for=0.1)


@pytest.fixture
async def qmp(emulator: tuple[Latched, Path]) -> AsyncIterator[Qmp]:
    opened = await open_qmp(emulator[1])
    yield opened
    await opened.close()


def test_a_socket_at_any_depth_can_be_reached(folder: Path):
    with listen_unix(folder / "sock") as listening:
        assert stat.S_IMODE((folder / "sock").stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client, short_path(folder / "sock") as address:
            client.connect(address)
            listening.accept()[0].close()


def test_a_left_over_socket_is_replaced(folder: Path):
    listen_unix(folder / "sock").close()
    listen_unix(folder / "sock").close()


def test_no_descriptor_stays_open(folder: Path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with short_path(folder / "sock"):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_folder_no_socket(tmp_path: Path):
    with pytest.raises(Unavailable, match="missing"):
        listen_unix(tmp_path / "missing" / "sock")


async def test_commands_are_answered(qmp: Qmp):
    assert await qmp.status() == "prelaunch"
    await qmp.resume()
    assert await qmp.status() == "running"
    await qmp.pause()
    assert await qmp.status() == "paused"


async def test_a_refusal_carries_qemus_words(qmp: Qmp):
    with pytest.raises(Internal, match="no-such-command has not been found"):
        await qmp.execute("no-such-command")


async def test_events_come_until_qemu_goes(qmp: Qmp, emulator: tuple[Latched, Path]):
    async with aclosing(qmp.events()) as events:
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await qmp.resume()
        assert (await asyncio.wait_for(first, PATIENCE))[0] == "RESUME"
        emulator[0].process.send(signal.SIGKILL)
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(events), PATIENCE)


@pytest.mark.parametrize(("ended_by", "cause"), [(signal.SIGTERM, "host-signal"), (signal.SIGKILL, "")])
async def test_it_says_why_it_ends_if_it_can(
    ended_by: signal.Signals, cause: str, qmp: Qmp, emulator: tuple[Latched, Path]
) -> None:
    told = asyncio.ensure_future(qmp.wait_shutdown())
    await asyncio.sleep(0)
    emulator[0].process.send(ended_by)
    assert await asyncio.wait_for(told, PATIENCE) == cause


async def test_quitting_ends_qemu(qmp: Qmp, emulator: tuple[Latched, Path]):
    await qmp.quit()
    assert await asyncio.wait_for(emulator[0].watch.wait(), PATIENCE) == 0
    with pytest.raises(Unavailable):
        await qmp.status()
    await qmp.quit()


async def test_a_stopped_qemu_is_given_up(emulator: tuple[Latched, Path]):
    await (await open_qmp(emulator[1], timeout=PATIENCE)).close()  # it is up
    qmp = await open_qmp(emulator[1], timeout=1)
    emulator[0].process.send(signal.SIGSTOP)
    with pytest.raises(Unavailable, match=r"within 1 s"):
        await qmp.status()
    emulator[0].process.send(signal.SIGCONT)
    await qmp.close()


async def test_a_second_daemon_can_connect_after_the_first(emulator: tuple[Latched, Path]):
    for _ in range(2):
        qmp = await open_qmp(emulator[1])
        assert await qmp.status() == "prelaunch"
        await qmp.close()


async def test_nobody_there(tmp_path: Path):
    with pytest.raises(Unavailable, match="no QEMU"):
        await open_qmp(tmp_path / "qmp", timeout=1)


async def test_somebody_who_never_speaks(tmp_path: Path):
    with listen_unix(tmp_path / "qmp"), pytest.raises(Unavailable):
        await open_qmp(tmp_path / "qmp", timeout=0.2)
