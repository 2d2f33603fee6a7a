"""Requests for other sizes: each is on record, carried out once, and has an outcome."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from weft.fabric.elastic.granting import Granting, fit, granted, range_of
from weft.fabric.elastic.levers import Accounts, Effective, Lever, Outcome
from weft.fabric.elastic.showing import UNKNOWN, show
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.model.elastic import ElasticView, Resource, ScaleRequest, ScaleState
from weft.model.errors import Internal, Invalid, NoRoom, NotFound, WeftError, WrongState
from weft.model.machine import State
from weft.model.units import dump_size

log = logging.getLogger(__name__)

DEADLINES = {Resource.CPUS: 20.0, Resource.MEMORY: 60.0}
"""Seconds after which a request has failed that was not applied. It is not taken back then: what there is stays."""

MayShrink = Callable[[MachineRecord, Resource, int], Awaitable[str]]
"""Asks whether a machine may have so much less: empty if it may, else why not."""
Key = tuple[str, Resource]


class Scaling:
    """Changes the sizes of machines of one room."""

    def __init__(self, site: Site, runs: Runs, levers: Mapping[Resource, Lever]) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._runs = runs
        self._levers = levers
        self._work: dict[Key, asyncio.Task[None]] = {}
        self._turns: dict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._closing: set[Key] = set()
        self.granting = Granting(site)
        self.may_shrink: list[MayShrink] = []

    @property
    def accounts(self) -> Accounts:
        """Those of the host."""
        return self.granting.accounts

    @accounts.setter
    def accounts(self, accounts: Accounts) -> None:
        self.granting.accounts = accounts

    async def scale(self, name: str, resource: Resource, wanted: int, by: str, why: str = "") -> ScaleRequest:
        """Have a machine get another size; the request is on its way then, and takes the place of one before it.

        `wanted` is in processors, or bytes. Raises NotFound, Invalid (outside its range), WrongState (it does not run,
        or its size is fixed).
        """
        self.check(self._shelf.get(name), resource, wanted)
        async with self._turns[name, resource]:
            await self._supersede((name, resource))
            self.check(self._shelf.get(name), resource, wanted)
            now = self._site.clock()
            deadline = now + DEADLINES[resource]
            request = ScaleRequest(resource=resource, wanted=wanted, by=by, why=why, asked=now, deadline=deadline)
            await self._note(name, request)
            self._begin(name, request)
        return request

    async def settled(self, name: str, resource: Resource) -> ScaleRequest:
        """The last request, when nothing more will become of it. Raises NotFound when there is none."""
        while (task := self._work.get((name, resource))) is not None:
            await asyncio.wait([task])
        request = self._shelf.get(name).find_request(resource)
        if request is None:
            raise NotFound(f"nobody has asked for other {resource} of machine {name!r}")
        return request

    async def view(self, name: str) -> ElasticView:
        """How elastic a machine is, with what QEMU and the guest say now. Raises NotFound, WrongState: it is not."""
        machine = self._shelf.get(name)
        cpus, memory = [await self._read(machine, resource) for resource in (Resource.CPUS, Resource.MEMORY)]
        view = show(machine, cpus, memory)
        if view is None:
            raise WrongState(f"the size of machine {name!r} is fixed", hint=f"weft update {name} --cpus 1..4")
        return view

    async def prepare(self, machine: MachineRecord, _agent: Agent) -> None:
        """A machine has just booted, and nobody has been told of it. One that does not play along keeps its size."""
        for resource, lever in self._levers.items():
            if machine.elastic is None:
                return
            lost = ""
            try:
                machine = await lever.prepare(machine)
            except WeftError as err:
                lost = err.message
            machine = await self._note_prepared(machine, resource, lost)
            if lost or (machine.name, resource) not in self._work:
                await self._settle(machine.name, resource, None)

    async def on_ready(self, machine: MachineRecord) -> None:
        """What an earlier daemon did not finish goes on."""
        for request in machine.elastic.requests if machine.elastic else ():
            if not request.state.is_settled and (machine.name, request.resource) not in self._work:
                self._begin(machine.name, request)

    async def on_end(self, machine: MachineRecord) -> None:
        """It needs no size any more."""
        now = self._shelf.find(machine.name)
        if now is not None and now.elastic is not None and not now.state.is_live:
            requests = tuple(map(self._end, now.elastic.requests))
            await self._shelf.save(now.with_(elastic=now.elastic.with_(requests=requests)))
        for resource in Resource:
            await self._supersede((machine.name, resource))

    async def correct(self, name: str, resource: Resource) -> None:
        """Put right what is on record of a machine that has changed its size by itself, unless a request is on its way.

        Raises NotFound, WrongState: it has ended.
        """
        async with self._turns[name, resource]:
            if (name, resource) in self._work:
                return
            before = granted(self._shelf.get(name), resource)
            await self._settle(name, resource, None)
            now = granted(self._shelf.get(name), resource)
        if now > before:
            text = f"machine {name} has taken back {resource}: from {_dump(resource, before)} to {_dump(resource, now)}"
            self._site.events.publish(f"machine.took-{resource}", name, text)

    def check(self, machine: MachineRecord, resource: Resource, wanted: int) -> None:
        """Raises what is against a request: Invalid (outside its range), WrongState."""
        name, record = machine.name, machine.elastic
        if not machine.state.is_live:
            raise WrongState(f"machine {name!r} is {machine.state}, not running")
        least, most = range_of(machine, resource)
        if record is None or least == most:
            hint = f"weft update {name} --{resource} {_dump(resource, least)}..MAX"
            what = "number of cpus" if resource is Resource.CPUS else "size of memory"
            raise WrongState(f"machine {name!r} has a fixed {what}", hint=hint)
        if not least <= wanted <= most:
            span = f"{_dump(resource, least)}..{_dump(resource, most)}"
            raise Invalid(f"machine {name!r}: {_dump(resource, wanted)} is outside its range of {resource}, {span}")
        if why := record.lost.get(resource):
            raise WrongState(f"machine {name!r} cannot have other {resource} any more: {why}")

    def _end(self, request: ScaleRequest) -> ScaleRequest:
        if request.state.is_settled:
            return request
        result = {"state": ScaleState.FAILED, "reason": "the machine has ended", "settled": self._site.clock()}
        return request.model_copy(update=result)

    def _begin(self, name: str, request: ScaleRequest) -> None:
        key = (name, request.resource)
        task = self._site.tasks.start(self._carry_out(name, request), f"scale-{request.resource}-{name}")
        self._work[key] = task
        task.add_done_callback(lambda done: self._work.get(key) is done and self._work.pop(key))

    async def _supersede(self, key: Key) -> None:
        """Have done with a request that is on its way; one that only has to be settled is."""
        if task := self._work.get(key):
            if key not in self._closing:
                task.cancel()
            await asyncio.wait([task])

    async def _carry_out(self, name: str, request: ScaleRequest) -> None:
        key = (name, request.resource)
        try:
            outcome = await self._try(name, request)
        except NoRoom as err:
            outcome = Outcome(ScaleState.REFUSED, err.message)
        except Internal as err:  # QEMU itself does not know what is meant
            outcome = Outcome(ScaleState.FAILED, err.message, lost=True)
        except WeftError as err:
            outcome = Outcome(ScaleState.FAILED, err.message)
        self._closing.add(key)
        try:
            await self._close(name, request, outcome)
        except (NotFound, WrongState):  # it has ended meanwhile
            return
        finally:
            self._closing.discard(key)

    async def _try(self, name: str, request: ScaleRequest) -> Outcome:
        machine = await self._await_agent(name, request)
        lever, resource = self._levers[request.resource], request.resource
        goal, before = fit(resource, request.wanted), granted(machine, resource)
        if goal > before:
            machine = await self.granting.raise_to(name, resource, goal)
            return await lever.move(machine, goal, request.deadline - self._site.clock())
        now = (await lever.read(machine)).most(before)
        if goal >= now:
            return await lever.move(machine, goal, request.deadline - self._site.clock())
        for ask in self.may_shrink:
            if reason := await ask(machine, resource, goal):
                return Outcome(ScaleState.REFUSED, reason)
        return await self._shrink(machine, request, now)

    async def _shrink(self, machine: MachineRecord, request: ScaleRequest, now: int) -> Outcome:
        """To the machine's floor, which may be lower when it is there: memory that went was described in memory."""
        lever, resource = self._levers[request.resource], request.resource
        goal = fit(resource, request.wanted)
        while now > goal:
            floor = await lever.find_floor(machine)
            step = max(goal, floor.least)
            if step >= now:
                return Outcome(ScaleState.REFUSED, f"{floor.why}: it keeps {_dump(resource, now)}")
            outcome = await lever.move(machine, step, request.deadline - self._site.clock())
            if outcome.state is not ScaleState.APPLIED:
                return outcome
            now = step
        return Outcome(ScaleState.APPLIED)

    async def _await_agent(self, name: str, request: ScaleRequest) -> MachineRecord:
        """The machine, when its agent answers: it may be booting."""
        live, machine = self._runs.find(name), self._shelf.get(name)
        if live is not None and machine.state is State.STARTING:
            left = request.deadline - self._site.clock()
            await asyncio.wait([live.ready, live.ended], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        await self._runs.reach(name)
        return self._shelf.get(name)

    async def _close(self, name: str, request: ScaleRequest, outcome: Outcome) -> None:
        """On record: what it has, and what became of the request. Raises NotFound, WrongState: it has ended."""
        self._elastic(name)
        resource = request.resource
        applied = fit(resource, request.wanted) if outcome.state is ScaleState.APPLIED else None
        await self._settle(name, resource, applied)
        if outcome.lost:
            await self._note_lost(name, resource, outcome.reason)
        result = {"state": outcome.state, "reason": outcome.reason, "settled": self._site.clock()}
        await self._note(name, request.model_copy(update=result))
        text = f"{resource} of {name}: {_dump(resource, request.wanted)} {outcome.state}"
        self._site.events.publish(
            f"machine.scale-{outcome.state}", name, f"{text}: {outcome.reason}".removesuffix(": "), by=request.by
        )

    async def _settle(self, name: str, resource: Resource, has: int | None) -> None:
        """Only what a machine is known not to have is free for others. None: it is to be asked what it has."""
        if has is None:
            machine = self._shelf.get(name)
            try:
                has = (await self._levers[resource].read(machine)).most(granted(machine, resource))
            except WeftError as err:
                log.warning("%s of machine %s: %s", resource, name, err.message)
                has = granted(machine, resource)
        await self.granting.settle(name, resource, has)

    async def _note(self, name: str, request: ScaleRequest) -> None:
        machine, elastic = self._elastic(name)
        others = [other for other in elastic.requests if other.resource is not request.resource]
        await self._shelf.save(machine.with_(elastic=elastic.with_(requests=(*others, request))))

    async def _note_lost(self, name: str, resource: Resource, why: str) -> None:
        machine, elastic = self._elastic(name)
        await self._shelf.save(machine.with_(elastic=elastic.with_(lost={**elastic.lost, resource: why})))

    async def _note_prepared(self, prepared: MachineRecord, resource: Resource, lost: str) -> MachineRecord:
        """What a lever has found out; requests may have come meanwhile."""
        machine, elastic = self._elastic(prepared.name)
        assert prepared.elastic is not None
        elastic = elastic.with_(total=prepared.elastic.total, mode=prepared.elastic.mode)
        if lost:
            elastic = elastic.with_(lost={**elastic.lost, resource: lost})
        return await self._shelf.save(machine.with_(elastic=elastic))

    def _elastic(self, name: str) -> tuple[MachineRecord, ElasticRecord]:
        machine = self._shelf.get(name)
        if machine.elastic is None or not machine.state.is_live or machine.state is State.STOPPING:
            raise WrongState(f"machine {name!r} has ended")
        return machine, machine.elastic

    async def _read(self, machine: MachineRecord, resource: Resource) -> Effective:
        """What it has, as far as anybody says."""
        lever = self._levers.get(resource)
        if lever is None or machine.elastic is None or machine.state is not State.RUNNING:
            return UNKNOWN
        try:
            return await lever.read(machine)
        except WeftError as err:
            log.info("%s of machine %s: %s", resource, machine.name, err.message)
            return UNKNOWN


def _dump(resource: Resource, size: int) -> str:
    return dump_size(size) if resource is Resource.MEMORY else str(size)
