"""The life of machines: start, wait until ready, notice the end, stop. States change only here.

created ──start──▶ starting ──agent answers──▶ running ──stop──▶ stopping ──▶ stopped
   ▲                  │                           │                            │
   └── start again ◀──┴──▶ failed ◀── QEMU died ──┴──▶ stopped (powered off) ──┘
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from weft.fabric.launch import hold
from weft.fabric.layout import MachineFiles
from weft.fabric.logs import read_tail
from weft.fabric.mounts import watch_server
from weft.fabric.records import MachineRecord, Stamp
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.guest.agent import Agent, open_agent
from weft.guest.protocol import EntryStatus
from weft.host.cgroup import Cgroup
from weft.host.pids import ExitWatch, ProcessId, stop_processes, watch_exit
from weft.host.qemu import open_qmp
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.model.machine import Exit, State

log = logging.getLogger(__name__)

LAST_WORDS = 0.5
"""Seconds to read what the agent still said before its machine went, how the entry point ended above all."""
GROUP_TRIES, GROUP_PAUSE = 200, 0.01
STARTABLE = (State.CREATED, State.STOPPED, State.FAILED)
Hook = Callable[[MachineRecord], Awaitable[None]]


@dataclass(slots=True)
class Live:
    """What the daemon holds of a machine that runs."""

    watch: ExitWatch
    ended: asyncio.Task[None]
    serving: asyncio.Task[None]
    ready: asyncio.Future[None]
    agent: Agent | None = None
    entry: Exit | None = None


class Lifecycle:
    """Starts and stops machines, and adopts those that an earlier daemon started."""

    def __init__(self, site: Site, volumes: Volumes) -> None:
        self._site = site
        self._volumes = volumes
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
        if live is None:
            raise WrongState(f"machine {name!r} is {self._shelf.get(name).state}")
        await asyncio.shield(live.ready)

    async def stop(self, name: str, *, timeout: float | None = None) -> None:
        """Ask for a power-off, then insist. Nothing happens when it is not running."""
        limit = self._site.settings.stop_timeout if timeout is None else timeout
        machine = self._shelf.get(name)
        live = self._live.get(name)
        if live is None or not machine.state.is_live:
            return
        await self._shelf.save(machine.with_(state=State.STOPPING))
        ask = partial(self._ask_off, machine, live)
        await stop_processes(self._processes(machine), ask=ask, ask_for=limit)
        await asyncio.shield(live.ended)

    async def kill(self, name: str) -> None:
        """End a machine's QEMU at once, as pulling the plug would."""
        machine = self._shelf.get(name)
        live = self._live.get(name)
        if live is not None and machine.state.is_live:
            await self._shelf.save(machine.with_(state=State.STOPPING))
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
            await self._tell_end(await self._settle(machine, Exit(reason="it ended while no daemon was running")))
            return
        self._attend(machine, watch_exit(monitor.id))
        if machine.state is State.STOPPING:
            self._site.tasks.start(self.stop(machine.name), f"stop-{machine.name}")

    def release(self) -> None:
        """Let go of all machines without touching them: the daemon ends, they do not."""
        for live in self._live.values():
            live.watch.close()

    async def _launch(self, machine: MachineRecord) -> MachineRecord:
        now = self._site.clock()
        fresh = {"exit": None, "reason": "", "ready": None, "monitor": None, "qemu": None}
        machine = await self._shelf.save(machine.with_(state=State.STARTING, started=now, **fresh))
        try:
            held = await hold(self._site, self._volumes, machine)
        except WeftError as err:
            await self._settle(machine, Exit(reason=err.message))
            raise
        monitor = Stamp.of(held.latched.process)
        servers = tuple(Stamp.of(server.process) for server in held.servers)
        machine = await self._shelf.save(machine.with_(monitor=monitor, servers=servers, limits=held.limits))
        for process in (*held.servers, held.latched):
            process.release()
        self._attend(machine, held.latched.watch)
        return machine

    def _attend(self, machine: MachineRecord, watch: ExitWatch) -> None:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ready.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting
        ended = self._site.tasks.start(self._await_end(machine.name, watch), f"watch-{machine.name}")
        live = Live(watch, ended, ended, ready)
        self._live[machine.name] = live
        live.serving = self._site.tasks.start(self._serve_agent(machine, live), f"agent-{machine.name}")
        for number in range(len(machine.servers)):
            self._site.tasks.start(watch_server(self._site, machine, number, ended), f"folder-{machine.name}")

    async def _serve_agent(self, machine: MachineRecord, live: Live) -> None:
        """Open the agent, say that the machine is ready, and hold the connection while it lasts."""
        path = self._site.layout.machine(machine.name).agent
        timeout = self._site.settings.boot_timeout
        try:
            async with open_agent(path, timeout=timeout, on_entry=partial(self._on_entry, machine.name)) as agent:
                live.agent = agent
                self._on_entry(machine.name, agent.entry)
                await self._note_ready(machine.name)
                live.ready.set_result(None)
                await agent.closed
        except WeftError as err:
            await self._on_silence(machine, live, err)
        finally:
            live.agent = None

    async def _note_ready(self, name: str) -> None:
        machine = self._shelf.get(name)
        children = machine.monitor.id.children() if machine.monitor else []
        qemu = Stamp.of(children[0]) if children else machine.monitor
        fresh = machine.state is State.STARTING
        ready = machine.ready or self._site.clock()
        state = State.RUNNING if fresh else machine.state
        machine = await self._shelf.save(machine.with_(state=state, qemu=qemu, ready=ready))
        if fresh:
            self._site.events.publish("machine.ready", name, f"machine {name} is ready")
        for hook in self.on_ready:
            await hook(machine)

    async def _on_silence(self, machine: MachineRecord, live: Live, err: WeftError) -> None:
        """The agent did not answer. A machine that was running before, and was adopted, is not ended for that."""
        if machine.ready is not None:
            self._site.events.publish("machine.silent", machine.name, f"agent of {machine.name}: {err.message}")
        else:
            await stop_processes(self._processes(machine), term_for=0)
            await asyncio.shield(live.ended)
        if not live.ready.done():
            live.ready.set_exception(self._failure(machine, f"did not become ready: {err.message}"))

    def _on_entry(self, name: str, entry: EntryStatus) -> None:
        """Remember how the entry point ended: QEMU's own status does not tell."""
        live = self._live.get(name)
        if live is None or entry.state != "exited" or entry.last is None:
            return
        live.entry = Exit(code=entry.last.code, signal=entry.last.signal, reason="entry point ended")
        self._site.events.publish("machine.entry", name, f"entry point of {name} ended", code=entry.last.shell_code)

    async def _await_end(self, name: str, watch: ExitWatch) -> None:
        status = await watch.wait()
        live = self._live[name]
        await asyncio.wait([live.serving], timeout=LAST_WORDS)
        live.serving.cancel()
        machine = self._shelf.get(name)
        log = self._site.layout.machine(name).log
        machine = await self._settle(machine, live.entry or _exit_of(machine, status, read_tail(log)))
        del self._live[name]
        if not live.ready.done():
            live.ready.set_exception(self._failure(machine, "ended before its agent answered"))
        await self._tell_end(machine)

    async def _settle(self, machine: MachineRecord, exit: Exit) -> MachineRecord:
        """A run is over, or never came to be: tidy up what it had on the host, and say so."""
        group = self._site.cgroups.group(machine.name)
        await stop_processes(_leftovers(machine, group.pids()), term_for=0)
        await _remove_group(group)
        _remove_sockets(self._site.layout.machine(machine.name))
        asked = machine.state is State.STOPPING
        clean = asked or exit.code is not None or exit.reason == POWERED_OFF
        state = State.STOPPED if clean else State.FAILED
        ended = machine.with_(state=state, reason=exit.reason, exit=exit, monitor=None, qemu=None, servers=())
        machine = await self._shelf.save(ended)
        self._site.events.publish("machine.ended", machine.name, f"machine {machine.name} ended: {exit.reason}")
        return machine

    async def _ask_off(self, machine: MachineRecord, live: Live) -> None:
        """Ask the agent for a power-off; without one press the power button, which a machine with ACPI notices."""
        with suppress(Unavailable):  # it may have ended by itself just now
            if live.agent is not None:
                live.agent.shutdown("poweroff")
                return
            qmp = await open_qmp(self._site.layout.machine(machine.name).qmp)
            await qmp.powerdown()
            await qmp.close()

    async def _tell_end(self, machine: MachineRecord) -> None:
        for hook in self.on_end:
            await hook(machine)

    def _processes(self, machine: MachineRecord) -> list[ProcessId]:
        """QEMU first, then the monitor around it, which ends by itself when QEMU has."""
        if machine.monitor is None:
            return []
        return [*machine.monitor.id.children(), machine.monitor.id]

    def _failure(self, machine: MachineRecord, what: str) -> Unavailable:
        files = self._site.layout.machine(machine.name)
        detail = read_tail(files.log) + read_tail(files.errors)
        return Unavailable(f"machine {machine.name!r} {what}", detail=detail.decode(errors="replace") or None)


POWERED_OFF = "powered off"
PANIC = b"Kernel panic - not syncing"


def _exit_of(machine: MachineRecord, status: int | None, log: bytes) -> Exit:
    """What the end of a machine's process says. After a restart of the daemon its status is nobody's to know."""
    if machine.state is State.STOPPING:
        return Exit(reason="stopped")
    if PANIC in log:  # the kernel then resets the machine, which to QEMU is an end like any other
        return Exit(reason="its kernel panicked")
    if status == 0 or status is None:
        return Exit(reason=POWERED_OFF)
    return Exit(reason=f"QEMU ended with status {status}")


def _leftovers(machine: MachineRecord, pids: list[int]) -> list[ProcessId]:
    """QEMU, when only the monitor around it was killed, file servers, and what else is in the machine's control group.

    A file server ends with QEMU's end of its socket, but nobody waits for that.
    """
    found = [ProcessId.find(pid) for pid in pids]
    servers = [process for server in machine.servers for process in (*server.id.children(), server.id)]
    return [process for process in (machine.qemu and machine.qemu.id, *servers, *found) if process and process.alive()]


async def _remove_group(group: Cgroup) -> None:
    """A process that has just ended stays in its group for a moment longer."""
    for tries_left in reversed(range(GROUP_TRIES)):
        try:
            group.remove()
            break
        except WrongState:
            if not tries_left:
                raise
            await asyncio.sleep(GROUP_PAUSE)


def _remove_sockets(files: MachineFiles) -> None:
    for path in (files.qmp, files.serial, files.agent):
        path.unlink(missing_ok=True)
