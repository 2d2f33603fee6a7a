"""An image's first machine, for a moment: what it leaves of its memory, and what takes it.

A trial's machine has the image's memory and NICs, on no network. It is a machine like any other, in the same walls."""

import asyncio
import re
from collections.abc import Awaitable, Callable

from weft.fabric.lifecycle import Lifecycle
from weft.fabric.machines import Machines
from weft.guest.agent import Agent
from weft.image.budget import dump_limit, dump_megabytes, dump_table
from weft.model.errors import NoRoom, WeftError
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec, NicSpec

LOOKS, PAUSE = 20, 0.5
"""How often memory is looked at until it stands still, and seconds between two looks."""
STILL = 256 << 10
"""Bytes of change that count as none."""
STATUS = ("/bin/sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null")

_PROCESS = re.compile(r"^Name:\s*(\S[^\n]*)$.*?^VmRSS:\s*(\d+) kB$", re.MULTILINE | re.DOTALL)


class Trials:
    """Boots images to see whether they keep what their recipes promise."""

    def __init__(self, machines: Machines, lifecycle: Lifecycle) -> None:
        self._machines = machines
        self._lifecycle = lifecycle

    async def check_memory(self, image: ImageManifest, wanted: int) -> None:
        """Raises NoRoom when less than `wanted` bytes are left in a machine of this image; its detail is a table of the
        processes. Raises Unavailable when the machine does not come up."""
        spec = MachineSpec(name=image.name, image=image.name, nics=tuple(NicSpec(role=nic.role) for nic in image.nics))
        await self._machines.create(spec)
        try:
            await self._lifecycle.wait_ready(image.name)
            agent = self._lifecycle.runs.agent(image.name)
            left = await find_available(lambda: _ask_available(agent))
            if left < wanted:
                raise NoRoom(
                    f"min_available: {dump_megabytes(left)} of {dump_limit(image.memory)} are left, fewer than "
                    f"{dump_limit(wanted)}",
                    hint="leave something out, or lower min_available in the recipe",
                    detail=await _dump_processes(agent),
                )
        finally:
            await asyncio.shield(self._machines.remove(image.name, force=True))


async def find_available(look: Callable[[], Awaitable[int]], pause: float = PAUSE) -> int:
    """Look until two readings in a row are the same, more or less; the lowest of all."""
    readings = [await look()]
    for _ in range(LOOKS):
        await asyncio.sleep(pause)
        readings.append(await look())
        if abs(readings[-1] - readings[-2]) <= STILL:
            break
    return min(readings)


async def _ask_available(agent: Agent) -> int:
    return (await agent.facts()).memory_available


async def _dump_processes(agent: Agent) -> str:
    try:
        async with await agent.exec(list(STATUS)) as process:
            _status, out, _err = await process.collect()
    except WeftError as err:
        return f"its processes cannot be listed: {err.message}"
    return dump_table("PROCESS", parse_processes(out.decode(errors="replace")))


def parse_processes(text: str) -> list[tuple[str, int]]:
    """Names and resident bytes from the texts of /proc/PID/status; kernel threads, which have none, are left out."""
    parts = re.split(r"^(?=Name:)", text, flags=re.MULTILINE)
    return [(found[1], int(found[2]) * 1024) for part in parts if (found := _PROCESS.search(part))]
