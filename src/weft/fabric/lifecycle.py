"""The life of machines: start, wait until ready, notice the end, stop. States change only here.

created ──start──▶ starting ──agent answers──▶ running ──stop──▶ stopping ──▶ stopped
   ▲                  │                           │                            │
   └── start again ◀──┴──▶ failed ◀── QEMU died ──┴──▶ stopped (powered off) ──┘

A machine that is running can be suspended, and is starting again when it is resumed, or stopped when it is discarded.
Whether a machine is started again by itself is for `restarts` to say, which is told of every end.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from weft.fabric.endings import (
    UNSEEN,
    end_of_run,
    entry_exit,
    exit_of,
    leftovers,
    remove_group,
    remove_moment,
    remove_sockets,
)
from weft.fabric.launch import hold, introduce, load_settings
from weft.fabric.logs import read_tail
from weft.fabric.moments.moment import Moment
from weft.fabric.moments.waking import mend, rouse, wake
from weft.fabric.mounts import watch_server
from weft.fabric.published import Publishing
from weft.fabric.records import CaptureRecord, Holding, MachineRecord, Stamp
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.guest.agent import Agent
from weft.guest.becoming import Become
from weft.guest.connecting import open_agent
from weft.guest.protocol import EntryStatus, MachineEvent
from weft.host.pids import ExitWatch, ProcessId, stop_processes, watch_exit
from weft.host.qemu import open_qmp
from weft.model.errors import Invalid, NotFound, Unavailable, WeftError, WrongState
from weft.model.machine import Exit, State
from weft.model.template import ORIGIN

log = logging.getLogger(__name__)

LAST_WORDS = 0.5
"""Seconds to read what the agent still said before its machine went, how the entry point ended above all."""
REACH = 10.0
"""Seconds for the agent of a machine that was adopted to answer whoever wants it."""
SWITCH_OFF = 2.0
"""Seconds that a machine gets to write back and switch off, when its program had to be killed in the end."""
WAKE_TIMEOUT = 20.0
"""Seconds for a template's copy to be ready; it takes a fraction of one, and can be booted instead."""
DISCARDED = "what it was when it was suspended is discarded"
STARTABLE = (State.CREATED, State.STOPPED, State.FAILED, State.SUSPENDED)
Hook = Callable[[MachineRecord], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Waking:
    """What a machine that goes on from a moment has yet to get: who it is, unless it is still the same, and the state
    of its devices, if it has not got that already.
    """

    device: bytes | None
    become: Become | None


@dataclass(slots=True)
class Live:
    """What the daemon holds of a machine that runs."""

    watch: ExitWatch
    ended: asyncio.Task[None]
    serving: asyncio.Task[None]
    ready: asyncio.Future[None]
    agent: Agent | None = None
    entry: Exit | None = None
    broken: str = ""
    stuck: str = ""
    """Why it did not become ready."""


class Lifecycle:
    """Starts and stops machines, and adopts those that an earlier daemon started."""

    def __init__(self, site: Site, volumes: Volumes, publishing: Publishing) -> None:
        self._site = site
        self._volumes = volumes
        self._shelf = site.shelves.machines
        self._publishing = publishing
        self._live: dict[str, Live] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.before_ready: list[Callable[[MachineRecord, Agent], Awaitable[None]]] = []
        self.on_commit: Callable[[str, str], Awaitable[None]] = _refuse_commit
        self.on_event: Callable[[str, MachineEvent], None] = lambda _name, _event: None
        self.find_template: Callable[[MachineRecord], Awaitable[Moment | None]] = _find_none
        """What a machine that is started goes on from when nothing else was said; it is not closed here."""
        self.on_bad_template: Callable[[MachineRecord, str], None] = lambda _machine, _reason: None
        """A machine could not go on from its template, and is booted instead."""
        self.load_suspended: Callable[[MachineRecord], Awaitable[Moment]] = _find_nothing
        """What a machine that is suspended goes on from."""
        self.on_ready: list[Hook] = []
        self.on_moved: list[Hook] = []
        """Told when a machine goes on in another process than before."""
        self.on_end: list[Hook] = []

    async def start(self, name: str, *, failsafe: bool = False, moment: Moment | None = None, origin: str = "") -> None:
        """Start a machine's QEMU; `wait_ready` tells when its agent answers. `failsafe`: without its floppy.

        It goes on from `moment`, which is the caller's to close and has the name `origin`, or else from a template, if
        there is one, or else it boots. Raises WrongState when it runs already, or the moment is of another shape;
        Unavailable for what the host lacks.
        """
        async with self._locks[name]:
            machine = self._shelf.get(name)
            if machine.state not in STARTABLE or machine.removing:
                raise WrongState(f"machine {name!r} is {machine.state}")
            machine = machine.with_(wanted=True, again_at=None, tries=0, failsafe=failsafe)
            if (
                machine.held is not None
                and not failsafe
                and moment is None
                and await self._rouse(machine, machine.held)
            ):
                return
            await self._launch(await self.let_go(machine), moment, origin)

    async def start_again(self, name: str, at: float) -> None:
        """Carry out a restart that was planned for this time, unless something else has happened meanwhile."""
        async with self._locks[name]:
            machine = self._shelf.find(name)
            if machine and machine.again_at == at and machine.state in STARTABLE and not machine.removing:
                await self._launch(machine.with_(again_at=None, restarts=machine.restarts + 1))

    async def wait_ready(self, name: str) -> None:
        """Until the agent answers; a machine that is not live is started. Raises Unavailable saying why it does not."""
        if self._shelf.get(name).state in STARTABLE:
            with suppress(WrongState):  # somebody else has started it just now
                await self.start(name)
        if self._shelf.get(name).state is State.STARTING and name not in self._live:
            async with self._locks[name]:
                pass  # that start is on its way
        live = self._live.get(name)
        if live is None:
            raise WrongState(f"machine {name!r} is {self._shelf.get(name).state}")
        await asyncio.shield(live.ready)
        live = self._live.get(name, live)  # it may have been started once more
        if live.agent is not None:
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
        live = self._live.get(name)
        if live is None or not machine.state.is_live:
            await self._give_up(await self.let_go(machine))
            return
        async with self.kept_running(name):
            machine = await self._begin_to_stop(name, wanted=wanted)
        grace = self._site.settings.stop_timeout if machine.spec.stop_timeout is None else machine.spec.stop_timeout
        grace = grace if timeout is None else timeout
        ask = partial(self._ask_off, machine, live, grace)
        await stop_processes(self._processes(machine), ask=ask, ask_for=grace + SWITCH_OFF if grace else 0.0)
        await asyncio.shield(live.ended)

    async def kill(self, name: str) -> None:
        """End a machine's QEMU at once, as pulling the plug would."""
        machine = self._shelf.get(name)
        live = self._live.get(name)
        if live is None or not machine.state.is_live:
            await self._give_up(await self.let_go(machine))
            return
        async with self.kept_running(name):
            machine = await self._begin_to_stop(name, wanted=False)
        await stop_processes(self._processes(machine), term_for=0)
        await asyncio.shield(live.ended)

    async def _begin_to_stop(self, name: str, *, wanted: bool) -> MachineRecord:
        """On record, unless it has ended meanwhile."""
        machine = self._shelf.get(name)
        if not machine.state.is_live:
            return machine
        return await self._shelf.save(machine.with_(state=State.STOPPING, wanted=wanted and machine.wanted))

    async def put_away(self, name: str) -> None:
        """End a machine whose moment lies on disk: it is suspended. Raises WrongState when it has ended meanwhile."""
        machine, live = self._shelf.get(name), self._live.get(name)
        if live is None or machine.state is not State.RUNNING:
            raise WrongState(f"machine {name!r} is {machine.state}")
        machine = await self._shelf.save(machine.with_(suspending=True))
        await stop_processes(self._processes(machine), term_for=0)
        await asyncio.shield(live.ended)

    async def _give_up(self, machine: MachineRecord) -> None:
        """A machine that waits to be started again waits no more, and one that is suspended is discarded."""
        if machine.state is State.SUSPENDED:
            await self._shelf.save(machine.with_(state=State.STOPPED, reason=DISCARDED, again_at=None, wanted=False))
            await self._forget_moment(machine.name)
        elif machine.again_at is not None or machine.wanted:
            await self._shelf.save(machine.with_(again_at=None, wanted=False))

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

    async def reach(self, name: str) -> Agent:
        """The machine's agent; one that was adopted a moment ago may be about to answer. Raises what `agent` raises."""
        live = self._live.get(name)
        if live is not None and live.agent is None and self._shelf.get(name).state is State.RUNNING:
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
            for hook in self.on_moved:
                await hook(machine)

    def serve_anew(self, name: str) -> None:
        """Begin another conversation with a machine's agent."""
        if live := self._live.get(name):
            live.serving.cancel()
            live.ready = _new_future()
            live.serving = self._site.tasks.start(self._serve_agent(self._shelf.get(name), live, None), f"agent-{name}")

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """Nothing starts this machine meanwhile."""
        async with self._locks[name]:
            yield

    async def adopt(self, machine: MachineRecord, *, same_boot: bool) -> None:
        """Take over a machine that an earlier daemon left in a live state, or note that it has ended. A copy that it
        has not become is ended.
        """
        if machine.held is not None and not machine.state.is_live:
            await self.let_go(machine)
            return
        monitor = machine.monitor
        if not same_boot or monitor is None or not monitor.id.alive():
            await self._tell_end(await self._settle(machine, Exit(reason=UNSEEN)))
            return
        if machine.suspending:
            await stop_processes(self._processes(machine), term_for=0)
            await self._tell_end(await self._settle(machine, Exit(reason=UNSEEN)))
            return
        machine = await mend(self._site, machine)
        if machine.capture is not None:
            self._site.tasks.start(rouse(self._site, machine), f"rouse-{machine.name}")
        if machine.state is State.STARTING and (machine.origin or machine.resuming):
            await self._drop_half_woken(machine)
            return
        await self._forget_moment(machine.name)  # it was not suspended after all, or has gone on
        self._attend(machine, watch_exit(monitor.id))
        await self._publishing.adopt(machine)
        if machine.state is State.STOPPING:
            self._site.tasks.start(self.stop(machine.name), f"stop-{machine.name}")

    async def _drop_half_woken(self, machine: MachineRecord) -> None:
        """What it was to go on from has ended with the daemon that held it: a template's copy is started anew."""
        await stop_processes(self._processes(machine), term_for=0)
        machine = await self._settle(
            machine, Exit(reason=f"the daemon ended before it had gone on from {machine.origin}")
        )
        if machine.origin.startswith(ORIGIN) and not machine.removing:
            self._site.tasks.start(self.start(machine.name), f"start-{machine.name}")
        else:
            await self._tell_end(machine)

    def release(self) -> None:
        """Let go of all machines without touching them: the daemon ends, they do not."""
        for live in self._live.values():
            live.watch.close()

    async def _rouse(self, machine: MachineRecord, held: Holding) -> bool:
        """Let the copy that a machine was given become it. Whether it can: if not, the machine starts otherwise."""
        fresh = {"exit": None, "reason": "", "ready": None, "origin": f"{machine.origin}, pooled"}
        machine = await self._shelf.save(machine.with_(state=State.STARTING, started=self._site.clock(), **fresh))
        monitor = machine.monitor
        try:
            if monitor is None or not monitor.id.alive():
                raise Unavailable("the copy has ended")
            machine = await self._publishing.open(machine)
            become, noted = await introduce(self._site, machine, held.macs)
        except WeftError as err:
            log.warning("machine %s does not become copy %s: %s", machine.name, held.copy_name, err)
            return False
        machine = await self._shelf.save(machine.with_(**noted))
        self._attend(machine, watch_exit(monitor.id), Waking(None, become))
        return True

    async def let_go(self, machine: MachineRecord) -> MachineRecord:
        """End a copy that a machine has and will not become. Nothing happens when it has none."""
        if machine.held is None:
            return machine
        await stop_processes(self._processes(machine), term_for=0)
        await remove_group(self._site.cgroups.group(machine.group_name))
        remove_sockets(self._site.layout.machine(machine.name))
        return await self._shelf.save(machine.with_(held=None, group="", monitor=None, qemu=None))

    async def _launch(
        self, machine: MachineRecord, moment: Moment | None = None, origin: str = "", instead: "Live | None" = None
    ) -> MachineRecord:
        """Start it. `instead` of a run that came to nothing: it boots, and who waits for that waits for this."""
        now = self._site.clock()
        resuming = machine.state is State.SUSPENDED and moment is None
        fresh = {"exit": None, "reason": "", "ready": None, "monitor": None, "qemu": None, "origin": origin}
        if instead is not None:
            fresh["reason"] = f"booted, since it could not go on from {machine.origin}: {instead.stuck}"
        machine = await self._shelf.save(machine.with_(state=State.STARTING, started=now, resuming=resuming, **fresh))
        with ExitStack() as closing:
            try:
                machine = await self._publishing.open(machine)
                if resuming:
                    moment = await self.load_suspended(machine)
                    closing.callback(moment.close)
                machine, settings = await load_settings(self._site, machine, moment)
                if moment is None and instead is None and not machine.spec.cold:
                    moment = await self.find_template(machine)
                    machine = machine.with_(origin=moment.origin if moment else "")
                held = await hold(self._site, self._volumes, machine, moment, settings)
            except WeftError as err:
                await self._settle(machine, Exit(reason=err.message))
                raise
        monitor = Stamp.of(held.latched.process)
        servers = tuple(Stamp.of(server.process) for server in held.servers)
        noted = {"monitor": monitor, "servers": servers, "limits": held.limits, "booted": held.booted, **held.settings}
        machine = await self._shelf.save(machine.with_(**noted))
        for process in (*held.servers, held.latched):
            process.release()
        waking = Waking(moment.device, None if resuming else held.become) if moment else None
        self._attend(machine, held.latched.watch, waking, instead.ready if instead else None)
        return machine

    def _attend(
        self,
        machine: MachineRecord,
        watch: ExitWatch,
        waking: Waking | None = None,
        ready: "asyncio.Future[None] | None" = None,
    ) -> None:
        ready = ready or _new_future()
        ended = self._site.tasks.start(self._await_end(machine.name, watch), f"watch-{machine.name}")
        live = Live(watch, ended, ended, ready)
        self._live[machine.name] = live
        live.serving = self._site.tasks.start(self._serve_agent(machine, live, waking), f"agent-{machine.name}")
        for number in range(len(machine.servers)):
            self._site.tasks.start(watch_server(self._site, machine, number, ended), f"folder-{machine.name}")

    async def _serve_agent(self, machine: MachineRecord, live: Live, waking: Waking | None) -> None:
        """Open the agent, say that the machine is ready, and hold the connection while it lasts."""
        if waking is not None:
            self._site.tasks.start(self._wake(machine, live, waking.device), f"wake-{machine.name}")
        path = self._site.layout.machine(machine.name).agent
        timeout = self._site.settings.boot_timeout
        if waking is not None and machine.origin.startswith(ORIGIN):
            timeout = min(timeout, WAKE_TIMEOUT)
        try:
            async with open_agent(
                path,
                timeout=timeout,
                on_entry=partial(self._on_entry, machine.name),
                on_commit=partial(self.on_commit, machine.name),
                on_event=partial(self.on_event, machine.name),
                become=waking.become if waking else None,
            ) as agent:
                live.agent = agent
                self._on_entry(machine.name, agent.entry)
                await self._prepare(machine.name, agent)
                await self._note_ready(machine.name)
                live.ready.set_result(None)
                await agent.closed
        except WeftError as err:
            await self._on_silence(machine, live, err)
        finally:
            live.agent = None

    async def _wake(self, machine: MachineRecord, live: Live, device: bytes | None) -> None:
        """Let a machine go on from its moment; one that cannot is ended."""
        try:
            await wake(self._site.layout.machine(machine.name).qmp, device, partial(self._note_woken, machine.name))
        except WeftError as err:
            live.stuck = err.message
            live.entry = Exit(reason=f"it could not go on from {machine.origin}: {err.message}")
            await stop_processes(self._processes(machine), term_for=0)

    async def _forget_moment(self, name: str) -> None:
        await asyncio.to_thread(remove_moment, self._site.layout.machine(name))

    async def _note_woken(self, name: str) -> None:
        """What it went on from is void from now on, and who finds it standing still lets it go on."""
        machine = self._shelf.get(name)
        if machine.resuming:
            await self._shelf.save(machine.with_(resuming=False, capture=CaptureRecord()))
            await self._forget_moment(name)

    async def _prepare(self, name: str, agent: Agent) -> None:
        """What a machine that has just been started is told before anybody is told of it."""
        machine = self._shelf.get(name)
        if machine.state is State.STARTING:
            for hook in self.before_ready:
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
        for hook in self.on_ready:
            await hook(machine)

    async def _on_silence(self, machine: MachineRecord, live: Live, err: WeftError) -> None:
        """The agent did not answer. A machine that was running before, and was adopted, is not ended for that."""
        if machine.ready is not None:
            self._site.events.publish("machine.silent", machine.name, f"agent of {machine.name}: {err.message}")
        else:
            live.stuck = live.stuck or err.message
            await stop_processes(self._processes(machine), term_for=0)
            await asyncio.shield(live.ended)
        if not live.ready.done():
            live.ready.set_exception(self._failure(machine, f"did not become ready: {err.message}"))

    def _on_entry(self, name: str, entry: EntryStatus) -> None:
        """Remember how the entry point ended: QEMU's own status does not tell."""
        live = self._live.get(name)
        if live is None or entry.state not in ("exited", "waiting") or entry.last is None:
            return
        live.broken = entry.reason or ""
        if entry.state == "waiting" or live.entry is not None:
            return
        live.entry = entry_exit(entry, entry.last)
        self._site.events.publish("machine.entry", name, f"entry point of {name} ended", code=entry.last.shell_code)

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
            await self._boot_instead(machine, live)
            return
        log = self._site.layout.machine(name).log
        machine = await self._settle(machine, live.entry or exit_of(machine, status, read_tail(log)))
        del self._live[name]
        if not live.ready.done():
            live.ready.set_exception(self._failure(machine, f"ended before its agent answered: {machine.reason}"))
        await self._tell_end(machine)

    async def _boot_instead(self, machine: MachineRecord, live: Live) -> None:
        """A copy did not become ready: it boots, once, and is given to whoever waits for it."""
        name = machine.name
        live.stuck = live.stuck or "its QEMU ended"
        self.on_bad_template(machine, live.stuck)
        async with self._locks[name]:
            machine = (await self._tidy(machine)).with_(held=None, group="")
            del self._live[name]
            try:
                await self._launch(machine, instead=live)
            except WeftError as err:
                machine = self._shelf.get(name)
                live.ready.set_exception(err)
                await self._tell_end(machine)
                return
        await self.wait_end(name)

    async def _settle(self, machine: MachineRecord, exit: Exit) -> MachineRecord:
        """A run is over, or never came to be: tidy up what it had on the host, and say so."""
        machine = await self._tidy(machine)
        machine = self._shelf.find(machine.name) or machine  # its spec may have been changed meanwhile
        machine = await self._shelf.save(end_of_run(machine, exit))
        what = "suspended" if machine.state is State.SUSPENDED else "ended"
        text = f"machine {machine.name} {what}: {machine.reason}".removesuffix(": ")
        self._site.events.publish(f"machine.{what}", machine.name, text)
        return machine

    async def _tidy(self, machine: MachineRecord) -> MachineRecord:
        """Take away what a run had on the host."""
        await self._publishing.close(machine)
        group = self._site.cgroups.group(machine.group_name)
        await stop_processes(leftovers(machine, group.pids()), term_for=0)
        await remove_group(group)
        machine = await mend(self._site, machine)
        remove_sockets(self._site.layout.machine(machine.name))
        return machine

    async def _ask_off(self, machine: MachineRecord, live: Live, grace: float) -> None:
        """Ask the agent for a power-off; without one press the power button, which a machine with ACPI notices."""
        with suppress(Unavailable):  # it may have ended by itself just now
            if live.agent is not None:
                live.agent.shutdown("poweroff", grace=grace)
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


def _new_future() -> "asyncio.Future[None]":
    """One that may fail though nobody waits."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


async def _find_nothing(machine: MachineRecord) -> Moment:
    raise NotFound(f"machine {machine.name!r} is suspended, and nothing of it is there")


async def _find_none(_machine: MachineRecord) -> None:
    """There are no templates."""


async def _refuse_commit(_name: str, _text: str) -> None:
    raise Invalid("nothing of this machine is kept")
