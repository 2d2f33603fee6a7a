"""What a firewall says of one packet: its own trace, asked for just before, and given up just behind."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from weft.guest.agent import Agent
from weft.guest.streams import ExecStream
from weft.model.errors import Unavailable, WeftError
from weft.plan.tracing.nft import (
    Sighting,
    drop_trace_table,
    has_begun,
    is_over,
    parse_trace,
    plan_trace_table,
)
from weft.plan.tracing.room import Packet

log = logging.getLogger(__name__)

NFT = "/usr/sbin/nft"
PATIENCE = 10.0
"""Seconds for the monitor's beginning, and for its last word: under emulation nft takes its time to read long rules."""
TRIES = 20
_MOST_TEXT = 256 * 1024


@dataclass(slots=True)
class Watch:
    """What a monitor has said so far. `works`: it was there before the packet and heard everything there was."""

    family: str
    text: str = ""
    works: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def find(self) -> Sighting | None:
        """The first packet that was marked."""
        return next(iter(parse_trace(self.text)), None)

    async def read(self, monitor: ExecStream) -> None:
        """Take in what it says, to a bound."""
        async for name, data in monitor:
            if name == "stdout" and len(self.text) < _MOST_TEXT:
                self.text += data.decode(errors="replace")
                self.changed.set()

    async def wait(self, condition: Callable[[str, str], bool], seconds: float) -> bool:
        """Until what it said fulfils a condition; False when it does not in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition(self.text, self.family):
                    self.changed.clear()
                    await self.changed.wait()
                return True
        return False


@asynccontextmanager
async def open_watch(agent: Agent, family: str, packet: Packet, *, patience: float = PATIENCE) -> AsyncIterator[Watch]:
    """Have a machine trace one packet meanwhile. One that has no nft is watched in vain, and nothing else happens."""
    watch = Watch(family)
    async with AsyncExitStack() as stack:
        try:
            monitor = await stack.enter_async_context(await agent.exec([NFT, "monitor"]))
            reading = asyncio.create_task(watch.read(monitor))
            stack.push_async_callback(_end, reading)
            stack.push_async_callback(_take_away, agent, watch, patience)
            await _begin(agent, watch, plan_trace_table(packet, family), patience)
        except WeftError as err:
            log.info("the trace of a firewall: %s", err)
        yield watch


async def _begin(agent: Agent, watch: Watch, table: str, patience: float) -> None:
    """Load the table until the monitor tells of it: it hears nothing while it reads what rules there are.

    Raises Unavailable.
    """
    for _ in range(TRIES):
        await _load(agent, table)
        if await watch.wait(has_begun, patience / TRIES):
            watch.works = True
            return
    raise Unavailable("its monitor says nothing")


async def _take_away(agent: Agent, watch: Watch, patience: float) -> None:
    """Also when nobody wants to know any more: the table goes, and the monitor's last word is waited for."""
    try:
        await _load(agent, drop_trace_table(watch.family))
        watch.works = watch.works and await watch.wait(is_over, patience)
    except WeftError as err:
        log.info("the trace of a firewall: %s", err)
        watch.works = False


async def _end(reading: "asyncio.Task[None]") -> None:
    reading.cancel()
    with suppress(asyncio.CancelledError, WeftError):
        await reading


async def _load(agent: Agent, text: str) -> None:
    """Raises Unavailable when nft does not take it."""
    try:
        async with asyncio.timeout(PATIENCE):
            async with await agent.exec([NFT, "-f", "-"], stdin=True) as process:
                await process.write(text.encode())
                process.close_stdin()
                status, _, complaints = await process.collect()
    except TimeoutError as err:
        raise Unavailable("nft did not answer") from err
    if status.shell_code:
        raise Unavailable(f"nft: {complaints.decode(errors='replace').strip()}")
