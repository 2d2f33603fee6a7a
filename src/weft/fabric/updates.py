"""Another spec for a machine that is there: what can be is changed while it runs, the rest between two runs.

What is to be is on record before anything is done, so a daemon that dies in the middle leaves a machine that the next
one goes on with: it is what it was, or what it was to be.
"""

import asyncio
from collections import defaultdict

from weft.fabric.checks import Checks
from weft.fabric.foreign.media import exchange_media
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.limiting import Limiting
from weft.fabric.machines import Checked, Machines
from weft.fabric.nics import give_nics
from weft.fabric.ports import Ports
from weft.fabric.published import Publishing
from weft.fabric.records.machine import MachineRecord, NicRecord, SpecUpdate
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.model.errors import WeftError, WrongState
from weft.model.machine import MachineSpec, NicSpec, State
from weft.plan.update import SpecChange, match_nics, name_parts, plan_update


class Updates:
    """Changes specs of machines. One change of a machine at a time."""

    def __init__(
        self,
        site: Site,
        machines: Machines,
        ports: Ports,
        lifecycle: Lifecycle,
        volumes: Volumes,
        publishing: Publishing,
        checks: Checks,
        limiting: Limiting,
    ) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._machines = machines
        self._ports = ports
        self._lifecycle = lifecycle
        self._volumes = volumes
        self._publishing = publishing
        self._checks = checks
        self._limiting = limiting
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def plan(self, name: str, spec: MachineSpec) -> SpecChange:
        """What an update would change. Raises what it would raise for a spec that no machine can have here."""
        return plan_update(self._shelf.get(name).spec, (await self._machines.check(spec)).spec)

    async def update(self, name: str, spec: MachineSpec, *, restart: bool = False) -> SpecChange:
        """Give a machine another spec; what has changed. `restart`: stop and start it where that is needed.

        It keeps its name, its files, and its place on networks that it stays on. Raises NotFound, Invalid, NoRoom,
        WrongState (it would have to be restarted, or an insert stands where a NIC goes); nothing has changed then. It
        has the new spec when it does not start with it: Unavailable.
        """
        async with self._locks[name]:
            machine = self._shelf.get(name)
            checked = await self._machines.check(spec)
            change = plan_update(machine.spec, checked.spec)
            if not change.restart:
                await self._change_live(name, checked, change)
                return change
            self._check_running(machine, change, restart=restart)
            self._check_chains(machine, checked)
            self._check_ports(machine, checked)
            await self._volumes.ensure(checked.spec)
            update = SpecUpdate(spec=checked.spec, start=machine.state.is_live)
            await self._shelf.save(self._shelf.get(name).with_(change=update))
            await self._carry_out(name, update)
            return change

    async def adopt(self, name: str) -> None:
        """Go on with what an earlier daemon had begun."""
        async with self._locks[name]:
            machine = self._shelf.find(name)
            if machine and machine.change:
                await self._carry_out(name, machine.change)

    async def _change_live(self, name: str, checked: Checked, change: SpecChange) -> None:
        if not change.live:
            return
        async with self._lifecycle.locked(name):
            machine = self._shelf.get(name)
            if "foreign" in change.live and machine.state.is_live and checked.spec.foreign is not None:
                await exchange_media(self._site, machine, checked.spec.foreign)
            machine = await self._shelf.save(machine.with_(spec=checked.spec))
        if {"health", "no_health"} & set(change.live):
            await self._checks.renew(machine)
        if "expose" in change.live:
            await self._ports.callers.sync()
        if "limits" in change.live:
            await self._limiting.change(machine)
        self._tell(name, change)

    async def _carry_out(self, name: str, update: SpecUpdate) -> None:
        """Between two runs the record changes, and what hangs on it; the second run is on record before it begins."""
        if self._shelf.get(name).state.is_live:
            await self._lifecycle.stop(name, wanted=True)
        try:
            async with self._lifecycle.locked(name):
                change = await self._replace(self._shelf.get(name), update)
        except WeftError:
            await self._go_back(name, update)
            raise
        self._tell(name, change)
        if update.start:
            await self._lifecycle.start(name)

    async def _replace(self, machine: MachineRecord, update: SpecUpdate) -> SpecChange:
        checked = await self._machines.check(update.spec)
        change = plan_update(machine.spec, checked.spec)
        nics = await self._find_nics(machine, checked.nics) if "nics" in change.parts else machine.nics
        if nics != machine.nics:
            await self._ports.detach(machine)
        fresh = machine.with_(
            spec=checked.spec,
            kernel=checked.kernel,
            memory=checked.memory,
            nics=nics,
            published=() if "publish" in change.parts else machine.published,
            change=None,
            **self._start_again(machine, update),
        )
        fresh = await self._shelf.save(fresh)
        if nics != machine.nics:
            await self._wire(fresh)
            self._machines.tell_networks(machine)
            self._machines.tell_networks(fresh)
        await self._ports.sync_tables()
        return change

    async def _go_back(self, name: str, update: SpecUpdate) -> None:
        """It stays what it was, and runs if it did."""
        machine = self._shelf.find(name)
        if machine is None:
            return
        await self._shelf.save(machine.with_(change=None, **self._start_again(machine, update)))
        await self._wire(machine)
        if update.start:
            await self._lifecycle.start(name)

    async def _wire(self, machine: MachineRecord) -> None:
        await self._ports.attach(machine)
        await self._ports.splice_all(machine)

    async def _find_nics(self, machine: MachineRecord, wanted: tuple[NicSpec, ...]) -> tuple[NicRecord, ...]:
        """NICs that stay have the MAC and the addresses they had, unless they are to have others."""
        old = [NicSpec(network=nic.network, role=nic.role) for nic in machine.nics]
        kept = match_nics(old, wanted)
        await self._machines.find_networks(wanted)
        places = [None if place is None else machine.nics[place] for place in kept]
        return give_nics(self._site, machine.name, wanted, places)

    def _check_running(self, machine: MachineRecord, change: SpecChange, *, restart: bool) -> None:
        parts = name_parts(change.restart, system=change.system)
        if machine.state is State.SUSPENDED:
            what = f"machine {machine.name!r} is suspended, and could not go on with another {parts}"
            raise WrongState(what, hint="weft stop discards what it was")
        if machine.state.is_live and not restart:
            sized = machine.spec.elastic is not None and {"cpus", "memory"} & set(change.restart)
            hint = f"{_HINT}; within its range weft scale changes its size while it runs" if sized else _HINT
            raise WrongState(f"machine {machine.name!r} would have to be restarted for another {parts}", hint=hint)

    def _check_chains(self, machine: MachineRecord, checked: Checked) -> None:
        """An insert stands at the port of a NIC, on the network that this is on. Raises WrongState."""
        if checked.spec.nics == machine.spec.nics:
            return
        for insert in self._site.shelves.inserts:
            nic = insert.port.nic
            stays = nic < len(checked.nics) and checked.nics[nic].network == machine.nics[nic].network
            if insert.port.machine == machine.name and not stays:
                raise WrongState(f"insert {insert.name!r} is at {insert.port}, which goes", hint="eject it first")

    def _check_ports(self, machine: MachineRecord, checked: Checked) -> None:
        """Whether it could have the ports that it has not yet. Raises Exists, Invalid, Unavailable."""
        new = tuple(port for port in checked.spec.publish if port not in machine.spec.publish)
        spec = checked.spec.model_copy(update={"publish": new})
        self._publishing.check(spec, on_network=any(nic.network for nic in checked.nics))

    def _start_again(self, machine: MachineRecord, update: SpecUpdate) -> dict[str, object]:
        return {"again_at": self._site.clock(), "wanted": True} if update.start else {"again_at": machine.again_at}

    def _tell(self, name: str, change: SpecChange) -> None:
        parts = [name_parts(names, "policy", change.system) for names in (change.live, change.restart)]
        text = f"machine {name} has another {', '.join(filter(None, parts))}"
        self._site.events.publish("machine.changed", name, text, parts=list(change.parts))


_HINT = "--restart-now does that"
