"""Moving what a machine is from one QEMU to another, over descriptors (docs/decisions/0028-moments.md).

Two ways. The *device state* alone, some 50 KB, of a machine that stands still and whose memory is where the other one
has it, too. Or the memory as well, sent while the machine runs, which stands still for the last of it.

A source says that it is done when all is written, not when it was understood: only what its receiver says counts.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from weft.host.qemu import Qmp
from weft.model.errors import Unavailable

LOAD_TIMEOUT = 20.0
"""Seconds for a QEMU to read a device state, or for one to write it: milliseconds, but the host may be busy."""
SEND_TIMEOUT = 120.0
"""Seconds for a machine's memory to be sent while it runs."""
DOWNTIME_MS = 20
"""How long a machine may stand still for the last of its memory, as QEMU estimates it."""
_FIRST_POLL, _LONGEST_POLL = 0.001, 0.01
_SOURCE, _TARGET = "weft-out", "weft-in"
_UNDER_WAY = ("None", "none", "setup", "active", "pre-switchover", "device", "cancelling")
_IGNORE_SHARED, _PAUSE_BEFORE = "x-ignore-shared", "pause-before-switchover"


async def save_device(source: Qmp) -> bytes:
    """The device state of a machine that stands still and writes to memory it shares. It still stands afterwards.

    Raises Unavailable with what QEMU said.
    """
    file = os.memfd_create("weft-device", os.MFD_CLOEXEC)
    try:
        await _set_capabilities(source, {_IGNORE_SHARED: True, _PAUSE_BEFORE: False})
        await source.pass_descriptor(_SOURCE, file)
        await source.execute("migrate", {"uri": f"fd:{_SOURCE}"})
        await _wait_migration(source, "completed", LOAD_TIMEOUT)
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)


async def load_device(target: Qmp, device: bytes) -> None:
    """Let a QEMU that waits have a device state; the machine is in it then, and stands still.

    Raises Unavailable; a QEMU that cannot take the state ends, and says why where its complaints go.
    """
    file = os.memfd_create("weft-device", os.MFD_CLOEXEC)
    try:
        os.pwrite(file, device, 0)
        await _prepare_target(target, ignore_shared=True)
        await target.pass_descriptor(_TARGET, file)
        await target.execute("migrate-incoming", {"uri": f"fd:{_TARGET}"})
    finally:
        os.close(file)
    await wait_loaded(target)


async def send_memory(source: Qmp, target: Qmp) -> None:
    """Begin to send a machine's memory and state to a QEMU that waits; the machine runs on.

    Raises Unavailable.
    """
    await _prepare_target(target, ignore_shared=False)
    await _set_capabilities(source, {_IGNORE_SHARED: False, _PAUSE_BEFORE: True})
    await source.execute("migrate-set-parameters", {"max-bandwidth": 0, "downtime-limit": DOWNTIME_MS})
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        await target.pass_descriptor(_TARGET, theirs.fileno())
        await target.execute("migrate-incoming", {"uri": f"fd:{_TARGET}"})
        await source.pass_descriptor(_SOURCE, ours.fileno())
        await source.execute("migrate", {"uri": f"fd:{_SOURCE}"})


async def wait_nearly_sent(source: Qmp, timeout: float = SEND_TIMEOUT) -> None:
    """Until so little memory is left to send that the machine stands still for it. Raises Unavailable."""
    await _wait_migration(source, "pre-switchover", timeout)


async def finish_sending(source: Qmp, target: Qmp) -> None:
    """Send the last of it; both stand still then. Raises Unavailable."""
    await source.execute("migrate-continue", {"state": "pre-switchover"})
    await _wait_migration(source, "completed", LOAD_TIMEOUT)
    await wait_loaded(target)


async def stop_sending(source: Qmp) -> None:
    """Give up what `send_memory` has begun. No effect when nothing is being sent. Raises Unavailable."""
    await source.execute("migrate_cancel")
    await _poll(partial(_ask_migration, source), _UNDER_WAY, LOAD_TIMEOUT, "was not given up")


async def wait_loaded(target: Qmp) -> None:
    """Until a QEMU has all of a machine's state, and the machine stands still in it. Raises Unavailable."""
    status = await _poll(target.status, ("inmigrate",), LOAD_TIMEOUT, "was not taken over")
    if status != "paused":
        raise Unavailable(f"a machine's state was not taken over: QEMU is {status}")


async def _prepare_target(target: Qmp, *, ignore_shared: bool) -> None:
    await _set_capabilities(target, {_IGNORE_SHARED: ignore_shared})
    # Else it tells the network of the machine, whose place has not changed, in frames that nobody has asked for.
    await target.execute("migrate-set-parameters", {"announce-rounds": 0})


async def _set_capabilities(qmp: Qmp, states: dict[str, bool]) -> None:
    wanted = [{"capability": name, "state": state} for name, state in states.items()]
    await qmp.execute("migrate-set-capabilities", {"capabilities": wanted})


async def _ask_migration(source: Qmp) -> str:
    return str((await source.execute("query-migrate")).get("status"))


async def _wait_migration(source: Qmp, wanted: str, timeout: float) -> None:
    # A state on the way to the one that is wanted is passed through, one behind it is none of these.
    on_the_way = [status for status in _UNDER_WAY if status not in (wanted, "cancelling")]
    status = await _poll(partial(_ask_migration, source), on_the_way, timeout, "was not sent")
    if status != wanted:
        why = (await source.execute("query-migrate")).get("error-desc", status)
        raise Unavailable(f"QEMU did not send a machine's state: {why}")


async def _poll(look: Callable[[], Awaitable[str]], passing: Collection[str], timeout: float, what: str) -> str:
    """The first status that is none of those that pass by themselves."""
    pause = _FIRST_POLL
    try:
        async with asyncio.timeout(timeout):
            while True:
                if (status := await look()) not in passing:
                    return status
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_POLL)
    except TimeoutError as err:
        raise Unavailable(f"a machine's state {what} within {timeout:g} s") from err
