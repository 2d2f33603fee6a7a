"""Inserts: appliances slipped into a port's chain, watched, and taken out again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from weft.fabric.hearts import Hearts
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.machines import Machines
from weft.fabric.ports import Ports
from weft.fabric.records import FirstSettings, InsertRecord, MachineRecord
from weft.fabric.settings.creating import check_insert
from weft.fabric.site import Site
from weft.model.errors import Exists, Invalid, Unavailable, WeftError, WrongState
from weft.model.image import NicRole, have_sides
from weft.model.insert import FailPolicy, InsertSpec, InsertState, InsertView, Mode, PortView
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.names import PortName, parse_port
from weft.plan.heart import Verdict

SIDES = (NicSpec(role=NicRole.NETWORK), NicSpec(role=NicRole.MACHINE))
REASONS = {Verdict.HUNG: "it lets no frames through", Verdict.STOPPED: "its process was stopped or has ended"}


class Inserts:
    """The inserts of a fabric. Each has an appliance machine of the same name."""

    def __init__(self, site: Site, machines: Machines, ports: Ports, lifecycle: Lifecycle, hearts: Hearts) -> None:
        self._site = site
        self._shelf = site.shelves.inserts
        self._machines = machines
        self._ports = ports
        self._lifecycle = lifecycle
        self._hearts = hearts
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._bringing: dict[str, asyncio.Task[None]] = {}
        self.move: Callable[[str, Mapping[str, Any]], Awaitable[None]] = _move_nothing
        """Tells a parked appliance that it is to stand elsewhere, with other settings."""
        hearts.tell = self.on_verdict

    def choose_name(self, stem: str) -> str:
        """A name that neither an insert nor a machine has: the stem itself, or with a number."""
        taken = {record.name for record in self._shelf} | {record.name for record in self._site.shelves.machines}
        return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, 10_000))) if name not in taken)

    async def create(self, spec: InsertSpec, *, ephemeral: bool = False, stands_for: str = "") -> "asyncio.Task[None]":
        """Record an insert and begin to bring it in; the task ends when frames flow through it, or says why not.

        `stands_for`: another name that a fabric file knows it by.

        Raises NotFound, Exists, Invalid or WrongState at once, with nothing begun.
        """
        port = self._checked_port(spec)
        now = self._site.clock()
        chain = self._ports.chain(port)
        record = InsertRecord(
            spec=spec,
            rank=_rank_at(chain, spec.position),
            created=now,
            expires=now + spec.lifetime if spec.lifetime else None,
            ephemeral=ephemeral,
            parked=self._site.shelves.machines.find(spec.name) is not None,
            stands_for=stands_for,
        )
        await self._shelf.save(record)
        return self._start_bringing(spec.name)

    async def eject(self, name: str, *, keep: bool = False) -> None:
        """Lead frames past an insert, let it drain, and remove its machine; with `keep` that stays, parked.

        With `keep` the answer comes once frames go past it.
        """
        record = self._shelf.get(name)
        if record.state is InsertState.EJECTING:
            raise WrongState(f"insert {name!r} is being ejected already")
        if record.state is InsertState.STARTING:
            await self._cancel_bringing(record, keep=keep)
            return
        await self._shelf.save(record.with_(state=InsertState.EJECTING, keep=keep))
        self._stop_timer(name)
        await self._ports.splice(record.port)
        self._site.events.publish("insert.ejected", name, f"{name} is out of {record.port}")
        await self._finish_eject(self._shelf.get(name))

    async def change(self, name: str, *, fail: FailPolicy | None, lifetime: float | None) -> InsertRecord:
        """Another fail policy or lifetime, from now on."""
        record = self._shelf.get(name)
        if fail is not None:
            record = record.with_(spec=record.spec.model_copy(update={"fail": fail}))
        if lifetime is not None:
            record = record.with_(expires=self._site.clock() + lifetime)
        record = await self._shelf.save(record)
        self._start_timer(record)
        if record.state in (InsertState.BYPASSED, InsertState.BLOCKED):
            await self._fail(record, record.reason)
        return self._shelf.get(name)

    async def on_verdict(self, name: str, verdict: Verdict) -> None:
        """A heart says something new."""
        record = self._shelf.find(name)
        if record is None or record.spec.mode is Mode.COPY:
            return
        if verdict is Verdict.ALIVE and record.state in (InsertState.BYPASSED, InsertState.BLOCKED):
            await self._activate(record)
        elif verdict in REASONS and record.state is InsertState.ACTIVE:
            await self._fail(record, REASONS[verdict])

    async def on_end(self, machine: MachineRecord) -> None:
        """An appliance's machine has ended; a listener has no heart that would have said so."""
        record = self._shelf.find(machine.name)
        if record is not None and record.state is InsertState.ACTIVE:
            await self._fail(record, REASONS[Verdict.STOPPED])

    async def on_ready(self, machine: MachineRecord) -> None:
        """A listener that was started again gets its copies again."""
        record = self._shelf.find(machine.name)
        if record is not None and record.spec.mode is Mode.COPY and record.state is InsertState.BYPASSED:
            await self._activate(record)

    async def remove_from(self, machine: str) -> None:
        """Eject everything in front of a machine that is about to be removed."""
        for record in self._shelf:
            if record.port.machine == machine and record.state is not InsertState.EJECTING:
                await self.eject(record.name)

    async def adopt(self, record: InsertRecord) -> None:
        """Go on with what an earlier daemon had begun with an insert."""
        appliance = self._site.shelves.machines.find(record.name)
        if record.state is InsertState.EJECTING:
            self._site.tasks.start(self._finish_eject(record), f"eject-{record.name}")
        elif record.ephemeral:
            self._site.tasks.start(self.eject(record.name), f"eject-{record.name}")
        elif appliance is None and record.state is not InsertState.STARTING:
            await self._shelf.drop(record.name)
        elif record.state is InsertState.STARTING:
            self._start_bringing(record.name)
        else:
            self._start_timer(record)

    def view(self, record: InsertRecord) -> InsertView:
        """An insert as it is shown."""
        return InsertView(
            name=record.name,
            appliance=record.spec.appliance,
            port=str(record.port),
            position=[other.name for other in self._ports.chain(record.port)].index(record.name),
            mode=record.spec.mode,
            fail=record.spec.fail,
            state=record.state,
            reason=record.reason,
            created=record.created,
            expires=record.expires,
        )

    def views_of_ports(self, machine: str | None = None) -> list[PortView]:
        """Every port, or those of one machine, with its chain."""
        return [
            PortView(
                port=f"{record.name}:{number}",
                machine=record.name,
                nic=number,
                network=nic.network,
                state=record.state,
                chain=[self.view(insert) for insert in self._ports.chain(PortName(record.name, number))],
            )
            for record in sorted(self._site.shelves.machines, key=lambda record: record.name)
            for number, nic in enumerate(record.nics)
            if nic.network is not None and machine in (None, record.name)
        ]

    def _checked_port(self, spec: InsertSpec) -> PortName:
        if self._shelf.find(spec.name):
            raise Exists(f"insert {spec.name!r} exists already")
        port = parse_port(spec.before)
        self._ports.get(port)
        parked = self._site.shelves.machines.find(spec.appliance)
        if parked is not None and parked.is_appliance and spec.name == spec.appliance:
            if parked.state is not State.RUNNING:
                raise WrongState(f"parked appliance {parked.name!r} is {parked.state}", hint="start it first")
            self._check_mtu(parked, port)
            return port
        image = self._site.images.get(spec.appliance)
        if not have_sides([nic.role for nic in image.nics]):
            raise Invalid(f"image {spec.appliance!r} is no appliance", hint="it has no network and machine side")
        if spec.mode not in image.modes:
            raise Invalid(f"image {spec.appliance!r} is not made for mode {spec.mode}", hint=", ".join(image.modes))
        if self._site.shelves.machines.find(spec.name):
            raise Exists(f"machine {spec.name!r} exists already", hint="an insert's machine has the insert's name")
        check_insert(self._site, spec, image)
        return port

    def _check_mtu(self, parked: MachineRecord, port: PortName) -> None:
        """An appliance takes the frames of the networks that were there when it started: see `guest_config`."""
        networks = self._site.shelves.networks
        network = networks.get(self._ports.get(port).nics[port.nic].network or "")
        known = [one.spec.mtu for one in networks if one.created <= (parked.started or 0.0)]
        if network.spec.mtu > max(known, default=1500):
            what = f"parked appliance {parked.name!r} is too small for the frames of network {network.name!r}"
            raise WrongState(what, hint=f"weft restart {parked.name}")

    def _start_bringing(self, name: str) -> "asyncio.Task[None]":
        task = self._site.tasks.start(self._bring_in(name), f"insert-{name}")
        self._bringing[name] = task
        task.add_done_callback(lambda _: self._bringing.pop(name, None))
        return task

    async def _cancel_bringing(self, record: InsertRecord, *, keep: bool) -> None:
        """Somebody wants it out before it is in."""
        if task := self._bringing.get(record.name):
            task.cancel()
            await asyncio.wait([task])
        if self._shelf.find(record.name):
            await self._give_up(record, keep=keep)

    async def _bring_in(self, name: str) -> None:
        """Until frames flow through the insert. Cancelled with the daemon it stays as it is, for the next one."""
        record = self._shelf.get(name)
        try:
            async with asyncio.timeout(self._site.settings.boot_timeout):
                await self._ready_appliance(record)
            await self._activate(self._shelf.get(name))
        except TimeoutError as err:
            await self._give_up(record, keep=record.parked)
            raise Unavailable(f"insert {name!r} let no frames through in time") from err
        except WeftError:
            await self._give_up(record, keep=record.parked)
            raise
        self._start_timer(self._shelf.get(name))

    async def _ready_appliance(self, record: InsertRecord) -> None:
        """A machine that runs and, when it is to carry frames, carries them."""
        machine = self._site.shelves.machines.find(record.name)
        if machine is None:
            spec = MachineSpec(name=record.name, image=record.spec.appliance, memory=record.spec.memory, nics=SIDES)
            settings = record.spec.settings
            first = FirstSettings(values=settings, by="weft insert") if settings else None
            await self._machines.create(spec, first)
        await self._lifecycle.wait_ready(record.name)
        if record.parked:
            await self.move(record.name, record.spec.settings)
        if record.spec.mode is Mode.INLINE:
            await self._hearts.wait_alive(record.name)

    async def _activate(self, record: InsertRecord) -> None:
        await self._shelf.save(record.with_(state=InsertState.ACTIVE, reason=""))
        await self._ports.splice(record.port)
        self._site.events.publish("insert.active", record.name, f"{record.name} is in front of {record.port}")

    async def _fail(self, record: InsertRecord, reason: str) -> None:
        """What the policy says to do with an insert that does not carry frames."""
        is_open = record.spec.fail is FailPolicy.OPEN or record.spec.mode is Mode.COPY
        state = InsertState.BYPASSED if is_open else InsertState.BLOCKED
        await self._shelf.save(record.with_(state=state, reason=reason))
        await self._ports.splice(record.port)
        what = "traffic goes past it" if is_open else "traffic is stopped"
        self._site.events.publish(f"insert.{state}", record.name, f"{record.name}: {reason}; {what}")

    async def _give_up(self, record: InsertRecord, *, keep: bool) -> None:
        """An insert that never got into the path leaves nothing behind; with `keep` its machine goes on."""
        await self._shelf.drop(record.name)
        await self._ports.splice(record.port)
        if not keep and self._site.shelves.machines.find(record.name):
            await self._machines.remove(record.name, force=True)

    async def _finish_eject(self, record: InsertRecord) -> None:
        if record.keep:
            await self._shelf.drop(record.name)
            self._site.tasks.start(self.retire_later(record.name), f"drain-{record.name}")
            return
        await asyncio.sleep(self._site.settings.drain)
        if self._site.shelves.machines.find(record.name):
            await self._machines.remove(record.name, force=True)
        await self._shelf.drop(record.name)

    async def retire_later(self, name: str) -> None:
        """Take the redirects off a parked appliance once it has drained."""
        await asyncio.sleep(self._site.settings.drain)
        machine = self._site.shelves.machines.find(name)
        if machine is not None:
            await self._ports.retire(machine)

    def _start_timer(self, record: InsertRecord) -> None:
        self._stop_timer(record.name)
        if record.expires is not None:
            timer = self._site.tasks.start(self._expire(record.name, record.expires), f"timer-{record.name}")
            self._timers[record.name] = timer

    def _stop_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer is not asyncio.current_task():
            timer.cancel()

    async def _expire(self, name: str, when: float) -> None:
        await asyncio.sleep(max(0.0, when - self._site.clock()))
        self._site.events.publish("insert.expired", name, f"the time of {name} is up")
        await self.eject(name)


async def _move_nothing(_name: str, _settings: Mapping[str, Any]) -> None:
    """Until somebody is there to tell."""


def _rank_at(chain: Sequence[InsertRecord], position: int | None) -> Fraction:
    """A rank that puts an insert at a position without moving the others; None is next to the machine."""
    if not chain:
        return Fraction(0)
    if position is None or position >= len(chain):
        return chain[-1].rank + 1
    if position == 0:
        return chain[0].rank - 1
    return (chain[position - 1].rank + chain[position].rank) / 2
