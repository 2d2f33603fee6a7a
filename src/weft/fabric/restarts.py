"""What happens to a machine whose run is over: it is started again, removed, or stays as it is."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from weft.fabric.endings import STOPPED_BY_US, UNSEEN
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.model.errors import WeftError
from weft.model.machine import State
from weft.plan.restart import End, plan_restart, want_start

Remove = Callable[[str], Coroutine[Any, Any, None]]
Sleep = Callable[[float], Awaitable[None]]


class Restarts:
    """Carries out restart policies of machines, and `--rm`. What is planned is on record, so a daemon's end does not
    undo it."""

    def __init__(self, site: Site, lifecycle: Lifecycle, remove: Remove, *, sleep: Sleep = asyncio.sleep) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._lifecycle = lifecycle
        self._remove = remove
        self._sleep = sleep

    async def on_end(self, machine: MachineRecord) -> None:
        """Plan what the end of a run calls for."""
        machine = self._shelf.find(machine.name) or machine
        if machine.removing or machine.change or machine.becoming or machine.state is State.SUSPENDED:
            return
        spec, now = machine.spec, self._site.clock()
        again = plan_restart(spec.restart, spec.max_restarts, _end_of(machine, now), tries=machine.tries, now=now)
        if again is not None:
            await self._shelf.save(machine.with_(again_at=again.at, tries=again.tries))
            after = again.at - now
            self._site.events.publish(
                "machine.again", machine.name, f"machine {machine.name} is started again in {after:g} s", after=after
            )
            self._schedule(machine.name, again.at)
        elif spec.remove:
            self._site.tasks.start(self._remove(machine.name), f"remove-{machine.name}")

    async def adopt(self, *, same_boot: bool) -> None:
        """Go on with what an earlier daemon has planned, and start what runs whenever the host does."""
        for machine in self._shelf:
            if machine.state.holds_disks or machine.removing or machine.change or machine.becoming:
                continue
            if machine.again_at is not None:
                self._schedule(machine.name, machine.again_at)
            elif want_start(machine.spec.restart, wanted=machine.wanted, same_boot=same_boot):
                now = self._site.clock()
                await self._shelf.save(machine.with_(again_at=now, wanted=True))
                self._schedule(machine.name, now)
            elif machine.spec.remove and machine.state is not State.CREATED:
                self._site.tasks.start(self._remove(machine.name), f"remove-{machine.name}")

    def _schedule(self, name: str, at: float) -> None:
        self._site.tasks.start(self._start_again(name, at), f"again-{name}")

    async def _start_again(self, name: str, at: float) -> None:
        await self._sleep(max(0.0, at - self._site.clock()))
        try:
            await self._lifecycle.start_again(name, at)
        except WeftError:  # on record as the end of this run, like any other
            if machine := self._shelf.find(name):
                await self.on_end(machine)


def _end_of(machine: MachineRecord, now: float) -> End:
    exit = machine.exit
    return End(
        asked=not machine.wanted or (exit is not None and exit.reason == STOPPED_BY_US),
        finished=exit is not None and (exit.code is not None or exit.signal is not None),
        failed=machine.state is State.FAILED,
        seen=exit is None or exit.reason != UNSEEN,
        lasted=now - (machine.started or now),
    )
