"""The conversation with a machine's agent, from the first answer to the last word."""

import asyncio
from functools import partial

from weft.fabric.endings import entry_exit, explain_unready, processes_of
from weft.fabric.foreign.running import wait_cause, wait_running
from weft.fabric.hooks import Hooks
from weft.fabric.live import Live, Waking
from weft.fabric.moments.waking import wake
from weft.fabric.records.machine import CaptureRecord, MachineRecord
from weft.fabric.records.record import Stamp
from weft.fabric.settling import Settling
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.guest.connecting import open_agent
from weft.guest.protocol import EntryStatus
from weft.host.pids import stop_processes
from weft.model.errors import WeftError
from weft.model.machine import Exit, State
from weft.model.template import ORIGIN

WAKE_TIMEOUT = 20.0
"""Seconds for a template's copy to be ready; it takes a fraction of one, and can be booted instead."""


class Serving:
    """Talks to the agents of machines that run, and lets those go on that were started from a moment."""

    def __init__(self, site: Site, settling: Settling, hooks: Hooks) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._settling = settling
        self._hooks = hooks

    async def serve(self, machine: MachineRecord, live: Live, waking: Waking | None) -> None:
        """Open the agent, say that the machine is ready, and hold the connection while it lasts."""
        if waking is not None:
            self._site.tasks.start(self._wake(machine, live, waking.device), f"wake-{machine.name}")
        path = self._site.layout.machine(machine.name).agent
        timeout = self._site.settings.boot_timeout
        if waking is not None and machine.origin.startswith(ORIGIN):
            timeout = min(timeout, WAKE_TIMEOUT)
        for hook in self._hooks.on_begin:
            await hook(machine)
        if machine.spec.is_foreign:
            await self._serve_foreign(machine, live)
            return
        try:
            async with open_agent(
                path,
                timeout=timeout,
                on_entry=partial(self._on_entry, machine.name, live),
                on_commit=partial(self._hooks.on_commit, machine.name),
                on_event=partial(self._hooks.on_event, machine.name),
                become=waking.become if waking else None,
            ) as agent:
                live.agent = agent
                self._on_entry(machine.name, live, agent.entry)
                await self._prepare(machine.name, agent)
                await self._note_ready(machine.name)
                live.ready.set_result(None)
                await agent.closed
        except WeftError as err:
            await self._on_silence(machine, live, err)
        finally:
            live.agent = None

    async def _serve_foreign(self, machine: MachineRecord, live: Live) -> None:
        """Nobody inside says that it is ready: it is as soon as its processors run. Nor does anybody say how it ended:
        its QEMU is listened to from the start.
        """
        files, timeout = self._site.layout.machine(machine.name), self._site.settings.boot_timeout
        listening = self._site.tasks.start(wait_cause(files.events, timeout), f"events-{machine.name}")
        try:
            await wait_running(files.qmp, timeout)
            await self._note_ready(machine.name)
            live.ready.set_result(None)
        except WeftError as err:
            await self._on_silence(machine, live, err)
        live.cause = await listening

    async def _wake(self, machine: MachineRecord, live: Live, device: bytes | None) -> None:
        """Let a machine go on from its moment; one that cannot is ended."""
        try:
            await wake(self._site.layout.machine(machine.name).qmp, device, partial(self._note_woken, machine.name))
        except WeftError as err:
            live.stuck = err.message
            live.entry = Exit(reason=f"it could not go on from {machine.origin}: {err.message}")
            await stop_processes(processes_of(machine), term_for=0)

    async def _note_woken(self, name: str) -> None:
        """What it went on from is void from now on, and who finds it standing still lets it go on."""
        machine = self._shelf.get(name)
        if machine.resuming:
            await self._shelf.save(machine.with_(resuming=False, capture=CaptureRecord()))
            await self._settling.forget_moment(name)

    async def _prepare(self, name: str, agent: Agent) -> None:
        """What a machine that has just been started is told before anybody is told of it."""
        machine = self._shelf.get(name)
        if machine.state is State.STARTING:
            for hook in self._hooks.before_ready:
                await hook(machine, agent)

    async def _note_ready(self, name: str) -> None:
        machine = self._shelf.get(name)
        children = machine.monitor.id.children() if machine.monitor else []
        qemu = Stamp.of(children[0]) if children else machine.monitor
        fresh = machine.state is State.STARTING
        ready = machine.ready or self._site.clock()
        state = State.RUNNING if fresh else machine.state
        noted = {"state": state, "qemu": qemu, "ready": ready, "held": None}
        machine = await self._shelf.save(machine.with_(**noted, capture=None if fresh else machine.capture))
        if fresh:
            self._site.events.publish("machine.ready", name, f"machine {name} is ready")
        for hook in self._hooks.on_ready:
            await hook(machine)

    async def _on_silence(self, machine: MachineRecord, live: Live, err: WeftError) -> None:
        """The agent did not answer. A machine that was running before, and was adopted, is not ended for that."""
        if machine.ready is not None:
            self._site.events.publish("machine.silent", machine.name, f"agent of {machine.name}: {err.message}")
        else:
            live.stuck = live.stuck or err.message
            await stop_processes(processes_of(machine), term_for=0)
            await asyncio.shield(live.ended)
        if not live.ready.done():
            files = self._site.layout.machine(machine.name)
            live.ready.set_exception(explain_unready(machine, files, f"did not become ready: {err.message}"))

    def _on_entry(self, name: str, live: Live, entry: EntryStatus) -> None:
        """Remember how the entry point ended: QEMU's own status does not tell."""
        if entry.state not in ("exited", "waiting") or entry.last is None:
            return
        live.broken = entry.reason or ""
        if entry.state == "waiting" or live.entry is not None:
            return
        live.entry = entry_exit(entry, entry.last)
        self._site.events.publish("machine.entry", name, f"entry point of {name} ended", code=entry.last.shell_code)
