"""What machines were granted: on record before they have it, off it when they are known not to have it any more."""

import asyncio
import logging

from weft.fabric.elastic.levers import Accounts, Generous
from weft.fabric.latching import limits_of
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.model.elastic import Resource
from weft.model.errors import NoRoom, Unavailable, WrongState
from weft.model.machine import MachineSpec
from weft.plan.elastic.memory import round_up

log = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds until a limit is tried again that the kernel could not take: what it is for was still in use."""


class Granting:
    """Of one room. `accounts` are those of the host."""

    def __init__(self, site: Site, retry: float = RETRY) -> None:
        self._site = site
        self._retry = retry
        self._shelf = site.shelves.machines
        self._late: dict[str, asyncio.Task[None]] = {}
        self.accounts: Accounts = Generous()

    async def raise_to(self, name: str, resource: Resource, size: int) -> MachineRecord:
        """Before a machine grows. Raises NoRoom, and WrongState when it has ended meanwhile."""
        await self.accounts.reserve(self._shelf.get(name), resource, size)
        try:
            return await self._record(name, resource, size)
        finally:
            await self._release(name, resource)

    async def settle(self, name: str, resource: Resource, has: int) -> None:
        """A machine has so much, and nothing is on its way. That may be more than it was granted: then that is kept for
        it from now on, whether the host wanted to give it or not.
        """
        machine = self._shelf.get(name)
        size, before = max(has, range_of(machine, resource)[0]), granted(machine, resource)
        if size > before:
            try:
                await self.accounts.reserve(machine, resource, size)
            except NoRoom as err:
                log.warning("machine %s has taken %d %s: %s", name, size, resource, err.message)
        try:
            if size != before:
                await self._record(name, resource, size)
        finally:
            await self._release(name, resource)

    async def _release(self, name: str, resource: Resource) -> None:
        if machine := self._shelf.find(name):
            await self.accounts.release(machine, resource, granted(machine, resource))

    async def _record(self, name: str, resource: Resource, size: int) -> MachineRecord:
        machine = self._shelf.get(name)
        if machine.elastic is None or not machine.state.is_live:
            raise WrongState(f"machine {name!r} has ended")
        machine = await self._shelf.save(machine.with_(elastic=machine.elastic.with_(**{resource.value: size})))
        if not self._limit(machine) and name not in self._late:
            late = self._site.tasks.start(self._limit_later(name), f"limits-{name}")
            self._late[name] = late
            late.add_done_callback(lambda _: self._late.pop(name, None))
        return machine

    def _limit(self, machine: MachineRecord) -> bool:
        """Hold its control group to what it was granted. Whether that could be done now."""
        group = self._site.cgroups.group(machine.group_name)
        limits = limits_of(self._site, machine, servers=len(machine.servers))
        if not group.can_have(limits):
            return False
        try:
            group.set_limits(limits)
        except Unavailable as err:
            log.info("limits of machine %s: %s", machine.name, err.message)
            return False
        return True

    async def _limit_later(self, name: str) -> None:
        while True:
            await asyncio.sleep(self._retry)
            machine = self._shelf.find(name)
            if machine is None or not machine.state.is_live or self._limit(machine):
                return


def range_of(machine: MachineRecord, resource: Resource) -> tuple[int, int]:
    """From the least that it is promised to the most that it may have."""
    spec: MachineSpec = machine.spec
    most = (spec.elastic.max_cpus if resource is Resource.CPUS else spec.elastic.max_memory) if spec.elastic else None
    least = spec.cpus if resource is Resource.CPUS else machine.memory
    return least, most or least


def granted(machine: MachineRecord, resource: Resource) -> int:
    """What the host keeps for it."""
    return machine.granted_cpus if resource is Resource.CPUS else machine.granted_memory


def fit(resource: Resource, size: int) -> int:
    """What a machine really has that is to have so much."""
    return round_up(size) if resource is Resource.MEMORY else size
