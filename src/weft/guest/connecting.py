"""Connecting to a machine's agent, which may still be booting, or believe itself alone.

async with open_agent(path, timeout=10) as agent:
    seconds = await agent.ping()
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from weft.guest.agent import Agent, OnEntry, OnEvent
from weft.guest.becoming import Become
from weft.guest.commits import OnCommit
from weft.host.sockets import connect_unix
from weft.model.errors import Unavailable

_LONGEST_PATIENCE_SECONDS = 12.0


@asynccontextmanager
async def open_agent(
    path: Path,
    *,
    timeout: float,
    on_entry: OnEntry | None = None,
    on_commit: OnCommit | None = None,
    on_event: OnEvent | None = None,
    wall_clock: Callable[[], int] = time.time_ns,
    patience: float = 3.0,
    become: Become | None = None,
) -> AsyncIterator[Agent]:
    """Connects to a machine's agent and waits for it, `timeout` seconds at most; the machine may still be booting.

    `on_entry` is called with each change of the entry point (not with the first state, which is `agent.entry`), and
    when the machine's kernel has killed a process for want of memory. `on_commit` is called with each text that the
    machine wants kept: it accepts by returning and refuses by raising a WeftError; `on_event` with what a program in
    it tells. With `become`, a machine that goes on as a copy is told who it is, and is ready when it is that; without,
    one that waits to be told is ready with `agent.ready.held`. Leaving the context ends the connection, and with it
    what was started over it. Raises Unavailable.
    A connection on which nothing is heard for `patience` seconds is given up for another.
    """
    silence = f"no agent answered on {path} within {timeout:g} s"
    async with _bounded(asyncio.get_running_loop().time() + timeout, silence):
        agent, reading = await _open_until_ready(
            path,
            partial(Agent, on_entry=on_entry, on_commit=on_commit, on_event=on_event, become=become),
            wall_clock,
            patience,
        )
    try:
        yield agent
    finally:
        await agent.hang_up(reading)


async def _open_until_ready(
    path: Path, make: Callable[..., Agent], wall_clock: Callable[[], int], patience: float
) -> tuple[Agent, "asyncio.Task[None]"]:
    """Connect, and connect anew when nothing is heard for a while.

    QEMU tells the guest of a connection by a message, and drops that when the guest has no room for it, as after many
    connections in a row. The guest then believes itself alone and may not write. Another connection is told again.
    """
    while True:
        reader, writer = await asyncio.open_unix_connection(sock=await connect_unix(path, "the agent's socket"))
        agent = make(reader, writer)
        reading = asyncio.create_task(agent.run(), name=f"agent {path.name}")
        try:
            async with asyncio.timeout(patience):
                await agent.open(wall_clock)
            return agent, reading
        except TimeoutError:
            await agent.hang_up(reading)
            patience = min(2 * patience, _LONGEST_PATIENCE_SECONDS)
        except BaseException:
            await agent.hang_up(reading)
            raise


@asynccontextmanager
async def _bounded(deadline: float, message: str) -> AsyncIterator[None]:
    """Until `deadline` on the loop's clock, then Unavailable."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as err:
        raise Unavailable(message) from err
