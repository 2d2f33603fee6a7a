"""What a firewall says of one packet: its own trace, asked for just before, and given up just behind."""

import asyncio
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

NFT = "/usr/sbin/nft"
PATIENCE = 5.0
"""Seconds for each step: the monitor's beginning, the table, the last word."""
_MOST_TEXT = 256 * 1024


@dataclass(slots=True)
class Watch:
    """What a monitor has said so far. `works`: it was there before the packet and heard everything there was."""

    family: str
    patience: float = PATIENCE
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

    async def wait(self, condition: Callable[[str, str], bool]) -> None:
        """Until what it said fulfils a condition. Raises Unavailable when it does not in time."""
        try:
            async with asyncio.timeout(self.patience):
                while not condition(self.text, self.family):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError as err:
            raise Unavailable("the firewall's trace says nothing") from err


@asynccontextmanager
async def open_watch(agent: Agent, family: str, packet: Packet, *, patience: float = PATIENCE) -> AsyncIterator[Watch]:
    """Have a machine trace one packet meanwhile. One that has no nft is watched in vain, and nothing else happens."""
    watch = Watch(family, patience)
    async with AsyncExitStack() as stack:
        with suppress(WeftError):
            monitor = await stack.enter_async_context(await agent.exec([NFT, "monitor"]))
            reading = asyncio.create_task(watch.read(monitor))
            stack.push_async_callback(_end, reading)
            stack.push_async_callback(_take_away, agent, watch)
            await _load(agent, plan_trace_table(packet, family))
            await watch.wait(has_begun)
            watch.works = True
        yield watch


async def _take_away(agent: Agent, watch: Watch) -> None:
    """Also when nobody wants to know any more: the table goes, and the monitor's last word is waited for."""
    try:
        await _load(agent, drop_trace_table(watch.family))
        await watch.wait(is_over)
    except WeftError:
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
