"""Settings on trial: applied and saved at once, and taken back by themselves unless somebody confirms them in time.

Who cuts off the own way in by a change cannot confirm it, so it goes. What is on trial is on record before anything of
it happens: a daemon that ends meanwhile leaves the rest to the next.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from weft.fabric.records.machine import OnTrial
from weft.fabric.settings.changing import Changes
from weft.fabric.settings.work import Work, load_revision, refuse_trial, require_sound
from weft.fabric.site import Site
from weft.image.settings import load_saved
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.plan.settings import Fit

log = logging.getLogger(__name__)

RETRY = 2.0
"""Seconds until settings are taken back again from a machine that is starting, or does not answer."""
Sleep = Callable[[float], Awaitable[None]]


class Confirming:
    """What is on trial of a room's appliances, and for how long still."""

    def __init__(self, site: Site, changes: Changes, *, sleep: Sleep = asyncio.sleep) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._changes = changes
        self._sleep = sleep

    @asynccontextmanager
    async def begin(self, name: str, seconds: float | None) -> AsyncIterator[None]:
        """A change that is made within this is on trial for `seconds`; None: it is not.

        Raises WrongState when another one is already, Invalid when what is saved is damaged.
        """
        if seconds is None:
            yield
            return
        await self._note(name, seconds)
        try:
            yield
        except BaseException:
            await self.forget(name)
            raise
        await self._start(name, seconds)

    async def confirm(self, name: str) -> None:
        """What is on trial stays. Raises WrongState when nothing is."""
        async with self._changes.locks[name]:
            if self._shelf.get(name).trial is None:
                raise WrongState(f"none of the settings of {name!r} is on trial", hint="its time may have been up")
            await self.forget(name)
        self._site.events.publish("settings.confirmed", name, f"the settings of {name} stay")

    async def undo(self, name: str, by: str) -> None:
        """What is on trial goes: saved and applied is what was before. Nothing happens when nothing is on trial.

        Raises what stands in the way; it is still on trial then.
        """
        async with self._changes.open(name, differing=True, on_trial=True) as work:
            if (trial := self._shelf.get(name).trial) is None:
                return
            await self._put_back(work, trial, by)
        await self.forget(name)
        self._site.events.publish("settings.undone", name, f"{name} has the settings of before the trial again")

    async def forget(self, name: str) -> None:
        """Nothing of a machine is on trial any more; what is saved and runs stays as it is."""
        if (machine := self._shelf.find(name)) is not None:
            await self._shelf.save(machine.with_(trial=None))

    def adopt(self) -> None:
        """Go on with what an earlier daemon had on trial."""
        for machine in self._shelf:
            if machine.trial is not None:
                self._wait(machine.name, machine.trial)

    async def _note(self, name: str, seconds: float) -> None:
        subject = await self._changes.subject(name)
        saved = require_sound(subject, await load_saved(subject.path))
        machine = self._shelf.get(name)
        refuse_trial(machine)
        trial = OnTrial(back=saved.document.stamp.revision, until=self._site.clock() + seconds)
        await self._shelf.save(machine.with_(trial=trial))

    async def _start(self, name: str, seconds: float) -> None:
        """The time begins when the change has been made."""
        machine = self._shelf.get(name)
        if machine.trial is not None:
            trial = machine.trial.with_(until=self._site.clock() + seconds)
            await self._shelf.save(machine.with_(trial=trial))
            self._wait(name, trial)

    def _wait(self, name: str, trial: OnTrial) -> None:
        self._site.tasks.start(self._end_in_time(name, trial), f"trial-{name}")

    async def _end_in_time(self, name: str, trial: OnTrial) -> None:
        await self._sleep(max(0.0, trial.until - self._site.clock()))
        while self._is_on(name, trial):
            try:
                await self.undo(name, "nobody confirmed")
            except (WrongState, Unavailable) as err:
                log.info("machine %s: settings on trial are not taken back yet: %s", name, err)
                await self._sleep(RETRY)
            except WeftError as err:
                await self._give_up(name, err)

    async def _give_up(self, name: str, err: WeftError) -> None:
        await self.forget(name)
        text = f"{name} does not go back to the settings of before the trial: {err.message}"
        self._site.events.publish("settings.fallback", name, text)

    async def _put_back(self, work: Work, trial: OnTrial, by: str) -> None:
        subject = work.subject
        if work.saved.document.stamp.revision != trial.back:
            fit = (await load_revision(subject, trial.back)).fit(subject.schema) if trial.back else Fit()
            await self._changes.put(work, fit, by, "end of the trial")
        elif subject.agent is not None:  # it was applied, and a daemon ended before it was saved
            await self._changes.apply(work, subject.agent, work.before.values)

    def _is_on(self, name: str, trial: OnTrial) -> bool:
        """Whether it is this one still: it may have been confirmed, and the next one begun, or the machine be gone."""
        machine = self._shelf.find(name)
        return machine is not None and machine.trial == trial and not machine.removing
