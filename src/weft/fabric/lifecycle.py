"""The life of machines: start, wait until ready, notice the end, stop. States change only here.

    created ──start──▶ starting ──agent answers──▶ running ──stop──▶ stopping ──▶ stopped
       ▲                  │                           │                            │
       └── start again ◀──┴──▶ failed ◀── QEMU died ──┴──▶ stopped (powered off) ──┘
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weft.fabric.launch import hold
from weft.fabric.layout import MachineFiles
from weft.fabric.logs import read_tail
from weft.fabric.records import MachineRecord, Stamp
from weft.fabric.site import Site
from weft.guest.agent import Agent, open_agent
from weft.host.pids import ExitWatch, ProcessId, stop_processes, watch_exit
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.model.machine import Exit, State

log = logging.getLogger(__name__)

STARTABLE = (State.CREATED, State.STOPPED, State.FAILED)
Hook = Callable[[MachineRecord], Awaitable[None]]


@dataclass(slots=True)
class Live:
    """What the daemon holds of a machine that runs."""

    watch: ExitWatch
    ended: asyncio.Task[None]
    ready: asyncio.Task[None] | None = None
    agent: Agent | None = None
    entry: Exit | None = None


class Lifecycle:
    """Starts and stops machines, and adopts those that an earlier daemon started."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._live: dict[str, Live] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.on_ready: list[Hook] = []
        self.on_end: list[Hook] = []

    async def start(self, name: str) -> None:
        """Start a machine's QEMU; `wait_ready` tells when its agent answers.

        Raises WrongState when it runs already, Unavailable for what the host lacks.
        """
        async with self._locks[name]:
            machine = self._shelf.get(name)
            if machine.state not in STARTABLE or machine.removing:
                raise WrongState(f"machine {name!r} is {machine.state}")
            await self._launch(machine)

    async def wait_ready(self, name: str) -> None:
        """Until the agent answers; a machine that is not live is started. Raises Unavailable saying why it does not."""
        if self._shelf.get(name).state in STARTABLE:
            await self.start(name)
        live = self._live.get(name)
        if live is None or live.ready is None:
            raise WrongState(f"machine {name!r} is {self._shelf.get(name).state}")
        await asyncio.shield(live.ready)

    async def stop(self, name: str, *, timeout: float | None = None) -> None:
        """Ask for a power-off, then insist. Nothing happens when it is not running."""
        limit = self._site.settings.stop_timeout if timeout is None else timeout
        machine = self._shelf.get(name)
        live = self._live.get(name)
        if live is None or not machine.state.is_live:
            return
        await self._save(machine.with_(state=State.STOPPING))
        ask = live.agent.shutdown if live.agent and machine.state is State.RUNNING else None
        await stop_processes(self._processes(machine), ask=ask, ask_for=limit)
        await asyncio.shield(live.ended)

    async def kill(self, name: str) -> None:
        """End a machine's QEMU at once, as pulling the plug would."""
        machine = self._shelf.get(name)
        live = self._live.get(name)
        if live is not None and machine.state.is_live:
            await self._save(machine.with_(state=State.STOPPING))
            await stop_processes(self._processes(machine), term_for=0)
            await asyncio.shield(live.ended)

    async def wait_end(self, name: str) -> None:
        """Until the machine is not live."""
        if live := self._live.get(name):
            await asyncio.shield(live.ended)

    def agent(self, name: str) -> Agent:
        """The machine's agent. Raises NotFound, WrongState when it is not running, Unavailable while it is silent."""
        machine = self._shelf.get(name)
        if machine.state is not State.RUNNING:
            raise WrongState(f"machine {name!r} is {machine.state}, not running")
        live = self._live.get(name)
        if live is None or live.agent is None:
            raise Unavailable(f"the agent of machine {name!r} does not answer")
        return live.agent

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """Nothing starts this machine meanwhile."""
        async with self._locks[name]:
            yield

    async def adopt(self, machine: MachineRecord, *, same_boot: bool) -> None:
        """Take over a machine that an earlier daemon left in a live state, or note that it has ended."""
        monitor = machine.monitor
        if not same_boot or monitor is None or not monitor.id.alive():
            await self._settle(machine, Exit(reason="it ended while no daemon was running"))
            return
        self._attend(machine, watch_exit(monitor.id))
        if machine.state is State.STOPPING:
            self._site.tasks.start(self.stop(machine.name), f"stop-{machine.name}")

    async def release(self) -> None:
        """Let go of all machines without touching them: the daemon ends, they do not."""
        for live in self._live.values():
            live.watch.close()
            if live.agent:
                await live.agent.close()

    async def _launch(self, machine: MachineRecord) -> MachineRecord:
        now = self._site.clock()
        fresh = {"exit": None, "reason": "", "ready": None, "monitor": None, "qemu": None}
        machine = await self._save(machine.with_(state=State.STARTING, started=now, **fresh))
        try:
            held = await hold(self._site, machine)
        except WeftError as err:
            await self._settle(machine, Exit(reason=err.message))
            raise
        monitor = Stamp.of(held.latched.process)
        machine = await self._save(machine.with_(monitor=monitor, limits=held.limits))
        held.latched.release()
        self._attend(machine, held.latched.watch)
        return machine

    def _attend(self, machine: MachineRecord, watch: ExitWatch) -> None:
        ended = self._site.tasks.start(self._await_end(machine.name, watch), f"watch-{machine.name}")
        self._live[machine.name] = live = Live(watch, ended)
        if machine.state in (State.STARTING, State.RUNNING):
            live.ready = self._site.tasks.start(self._bring_up(machine), f"bring-up-{machine.name}")

    async def _bring_up(self, machine: MachineRecord) -> None:
        """Wait for the agent, or for whatever comes first; afterwards the machine is running, or failed."""
        live = self._live[machine.name]
        path = self._site.layout.machine(machine.name).agent
        opening = asyncio.ensure_future(open_agent(path, timeout=self._site.settings.boot_timeout))
        await asyncio.wait((opening, live.ended), return_when=asyncio.FIRST_COMPLETED)
        if live.ended.done():
            opening.cancel()
            raise self._failure(machine, "ended before its agent answered")
        try:
            live.agent = await opening
        except WeftError as err:
            if machine.ready is not None:  # adopted: a silent agent is no reason to end a machine that runs
                self._site.events.publish("machine.silent", machine.name, f"agent does not answer: {err.message}")
                return
            await stop_processes(self._processes(machine), term_for=0)
            await live.ended
            raise self._failure(machine, f"did not become ready: {err.message}") from err
        await self._note_ready(machine, live)

    async def _note_ready(self, machine: MachineRecord, live: Live) -> None:
        monitor = machine.monitor
        children = monitor.id.children() if monitor else []
        qemu = Stamp.of(children[0]) if children else monitor
        machine = self._shelf.get(machine.name)
        ready = machine.ready or self._site.clock()
        if machine.state is State.STARTING:
            machine = machine.with_(state=State.RUNNING)
            self._site.events.publish("machine.ready", machine.name, f"machine {machine.name} is ready")
        machine = await self._save(machine.with_(qemu=qemu, ready=ready))
        self._site.tasks.start(self._follow_entry(machine.name, live), f"entry-{machine.name}")
        for hook in self.on_ready:
            await hook(machine)

    async def _follow_entry(self, name: str, live: Live) -> None:
        """Remember how the entry point ended: QEMU's own status does not tell."""
        assert live.agent is not None
        async for entry in live.agent.entries():
            if not entry.running:
                live.entry = Exit(code=entry.code, signal=entry.signal, reason="entry point ended")
                self._site.events.publish("machine.entry", name, f"entry point of {name} ended", code=entry.code)

    async def _await_end(self, name: str, watch: ExitWatch) -> None:
        status = await watch.wait()
        live = self._live.pop(name)
        machine = self._shelf.get(name)
        if live.agent is not None:
            await live.agent.close()
        await self._settle(machine, live.entry or _exit_of(machine, status))

    async def _settle(self, machine: MachineRecord, exit: Exit) -> None:
        """A run is over, or never came to be: tidy up what it had on the host, and say so."""
        for leftover in self._leftovers(machine):
            await stop_processes([leftover], term_for=0)
        await self._site.cgroups.remove(machine.name)
        _remove_sockets(self._site.layout.machine(machine.name))
        asked = machine.state is State.STOPPING
        clean = asked or exit.code is not None or exit.reason == POWERED_OFF
        state = State.STOPPED if clean else State.FAILED
        ended = machine.with_(state=state, reason=exit.reason, exit=exit, monitor=None, qemu=None)
        machine = await self._save(ended)
        self._site.events.publish("machine.ended", machine.name, f"machine {machine.name} ended: {exit.reason}")
        for hook in self.on_end:
            await hook(machine)

    def _processes(self, machine: MachineRecord) -> list[ProcessId]:
        """QEMU first, then the monitor around it, which ends by itself when QEMU has."""
        if machine.monitor is None:
            return []
        return [*machine.monitor.id.children(), machine.monitor.id]

    def _leftovers(self, machine: MachineRecord) -> list[ProcessId]:
        """QEMU when only its monitor was killed."""
        return [machine.qemu.id] if machine.qemu and machine.qemu.id.alive() else []

    def _failure(self, machine: MachineRecord, what: str) -> Unavailable:
        files = self._site.layout.machine(machine.name)
        detail = read_tail(files.log) + read_tail(files.errors)
        return Unavailable(f"machine {machine.name!r} {what}", detail=detail.decode(errors="replace") or None)

    async def _save(self, machine: MachineRecord) -> MachineRecord:
        return await self._shelf.save(machine)


POWERED_OFF = "powered off"


def _exit_of(machine: MachineRecord, status: int | None) -> Exit:
    """What the end of a machine's process says. After a restart of the daemon its status is nobody's to know."""
    if machine.state is State.STOPPING:
        return Exit(reason="stopped")
    if status == 0 or status is None:
        return Exit(reason=POWERED_OFF)
    return Exit(reason=f"QEMU ended with status {status}")


def _remove_sockets(files: MachineFiles) -> None:
    for path in (files.qmp, files.serial, files.agent):
        path.unlink(missing_ok=True)
