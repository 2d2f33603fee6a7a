"""Starting machines: from a moment, from a template or a copy of one that they were given, or by a boot."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

from weft.fabric.elastic.beginning import begin_elastic
from weft.fabric.endings import processes_of, remove_group, remove_sockets
from weft.fabric.foreign.holding import hold_foreign
from weft.fabric.hooks import Hooks
from weft.fabric.launch import hold, introduce, load_settings
from weft.fabric.live import Live, Waking
from weft.fabric.moments.moment import Moment
from weft.fabric.published import Publishing
from weft.fabric.records.machine import Holding, MachineRecord
from weft.fabric.records.record import Stamp
from weft.fabric.runs import Runs
from weft.fabric.settling import Settling
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.host.pids import stop_processes, watch_exit
from weft.model.errors import Internal, NoRoom, Unavailable, WeftError
from weft.model.machine import Exit, State

log = logging.getLogger(__name__)


class Starting:
    """Starts machines of one room. Whether they may be started is for `lifecycle` to say."""

    def __init__(
        self, site: Site, volumes: Volumes, publishing: Publishing, hooks: Hooks, settling: Settling, runs: Runs
    ) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._volumes = volumes
        self._publishing = publishing
        self._hooks = hooks
        self._settling = settling
        self._runs = runs
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        runs.boot_instead = self._boot_instead

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """Nothing starts this machine meanwhile, but who has locked it."""
        async with self._locks[name]:
            yield

    @asynccontextmanager
    async def admitted(self, machine: MachineRecord) -> AsyncIterator[None]:
        """The host promises a machine that is about to start its memory. Raises NoRoom, which is on record then as the
        end of this run."""
        async with AsyncExitStack() as promise:
            try:
                await promise.enter_async_context(self._site.ledger.starting(self._site.room, machine))
            except NoRoom as err:
                resuming = machine.state is State.SUSPENDED
                machine = (await self.let_go(machine)).with_(started=self._site.clock(), resuming=resuming)
                await self._settling.settle(await self._shelf.save(machine), Exit(reason=err.message))
                raise
            yield

    async def launch(
        self, machine: MachineRecord, moment: Moment | None = None, origin: str = "", instead: Live | None = None
    ) -> MachineRecord:
        """Start it. `instead` of a run that came to nothing: it boots, and who waits for that waits for this.

        Raises WeftErrors, which are on record then as the end of this run.
        """
        now = self._site.clock()
        resuming = machine.state is State.SUSPENDED and moment is None
        fresh: dict[str, object] = {"exit": None, "reason": "", "ready": None, "monitor": None, "qemu": None}
        fresh |= {"origin": origin, "elastic": begin_elastic(self._site, machine)}
        if instead is not None:
            fresh["reason"] = f"booted, since it could not go on from {machine.origin}: {instead.stuck}"
        machine = await self._shelf.save(machine.with_(state=State.STARTING, started=now, resuming=resuming, **fresh))
        with ExitStack() as closing:
            try:
                machine = await self._publishing.open(machine)
                for hook in self._hooks.before_start:
                    await hook(machine)
                if resuming:
                    moment = await self._hooks.load_suspended(machine)
                    closing.callback(moment.close)
                if machine.spec.is_foreign:
                    held = await hold_foreign(self._site, machine)
                else:
                    machine, settings = await load_settings(self._site, machine, moment)
                    if moment is None and instead is None and not (machine.spec.cold or machine.spec.pxe):
                        moment = await self._hooks.find_template(machine)
                        machine = machine.with_(origin=moment.origin if moment else "")
                    held = await hold(self._site, self._volumes, machine, moment, settings)
            except Exception as err:  # whatever it is, this run is over
                failure = _explain(machine.name, err)
                await self._settling.settle(machine, Exit(reason=failure.message))
                if failure is err:
                    raise
                raise failure from err
        monitor = Stamp.of(held.latched.process)
        servers = tuple(Stamp.of(server.process) for server in held.servers)
        noted = {"monitor": monitor, "servers": servers, "limits": held.limits, "booted": held.booted, **held.settings}
        machine = await self._shelf.save(machine.with_(**noted))
        for process in (*held.servers, held.latched):
            process.release()
        waking = Waking(moment.device, None if resuming else held.become) if moment else None
        self._runs.attend(machine, held.latched.watch, waking, instead.ready if instead else None)
        return machine

    async def become(self, machine: MachineRecord, held: Holding) -> bool:
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
        self._runs.attend(machine, watch_exit(monitor.id), Waking(None, become))
        return True

    async def let_go(self, machine: MachineRecord) -> MachineRecord:
        """End a copy that a machine has and will not become. Nothing happens when it has none."""
        if machine.held is None:
            return machine
        await stop_processes(processes_of(machine), term_for=0)
        await remove_group(self._site.cgroups.group(machine.group_name))
        remove_sockets(self._site.layout.machine(machine.name))
        return await self._shelf.save(machine.with_(held=None, group="", monitor=None, qemu=None))

    async def _boot_instead(self, machine: MachineRecord, live: Live) -> None:
        """A copy did not become ready: it boots, once, and is given to whoever waits for it."""
        name = machine.name
        live.stuck = live.stuck or "its QEMU ended"
        self._hooks.on_bad_template(machine, live.stuck)
        async with self.locked(name):
            machine = (await self._settling.tidy(machine)).with_(held=None, group="")
            self._runs.give_up(name)
            try:
                await self.launch(machine, instead=live)
            except WeftError as err:
                machine = self._shelf.get(name)
                live.ready.set_exception(err)
                await self._settling.tell_end(machine)
                return
        await self._runs.wait_end(name)


def _explain(name: str, err: Exception) -> WeftError:
    """Why a machine could not be started. What nobody has thought of is in the log, too."""
    if isinstance(err, WeftError):
        return err
    if isinstance(err, OSError):  # a disk that is full, or whatever else a host can lack
        what = f"{err.filename}: " if err.filename else ""
        return Unavailable(f"machine {name!r} cannot be started: {what}{err.strerror or err}")
    log.error("machine %s cannot be started", name, exc_info=err)
    return Internal(f"machine {name!r} cannot be started: {err!r}")
