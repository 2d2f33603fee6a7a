"""The logs of a room: those of all its machines, a line at a time, each with the name of whose it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from weft.fabric.logreading import Wanted, follow_log
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site

Line = tuple[str, bytes]
"""A machine's name and what it wrote, with its line feed if there is one."""

_POLL = 0.25
"""Seconds between looks at which machines there are, and which were started again."""
_WAITING = 256
"""Lines that may wait for a reader who is slow."""


async def read_logs(site: Site, wanted: Wanted) -> AsyncIterator[Line]:
    """What is there, in the order of the times at which it was written."""
    timed = replace(wanted, timestamps=True)
    logs = {
        machine.name: _lines(follow_log(site.layout.machine(machine.name).log, timed, lambda: True))
        for machine in site.shelves.machines
    }
    heap: list[tuple[bytes, str, bytes]] = []
    for name in logs:
        await _push_next(heap, name, logs[name])
    while heap:
        stamp, name, text = heappop(heap)
        yield name, stamp + b" " + text if wanted.timestamps else text
        await _push_next(heap, name, logs[name])


async def follow_logs(site: Site, wanted: Wanted, gone: Callable[[], bool]) -> AsyncIterator[Line]:
    """What is there of each machine, then whatever is written, also by machines that are made or started meanwhile.

    Ends when the room is `gone`.
    """
    queue: asyncio.Queue[Line] = asyncio.Queue(_WAITING)
    readers: dict[str, _Reader] = {}
    try:
        while not gone():
            for machine in site.shelves.machines:
                reader = readers.get(machine.name)
                if reader is None:
                    readers[machine.name] = _Reader.start(site, machine, wanted, queue)
                elif reader.task.done() and reader.run != machine.started:
                    readers[machine.name] = _Reader.start(site, machine, replace(wanted, tail=None), queue)
            if (line := await _get_soon(queue)) is not None:
                yield line
            while not queue.empty():
                yield queue.get_nowait()
    finally:
        for reader in readers.values():
            reader.task.cancel()
        await asyncio.gather(*(reader.task for reader in readers.values()), return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads the log of one run of a machine, to its end. `run` is when that was started."""

    run: float | None
    task: "asyncio.Task[None]"

    @classmethod
    def start(cls, site: Site, machine: MachineRecord, wanted: Wanted, queue: "asyncio.Queue[Line]") -> "_Reader":
        reading = _read_run(site, machine.name, machine.started, wanted, queue)
        return cls(machine.started, asyncio.create_task(reading, name=f"read-{machine.name}"))


async def _read_run(site: Site, name: str, run: float | None, wanted: Wanted, queue: "asyncio.Queue[Line]") -> None:
    def ended() -> bool:
        machine = site.shelves.machines.find(name)
        return machine is None or machine.started != run or not machine.state.is_live

    async for line in _lines(follow_log(site.layout.machine(name).log, wanted, ended)):
        await queue.put((name, line))


async def _get_soon(queue: "asyncio.Queue[Line]") -> Line | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_POLL):
            return await queue.get()
    return None


async def _push_next(heap: list[tuple[bytes, str, bytes]], name: str, lines: AsyncIterator[bytes]) -> None:
    with suppress(StopAsyncIteration):
        stamp, _, text = (await anext(lines)).partition(b" ")
        heappush(heap, (stamp, name, text))


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines, and at the end what is left."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest
