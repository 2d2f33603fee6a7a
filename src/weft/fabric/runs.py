"""The present runs of machines: their processes are watched, and their agents can be had.

A machine that is live has one, from its start or its adoption until its end is settled.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from weft.fabric.endings import exit_of, explain_unready
from weft.fabric.hooks import Hooks
from weft.fabric.live import Live, Waking, new_future
from weft.fabric.logs import read_tail
from weft.fabric.mounts import watch_server
from weft.fabric.records.machine import MachineRecord
from weft.fabric.serving import Serving
from weft.fabric.settling import Settling
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.host.pids import ExitWatch
from weft.model.errors import Unavailable, WrongState
from weft.model.machine import State
from weft.model.template import ORIGIN

LAST_WORDS = 0.5
"""Seconds to read what the agent still said before its machine went, how the entry point ended above all."""
REACH = 10.0
"""Seconds for the agent of a machine that was adopted to answer whoever wants it."""


async def _boot_nothing(_machine: MachineRecord, _live: Live) -> None:
    """Nobody starts machines."""


class Runs:
    """What the daemon holds of each machine that runs."""

    def __init__(self, site: Site, settling: Settling, hooks: Hooks) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._settling = settling
        self._hooks = hooks
        self._serving = Serving(site, settling, hooks)
        self._live: dict[str, Live] = {}
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.boot_instead: Callable[[MachineRecord, Live], Awaitable[None]] = _boot_nothing
        """What becomes of a template's copy whose run came to nothing; it is to `give_up` that run."""

    def find(self, name: str) -> Live | None:
        return self._live.get(name)

    def attend(
        self,
        machine: MachineRecord,
        watch: ExitWatch,
        waking: Waking | None = None,
        ready: "asyncio.Future[None] | None" = None,
    ) -> None:
        """A machine's QEMU runs from now on. Whoever waits for `ready` waits for this run to be ready."""
        ended = self._site.tasks.start(self._await_end(machine.name, watch), f"watch-{machine.name}")
        live = Live(watch, ended, ended, ready or new_future())
        self._live[machine.name] = live
        live.serving = self._site.tasks.start(self._serving.serve(machine, live, waking), f"agent-{machine.name}")
        for number in range(len(machine.servers)):
            self._site.tasks.start(watch_server(self._site, machine, number, ended), f"folder-{machine.name}")

    def give_up(self, name: str) -> None:
        """A run came to nothing, and another one follows."""
        del self._live[name]

    async def wait_end(self, name: str) -> None:
        """Until the machine is not live."""
        if live := self._live.get(name):
            await asyncio.shield(live.ended)

    def agent(self, name: str) -> Agent:
        """The machine's agent. Raises NotFound, WrongState when it is not running or never has one, Unavailable while
        it is silent.
        """
        machine = self._shelf.get(name)
        if machine.spec.is_foreign:
            raise WrongState(f"machine {name!r} brings its own system, and has no agent", hint=f"weft console {name}")
        if machine.state is not State.RUNNING:
            raise WrongState(f"machine {name!r} is {machine.state}, not running")
        live = self._live.get(name)
        if live is None or live.agent is None:
            raise Unavailable(f"the agent of machine {name!r} does not answer")
        return live.agent

    async def reach(self, name: str) -> Agent:
        """The machine's agent; one that was adopted a moment ago may be about to answer. Raises what `agent` raises."""
        live, machine = self._live.get(name), self._shelf.get(name)
        if live is not None and live.agent is None and machine.state is State.RUNNING and not machine.spec.is_foreign:
            await asyncio.wait([live.ready], timeout=REACH)
        return self.agent(name)

    def find_agent(self, name: str) -> Agent | None:
        """The machine's agent, if it answers."""
        live = self._live.get(name)
        return live.agent if live else None

    @asynccontextmanager
    async def kept_running(self, name: str) -> AsyncIterator[None]:
        """Nobody stops this machine meanwhile, and it stays in the process that it is in."""
        async with self._turns[name]:
            yield

    def follow(self, name: str, watch: ExitWatch) -> None:
        """A machine goes on in another process, whose end is its end from now on. Raises WrongState: it has ended."""
        live = self._live.get(name)
        if live is None:
            raise WrongState(f"machine {name!r} has ended")
        live.watch = watch

    async def tell_moved(self, name: str) -> None:
        """Tell whoever watches its process."""
        if machine := self._shelf.find(name):
            for hook in self._hooks.on_moved:
                await hook(machine)

    def serve_anew(self, name: str) -> None:
        """Begin another conversation with a machine's agent."""
        if live := self._live.get(name):
            live.serving.cancel()
            live.ready = new_future()
            serving = self._serving.serve(self._shelf.get(name), live, None)
            live.serving = self._site.tasks.start(serving, f"agent-{name}")

    def release(self) -> None:
        """Let go of all machines without touching them: the daemon ends, they do not."""
        for live in self._live.values():
            live.watch.close()

    async def _await_end(self, name: str, watch: ExitWatch) -> None:
        status = await watch.wait()
        live = self._live[name]
        while live.watch is not watch:  # it has gone on in another process
            watch = live.watch
            status = await watch.wait()
        await asyncio.wait([live.serving], timeout=LAST_WORDS)
        live.serving.cancel()
        machine = self._shelf.get(name)
        if machine.state is State.STARTING and machine.origin.startswith(ORIGIN) and not machine.removing:
            await self.boot_instead(machine, live)
            return
        files = self._site.layout.machine(name)
        exit = live.entry or exit_of(machine, status, read_tail(files.log), live.cause)
        machine = await self._settling.settle(machine, exit)
        del self._live[name]
        if not live.ready.done():
            sign = "its processors ran" if machine.spec.is_foreign else "its agent answered"
            what = f"ended before {sign}: {machine.reason}"
            live.ready.set_exception(explain_unready(machine, files, what))
        await self._settling.tell_end(machine)
