"""A machine's state goes from QEMU to QEMU. The machine has no program: what is in its memory is enough."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.host.waiting import wait_until

from weft.host.descriptors import read_command, take_descriptor
from weft.host.migration import finish_sending, load_device, save_device, send_memory, stop_sending, wait_nearly_sent
from weft.host.pids import ProcessId, stop_processes
from weft.host.process import start_latched
from weft.host.qemu import Qmp, open_qmp
from weft.host.sockets import listen_unix
from weft.model.errors import Unavailable

pytestmark = pytest.mark.host

MEGABYTES = 16
PLACE, CONTENT = 4 << 20, b"as it was at that moment"
Start = Callable[..., Awaitable[tuple[Qmp, ProcessId]]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a QEMU on a memory; `incoming` waits for a state."""
    async with AsyncExitStack() as stack:

        async def start_one(memory: int, *, share: str = "on", incoming: bool = False) -> tuple[Qmp, ProcessId]:
            path = tmp_path / f"qmp-{os.urandom(4).hex()}"
            backend = f"memory-backend-file,id=memory,size={MEGABYTES}M,mem-path=/proc/self/fd/{memory},share={share}"
            with listen_unix(path) as sock:
                argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-S"]
                argv += ["-M", "microvm,acpi=off,memory-backend=memory", "-m", f"{MEGABYTES}M", "-object", backend]
                argv += ["-chardev", f"socket,id=qmp,fd={sock.fileno()},server=on,wait=off"]
                argv += ["-mon", "chardev=qmp,mode=control", *(["-incoming", "defer"] if incoming else [])]
                latched = start_latched(argv, fds=[sock.fileno(), memory])
            stack.push_async_callback(stop_processes, [latched.process], term_for=0.1)
            latched.release()
            qmp = await open_qmp(path)
            stack.push_async_callback(qmp.close)
            return qmp, latched.process

        yield start_one


@pytest.fixture
def memory() -> Callable[[], int]:
    def make() -> int:
        fd = os.memfd_create("test-memory")
        os.ftruncate(fd, MEGABYTES << 20)
        return fd

    return make


async def stand_still(qmp: Qmp) -> None:
    """A machine that has run, and stands still."""
    await qmp.resume()
    await qmp.pause()


async def look_into(qmp: Qmp, folder: Path) -> bytes:
    """What a QEMU's machine has at the place."""
    file = folder / "memory-of-machine"
    await qmp.execute("pmemsave", {"val": PLACE, "size": len(CONTENT), "filename": str(file)})
    return file.read_bytes()


async def test_another_goes_on_with_the_same_memory(start: Start, memory: Callable[[], int], tmp_path: Path):
    fd = memory()
    first, _ = await start(fd)
    await stand_still(first)
    os.pwrite(fd, CONTENT, PLACE)
    device = await save_device(first)
    assert 1000 < len(device) < 1 << 20, "the memory is not in it"
    second, _ = await start(fd, share="off", incoming=True)
    assert await second.status() == "inmigrate"
    await load_device(second, device)
    assert await look_into(second, tmp_path) == CONTENT
    assert await second.status() == "paused"
    await first.resume()
    assert await first.status() == "running", "whoever saved its state can go on"


async def test_memory_is_sent_while_the_machine_is_there(start: Start, memory: Callable[[], int], tmp_path: Path):
    source_memory, target_memory = memory(), memory()
    os.pwrite(source_memory, CONTENT, PLACE)
    source, _ = await start(source_memory, share="off")
    target, _ = await start(target_memory, incoming=True)
    await source.resume()
    await send_memory(source, target)
    await wait_nearly_sent(source)
    await finish_sending(source, target)
    assert os.pread(target_memory, len(CONTENT), PLACE) == CONTENT
    assert await save_device(target), "the holder's own state can be saved"
    assert await target.status() == "postmigrate", "it has never run"
    await source.resume()
    assert await source.status() == "running"


async def test_sending_can_be_given_up(start: Start, memory: Callable[[], int]):
    source, _ = await start(memory())
    target, _ = await start(memory(), incoming=True)
    await source.resume()
    await send_memory(source, target)
    await wait_nearly_sent(source)
    await stop_sending(source)
    await source.resume()
    assert await source.status() == "running"
    third, _ = await start(memory(), incoming=True)
    await send_memory(source, third)
    await wait_nearly_sent(source)
    await finish_sending(source, third)


async def test_a_damaged_state_is_refused(start: Start, memory: Callable[[], int]):
    fd = memory()
    first, _ = await start(fd)
    await stand_still(first)
    device = await save_device(first)
    second, _ = await start(fd, share="off", incoming=True)
    with pytest.raises(Unavailable):
        await load_device(second, device[: len(device) // 2])
    await first.resume()


async def test_a_receiver_that_dies_is_noticed(start: Start, memory: Callable[[], int]):
    source, _ = await start(memory())
    target, process = await start(memory(), incoming=True)
    await source.resume()
    await send_memory(source, target)
    await wait_nearly_sent(source)
    await stop_processes([process], term_for=0)
    with pytest.raises(Unavailable):
        await finish_sending(source, target)
    await stop_sending(source)
    await source.resume()
    assert await source.status() == "running"


def _find_command(process: ProcessId) -> list[str]:
    """In the moment in which it becomes another program it has none."""
    try:
        return read_command(process)
    except Unavailable:
        return []


async def test_a_descriptor_is_taken_and_not_opened_anew(start: Start, memory: Callable[[], int], tmp_path: Path):
    reader, writer = os.pipe()
    latched = start_latched(["sleep", "60"], fds=[writer])
    try:
        taken = take_descriptor(latched.process, writer)
        os.write(taken, b"x")
        os.close(taken)
        assert os.read(reader, 1) == b"x"
        await wait_until(lambda: "sleep" in " ".join(_find_command(latched.process)))
        with pytest.raises(Unavailable, match="cannot take descriptor 999"):
            take_descriptor(latched.process, 999)
    finally:
        await stop_processes([latched.process], term_for=0)
    with pytest.raises(Unavailable, match="is gone"):
        take_descriptor(latched.process, 0)
