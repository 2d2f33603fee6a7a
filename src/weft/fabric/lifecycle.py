"""The life of machines: start, wait until ready, notice the end, stop. States change only here.

created ──start──▶ starting ──agent answers──▶ running ──stop──▶ stopping ──▶ stopped
   ▲                  │                           │                            │
   └── start again ◀──┴──▶ failed ◀── QEMU died ──┴──▶ stopped (powered off) ──┘

A machine that is running can be suspended, and is starting again when it is resumed, or stopped when it is discarded.
Whether a machine is started again by itself is for `restarts` to say, which is told of every end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from weft.fabric.consoles import Consoles
from weft.fabric.endings import processes_of
from weft.fabric.foreign.running import ask_off, has_to_end
from weft.fabric.hooks import Hooks
from weft.fabric.live import Live
from weft.fabric.moments.moment import Moment
from weft.fabric.published import Publishing
from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import LAST_WORDS, Runs
from weft.fabric.settling import Settling
from weft.fabric.site import Site
from weft.fabric.starting import Starting
from weft.fabric.volumes import Volumes
from weft.host.pids import stop_processes
from weft.host.qemu import open_qmp
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.model.machine import State

SWITCH_OFF = 2.0
"""Seconds that a machine gets to write back and switch off, when its program had to be killed in the end."""
DISCARDED = "what it was when it was suspended is discarded"
STARTABLE = (State.CREATED, State.STOPPED, State.FAILED, State.SUSPENDED)


class Lifecycle:
    """Starts and stops machines. What it holds of those that run is in `runs`; what others are told is in `hooks`."""

    def __init__(self, site: Site, volumes: Volumes, publishing: Publishing, consoles: Consoles) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._consoles = consoles
        self.hooks = Hooks()
        self.settling = Settling(site, publishing, self.hooks)
        self.runs = Runs(site, self.settling, self.hooks)
        self._starting = Starting(site, volumes, publishing, self.hooks, self.settling, self.runs)

    async def start(self, name: str, *, failsafe: bool = False, moment: Moment | None = None, origin: str = "") -> None:
        """Start a machine's QEMU; `wait_ready` tells when its agent answers. `failsafe`: without its floppy.

        It goes on from `moment`, which is the caller's to close and has the name `origin`, or else from a template, if
        there is one, or else it boots. Raises WrongState when it runs already, or the moment is of another shape;
        Unavailable for what the host lacks, NoRoom for memory.
        """
        async with self._starting.locked(name):
            machine = self._shelf.get(name)
            if machine.state not in STARTABLE or machine.removing:
                raise WrongState(f"machine {name!r} is {machine.state}")
            machine = machine.with_(wanted=True, again_at=None, tries=0, failsafe=failsafe)
            held = None if failsafe or moment else machine.held
            async with self._starting.admitted(machine):
                if held is not None and await self._starting.become(machine, held):
                    return
                await self._starting.launch(await self._starting.let_go(machine), moment, origin)

    async def start_again(self, name: str, at: float) -> None:
        """Carry out a restart that was planned for this time, unless something else has happened meanwhile."""
        async with self._starting.locked(name):
            machine = self._shelf.find(name)
            if machine and machine.again_at == at and machine.state in STARTABLE and not machine.removing:
                machine = machine.with_(again_at=None, restarts=machine.restarts + 1)
                async with self._starting.admitted(machine):
                    await self._starting.launch(machine)

    async def wait_ready(self, name: str) -> None:
        """Until the agent answers; a machine that is not live is started. Raises Unavailable saying why it does not."""
        if self._shelf.get(name).state in STARTABLE:
            with suppress(WrongState):  # somebody else has started it just now
                await self.start(name)
        if self._shelf.get(name).state is State.STARTING and self.runs.find(name) is None:
            async with self._starting.locked(name):
                pass  # that start is on its way
        live = self.runs.find(name)
        if live is None:
            raise WrongState(f"machine {name!r} is {self._shelf.get(name).state}")
        await asyncio.shield(live.ready)
        live = self.runs.find(name) or live  # it may have been started once more
        if live.agent is not None and live.agent.entry.state != "none":
            with suppress(WeftError):  # between two answers its init has looked at its children
                await live.agent.ping(timeout=LAST_WORDS)
                await live.agent.ping(timeout=LAST_WORDS)
        if live.broken:
            raise Unavailable(f"machine {name!r}: its entry point could not be started: {live.broken}")

    async def stop(self, name: str, *, timeout: float | None = None, wanted: bool = False) -> None:
        """Ask for a power-off, then insist. When it is not running, it will not be started by itself any more.

        `wanted`: it is stopped with the fabric, and may be started with it.
        """
        machine = self._shelf.get(name)
        live = self.runs.find(name)
        if live is None or not machine.state.is_live:
            await self._give_up(await self._starting.let_go(machine))
            return
        async with self.runs.kept_running(name):
            machine = await self._begin_to_stop(name, wanted=wanted)
        grace = self._site.settings.stop_timeout if machine.spec.stop_timeout is None else machine.spec.stop_timeout
        grace = grace if timeout is None else timeout
        if machine.spec.is_foreign:
            ask = partial(ask_off, self._site, self._consoles, machine)
            grace = grace if has_to_end(machine) else 0.0
        else:
            ask = partial(self._ask_off, machine, live, grace)
        await stop_processes(processes_of(machine), ask=ask, ask_for=grace + SWITCH_OFF if grace else 0.0)
        await asyncio.shield(live.ended)

    async def kill(self, name: str) -> None:
        """End a machine's QEMU at once, as pulling the plug would."""
        machine = self._shelf.get(name)
        live = self.runs.find(name)
        if live is None or not machine.state.is_live:
            await self._give_up(await self._starting.let_go(machine))
            return
        async with self.runs.kept_running(name):
            machine = await self._begin_to_stop(name, wanted=False)
        await stop_processes(processes_of(machine), term_for=0)
        await asyncio.shield(live.ended)

    async def put_away(self, name: str) -> None:
        """End a machine whose moment lies on disk: it is suspended. Raises WrongState when it has ended meanwhile."""
        machine, live = self._shelf.get(name), self.runs.find(name)
        if live is None or machine.state is not State.RUNNING:
            raise WrongState(f"machine {name!r} is {machine.state}")
        machine = await self._shelf.save(machine.with_(suspending=True))
        await stop_processes(processes_of(machine), term_for=0)
        await asyncio.shield(live.ended)

    async def let_go(self, machine: MachineRecord) -> MachineRecord:
        """End a copy that a machine has and will not become. Nothing happens when it has none."""
        return await self._starting.let_go(machine)

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """Nothing starts this machine meanwhile."""
        async with self._starting.locked(name):
            yield

    async def _begin_to_stop(self, name: str, *, wanted: bool) -> MachineRecord:
        """On record, unless it has ended meanwhile."""
        machine = self._shelf.get(name)
        if not machine.state.is_live:
            return machine
        return await self._shelf.save(machine.with_(state=State.STOPPING, wanted=wanted and machine.wanted))

    async def _give_up(self, machine: MachineRecord) -> None:
        """A machine that waits to be started again waits no more, and one that is suspended is discarded."""
        if machine.state is State.SUSPENDED:
            await self._shelf.save(machine.with_(state=State.STOPPED, reason=DISCARDED, again_at=None, wanted=False))
            await self.settling.forget_moment(machine.name)
        elif machine.again_at is not None or machine.wanted:
            await self._shelf.save(machine.with_(again_at=None, wanted=False))

    async def _ask_off(self, machine: MachineRecord, live: Live, grace: float) -> None:
        """Ask the agent for a power-off; without one press the power button, which a machine with ACPI notices."""
        with suppress(Unavailable):  # it may have ended by itself just now
            if live.agent is not None:
                live.agent.shutdown("poweroff", grace=grace)
                return
            qmp = await open_qmp(self._site.layout.machine(machine.name).qmp)
            await qmp.powerdown()
            await qmp.close()
