"""Requests for other sizes: each is on record, carried out once, and has an outcome."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from weft.fabric.elastic.levers import Accounts, Effective, Generous, Lever, Outcome
from weft.fabric.launch import limits_of
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.model.elastic import ElasticView, MemoryMode, Resource, ResourceView, ScaleRequest, ScaleState
from weft.model.errors import Invalid, NoRoom, NotFound, Unavailable, WeftError, WrongState
from weft.model.machine import MachineSpec, Profile, State
from weft.model.units import dump_size

log = logging.getLogger(__name__)

DEADLINES = {Resource.CPUS: 20.0, Resource.MEMORY: 60.0}
"""Seconds after which a request has failed that was not applied. It is not taken back then: what there is stays."""

MayShrink = Callable[[MachineRecord, Resource, int], Awaitable[str]]
"""Asks whether a machine may have so much less: empty if it may, else why not."""


class Scaling:
    """Changes the sizes of machines of one room. `accounts` are those of the host."""

    def __init__(self, site: Site, runs: Runs, levers: Mapping[Resource, Lever]) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._runs = runs
        self._levers = levers
        self._work: dict[tuple[str, Resource], asyncio.Task[None]] = {}
        self.accounts: Accounts = Generous()
        self.may_shrink: list[MayShrink] = []

    async def scale(self, name: str, resource: Resource, wanted: int, by: str) -> ScaleRequest:
        """Have a machine get another size; the request is on its way then, and takes the place of one before it.

        `wanted` is in processors, or bytes. Raises NotFound, Invalid (outside its range), WrongState (it does not run,
        or its size is fixed).
        """
        machine = self._shelf.get(name)
        self.check(machine, resource, wanted)
        now = self._site.clock()
        request = ScaleRequest(resource=resource, wanted=wanted, by=by, asked=now, deadline=now + DEADLINES[resource])
        await self._cancel(name, resource)
        await self._note(name, request)
        self._begin(name, request)
        return request

    async def settled(self, name: str, resource: Resource) -> ScaleRequest:
        """The last request, when nothing more will become of it. Raises NotFound when there is none."""
        while (task := self._work.get((name, resource))) is not None:
            await asyncio.wait([task])
        request = find_request(self._shelf.get(name), resource)
        if request is None:
            raise NotFound(f"nobody has asked for other {resource} of machine {name!r}")
        return request

    async def view(self, name: str) -> ElasticView:
        """How elastic a machine is, with what QEMU and the guest say now. Raises NotFound, WrongState: it is not."""
        machine = self._shelf.get(name)
        if machine.spec.elastic is None:
            raise WrongState(f"the size of machine {name!r} is fixed", hint=f"weft update {name} --cpus 1..4")
        return ElasticView(
            name=name,
            cpus=await self._view(machine, Resource.CPUS),
            memory=await self._view(machine, Resource.MEMORY),
            policy=machine.spec.elastic.policy,
            lost=machine.elastic.lost if machine.elastic else "",
        )

    async def prepare(self, machine: MachineRecord, _agent: Agent) -> None:
        """A machine has just booted, and nobody has been told of it. One that does not play along keeps its size."""
        elastic = machine.elastic
        if elastic is None:
            return
        try:
            for lever in self._levers.values():
                elastic = (await lever.prepare(machine.with_(elastic=elastic))).elastic or elastic
        except WeftError as err:
            elastic = elastic.with_(lost=err.message)
        now = self._shelf.get(machine.name)
        await self._shelf.save(now.with_(elastic=elastic))

    async def on_ready(self, machine: MachineRecord) -> None:
        """What an earlier daemon did not finish goes on."""
        for request in machine.elastic.requests if machine.elastic else ():
            if not request.state.is_settled and (machine.name, request.resource) not in self._work:
                self._begin(machine.name, request)

    async def on_end(self, machine: MachineRecord) -> None:
        """It needs no size any more."""
        for resource in Resource:
            await self._cancel(machine.name, resource)

    def check(self, machine: MachineRecord, resource: Resource, wanted: int) -> None:
        """Raises what is against a request: Invalid (outside its range), WrongState."""
        name, record = machine.name, machine.elastic
        if not machine.state.is_live:
            raise WrongState(f"machine {name!r} is {machine.state}, not running")
        least, most = range_of(machine, resource)
        if record is None or least == most:
            hint = f"weft update {name} --{resource} {_dump(resource, least)}..MAX"
            raise WrongState(f"machine {name!r} has a fixed number of cpus" if resource is Resource.CPUS
                             else f"machine {name!r} has a fixed size of memory", hint=hint)  # fmt: skip
        if not least <= wanted <= most:
            span = f"{_dump(resource, least)}..{_dump(resource, most)}"
            raise Invalid(f"machine {name!r}: {_dump(resource, wanted)} is outside its range of {resource}, {span}")
        if record.lost:
            raise WrongState(f"machine {name!r} cannot change its size any more: {record.lost}")

    def _begin(self, name: str, request: ScaleRequest) -> None:
        key = (name, request.resource)
        task = self._site.tasks.start(self._carry_out(name, request), f"scale-{request.resource}-{name}")
        self._work[key] = task
        task.add_done_callback(lambda done: self._work.get(key) is done and self._work.pop(key))

    async def _cancel(self, name: str, resource: Resource) -> None:
        if task := self._work.pop((name, resource), None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _carry_out(self, name: str, request: ScaleRequest) -> None:
        try:
            outcome = await self._try(name, request)
        except NoRoom as err:
            outcome = Outcome(ScaleState.REFUSED, err.message)
        except WeftError as err:
            outcome = Outcome(ScaleState.FAILED, err.message)
        machine = self._shelf.find(name)
        if machine is None or machine.elastic is None or not machine.state.is_live:
            return
        await self._release(machine, request, outcome)
        settled = request.model_copy(
            update={"state": outcome.state, "reason": outcome.reason, "settled": self._site.clock()}
        )
        await self._note(name, settled)
        size = _dump(request.resource, request.wanted)
        text = f"{request.resource} of {name}: {size} {outcome.state}"
        self._site.events.publish(
            f"machine.scale-{outcome.state}", name, f"{text}: {outcome.reason}".removesuffix(": "), by=request.by
        )

    async def _try(self, name: str, request: ScaleRequest) -> Outcome:
        machine = await self._await_agent(name, request)
        lever, resource, wanted = self._levers[request.resource], request.resource, request.wanted
        before, goal, short = granted(machine, resource), wanted, ""
        if wanted > before:
            await self.accounts.reserve(machine, resource, wanted)
            machine = await self._grant(name, resource, wanted)
        elif wanted < before:
            for ask in self.may_shrink:
                if reason := await ask(machine, resource, wanted):
                    return Outcome(ScaleState.REFUSED, reason)
            floor = await lever.find_floor(machine)
            if floor.least > wanted:
                goal, short = min(floor.least, before), floor.why
        outcome = await lever.move(machine, goal, request.deadline - self._site.clock())
        if short and outcome.state is ScaleState.APPLIED:
            return Outcome(ScaleState.REFUSED, f"{short}: it keeps {_dump(resource, goal)}")
        return outcome

    async def _await_agent(self, name: str, request: ScaleRequest) -> MachineRecord:
        """The machine, when its agent answers: it may be booting."""
        live, machine = self._runs.find(name), self._shelf.get(name)
        if live is not None and machine.state is State.STARTING:
            await asyncio.wait([live.ready, live.ended], timeout=request.deadline - self._site.clock(),
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
        await self._runs.reach(name)
        return self._shelf.get(name)

    async def _release(self, machine: MachineRecord, request: ScaleRequest, outcome: Outcome) -> None:
        """Only what a machine is known not to have is free for others."""
        resource = request.resource
        before = granted(machine, resource)
        if outcome.state is ScaleState.APPLIED:
            has = request.wanted
        else:
            try:
                effective = await self._levers[resource].read(machine)
            except WeftError:
                return
            has = max(effective.qemu or before, effective.guest or 0)
        if has < before:
            machine = await self._grant(machine.name, resource, max(has, range_of(machine, resource)[0]))
            await self.accounts.release(machine, resource, granted(machine, resource))

    async def _grant(self, name: str, resource: Resource, size: int) -> MachineRecord:
        """On record, and the limits of its control group as they are to be then."""
        machine = self._shelf.get(name)
        assert machine.elastic is not None
        machine = await self._shelf.save(machine.with_(elastic=machine.elastic.with_(**{resource.value: size})))
        try:
            self._site.cgroups.group(machine.group_name).set_limits(limits_of(self._site, machine))
        except Unavailable as err:  # it uses more than it is to have: the kernel takes no such limit
            log.warning("limits of machine %s: %s", name, err.message)
        return machine

    async def _note(self, name: str, request: ScaleRequest) -> None:
        machine = self._shelf.get(name)
        assert machine.elastic is not None
        others = [other for other in machine.elastic.requests if other.resource is not request.resource]
        await self._shelf.save(machine.with_(elastic=machine.elastic.with_(requests=(*others, request))))

    async def _view(self, machine: MachineRecord, resource: Resource) -> ResourceView:
        least, most = range_of(machine, resource)
        record = machine.elastic if machine.state.is_live else None
        effective = Effective()
        lever = self._levers.get(resource)
        if lever is not None and record is not None and machine.state is State.RUNNING:
            try:
                effective = await lever.read(machine)
            except WeftError as err:
                log.info("%s of machine %s: %s", resource, machine.name, err.message)
        return ResourceView(
            minimum=least,
            maximum=most,
            mechanism=_mechanism(machine, record, resource),
            granted=granted(machine, resource) if record else None,
            qemu=effective.qemu,
            guest=effective.guest,
            request=find_request(machine, resource),
        )


def range_of(machine: MachineRecord, resource: Resource) -> tuple[int, int]:
    """From the least that it is promised to the most that it may have."""
    spec: MachineSpec = machine.spec
    most = (spec.elastic.max_cpus if resource is Resource.CPUS else spec.elastic.max_memory) if spec.elastic else None
    least = spec.cpus if resource is Resource.CPUS else machine.memory
    return least, most or least


def granted(machine: MachineRecord, resource: Resource) -> int:
    """What the host keeps for it."""
    return machine.granted_cpus if resource is Resource.CPUS else machine.granted_memory


def find_request(machine: MachineRecord, resource: Resource) -> ScaleRequest | None:
    """The last one."""
    requests = machine.elastic.requests if machine.elastic else ()
    return next((request for request in requests if request.resource is resource), None)


def _mechanism(machine: MachineRecord, record: ElasticRecord | None, resource: Resource) -> str:
    least, most = range_of(machine, resource)
    if resource is Resource.CPUS:
        return record.mode.value if record else ""
    if least == most:
        return MemoryMode.FIXED.value
    microvm = machine.spec.profile is Profile.MICROVM
    return MemoryMode.BALLOON.value if microvm else MemoryMode.VIRTIO_MEM.value


def _dump(resource: Resource, size: int) -> str:
    return dump_size(size) if resource is Resource.MEMORY else str(size)
