"""Inserts: appliances slipped into a port's chain, watched, and taken out again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from weft.fabric.draining import Draining
from weft.fabric.hearts import Hearts
from weft.fabric.insert_checks import InsertChecks
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.machines import Machines
from weft.fabric.ports import Ports
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import FirstSettings, MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.model.image import NicRole
from weft.model.insert import FailPolicy, InsertSpec, InsertState, InsertView, Mode, PortView
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.names import PortName
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
        self.checks = InsertChecks(site, ports)
        self._draining = Draining(site, lifecycle.runs)
        self._leaving: dict[str, asyncio.Event] = {}

    def choose_name(self, stem: str) -> str:
        """A name that neither an insert nor a machine has: the stem itself, or with a number."""
        taken = {record.name for record in self._shelf} | {record.name for record in self._site.shelves.machines}
        return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, 10_000))) if name not in taken)

    async def create(self, spec: InsertSpec, *, ephemeral: bool = False, stands_for: str = "") -> "asyncio.Task[None]":
        """Record an insert and begin to bring it in; the task ends when frames flow through it, or says why not.

        `stands_for`: another name that a fabric file knows it by.

        Raises NotFound, Exists, Invalid or WrongState at once, with nothing begun.
        """
        port = self.checks.check(spec)
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

    async def eject(self, name: str, *, keep: bool = False, drain: float | None = None) -> None:
        """Lead frames past an insert, let it drain, and remove its machine; with `keep` that stays, parked.

        With `keep` the answer comes once frames go past it. `drain`: seconds that flows which it translates may stay
        on it; 0 also ends a wait for them that somebody else has begun.
        """
        record = self._shelf.get(name)
        if record.state is InsertState.EJECTING:
            await self._hasten(record, drain)
            return
        if record.state is InsertState.STARTING:
            await self._cancel_bringing(record, keep=keep)
            return
        until = self._draining.plan_end(record, drain)
        record = await self._shelf.save(record.with_(state=InsertState.EJECTING, keep=keep, until=until))
        self._stop_timer(name)
        await self._leave(record)

    async def _leave(self, record: InsertRecord) -> None:
        """Out of the path, once it has drained, and away."""
        name = record.name
        self._leaving[name] = asyncio.Event()
        try:
            if record.until is not None:
                self._site.events.publish("insert.draining", name, f"{name} waits for the flows that it translates")
                await self._draining.wait_drained(record)
                record = await self._shelf.save(record.with_(until=None))
            await self._ports.splice(record.port)
            self._site.events.publish("insert.ejected", name, f"{name} is out of {record.port}")
            await self._finish_eject(record)
        finally:
            self._leaving.pop(name).set()

    async def _hasten(self, record: InsertRecord, drain: float | None) -> None:
        if record.until is None or drain != 0:
            hint = "weft eject --now does not wait for it" if record.until is not None else None
            raise WrongState(f"insert {record.name!r} is being ejected already", hint=hint)
        leaving = self._leaving.get(record.name)
        self._draining.cut_short(record.name)
        if leaving is not None:
            await leaving.wait()

    async def change(self, name: str, *, fail: FailPolicy | None, lifetime: float | None) -> InsertRecord:
        """Another fail policy or lifetime, from now on."""
        record = self._shelf.get(name)
        if fail is not None:
            record = record.with_(spec=record.spec.model_copy(update={"fail": fail}))
        if lifetime is not None:
            spec = record.spec.model_copy(update={"lifetime": lifetime})
            record = record.with_(spec=spec, expires=self._site.clock() + lifetime)
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
        if verdict in REASONS and record.until is not None:
            self._draining.cut_short(name)
        elif verdict is Verdict.ALIVE and record.state in (InsertState.BYPASSED, InsertState.BLOCKED):
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
        await self._eject_where(lambda port: port.machine == machine)

    async def remove_from_gateway(self, network: str) -> None:
        """The same for the gateway of a network."""
        await self._eject_where(lambda port: port.network == network)

    async def _eject_where(self, is_meant: Callable[[PortName], bool]) -> None:
        for record in self._shelf:
            if is_meant(record.port) and record.state is not InsertState.EJECTING:
                await self.eject(record.name, drain=0)

    async def adopt(self, record: InsertRecord) -> None:
        """Go on with what an earlier daemon had begun with an insert."""
        appliance = self._site.shelves.machines.find(record.name)
        if record.state is InsertState.EJECTING:
            going_on = self._finish_eject if record.until is None else self._leave
            self._site.tasks.start(going_on(record), f"eject-{record.name}")
        elif record.ephemeral or self._is_astray(record):
            self._site.tasks.start(self.eject(record.name), f"eject-{record.name}")
        elif appliance is None and record.state is not InsertState.STARTING:
            await self._shelf.drop(record.name)
        elif record.state is InsertState.STARTING:
            self._start_bringing(record.name)
        else:
            self._start_timer(record)

    def _is_astray(self, record: InsertRecord) -> bool:
        """Its network was being removed when the daemon ended."""
        return record.port.network is not None and self._site.shelves.networks.find(record.port.network) is None

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
            drained_by=record.until,
        )

    def views_of_ports(self, machine: str | None = None, network: str | None = None) -> list[PortView]:
        """Every port with its chain, or those of one machine, or that of one network's gateway."""
        if network is not None:
            return [self._view_gateway(self._ports.network(PortName("", network=network)))]
        machines = sorted(self._site.shelves.machines, key=_name_of)
        nics = [view for one in machines if machine in (None, one.name) for view in self._view_nics(one)]
        return nics if machine is not None else [*self._view_gateways(), *nics]

    def _view_gateways(self) -> list[PortView]:
        networks = sorted(self._site.shelves.networks, key=_name_of)
        return [self._view_gateway(one) for one in networks if one.has_gateway_port]

    def _view_gateway(self, record: NetworkRecord) -> PortView:
        port = PortName("", network=record.name)
        chain = self._view_chain(port)
        return PortView(port=str(port), machine=None, nic=None, network=record.name, state=State.RUNNING, chain=chain)

    def _view_nics(self, record: MachineRecord) -> Iterator[PortView]:
        for number, nic in enumerate(record.nics):
            if nic.network is not None:
                port = PortName(record.name, number)
                yield PortView(
                    port=str(port),
                    machine=record.name,
                    nic=number,
                    network=nic.network,
                    state=record.state,
                    chain=self._view_chain(port),
                )

    def _view_chain(self, port: PortName) -> list[InsertView]:
        return [self.view(insert) for insert in self._ports.chain(port)]

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
            memory, cold = record.spec.memory, record.spec.cold
            spec = MachineSpec(name=record.name, image=record.spec.appliance, memory=memory, nics=SIDES, cold=cold)
            settings = record.spec.settings
            first = FirstSettings(values=settings, by="weft insert") if settings else None
            await self._machines.create(spec, first, at_once=True)
        await self._lifecycle.wait_ready(record.name)
        if record.parked:
            await self.move(record.name, record.spec.settings)
        if record.spec.mode is not Mode.COPY:
            await self._wait_alive(record.name)

    async def _wait_alive(self, name: str) -> None:
        """Until frames flow through it. Raises Unavailable when its machine ends before."""
        alive = asyncio.ensure_future(self._hearts.wait_alive(name))
        ended = asyncio.ensure_future(self._lifecycle.runs.wait_end(name))
        try:
            await asyncio.wait([alive, ended], return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise Unavailable(f"insert {name!r}: its machine ended before it let frames through")
            alive.result()
        finally:
            alive.cancel()
            ended.cancel()

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


def _name_of(record: MachineRecord | NetworkRecord) -> str:
    return record.name


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
