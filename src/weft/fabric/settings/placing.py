"""Keeping appliances told of where they stand: when they are inserted, and while machines come and go around them."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.settings.changing import Changes
from weft.fabric.settings.configs import Configs
from weft.fabric.settings.floppies import is_appliance
from weft.fabric.settings.models import weigh_place
from weft.fabric.site import Site
from weft.image.settings import load_saved
from weft.model.errors import WeftError
from weft.model.insert import InsertState
from weft.model.machine import State
from weft.model.schema import flatten_settings
from weft.plan.settings import Values

log = logging.getLogger(__name__)


class Placing:
    """Looks, after each change, whether the place of an appliance that runs has become another, and tells it."""

    def __init__(self, site: Site, runs: Runs, changes: Changes, configs: Configs) -> None:
        self._site = site
        self._runs = runs
        self._changes = changes
        self._configs = configs
        self._changed = False
        self._looking: asyncio.Task[None] | None = None

    async def move(self, name: str, wanted: Mapping[str, Any]) -> None:
        """A machine is to stand elsewhere: it is told, and given other settings, if any are wanted.

        Raises Invalid when its settings do not fit there, or it refuses them.
        """
        if wanted:
            await self._configs.change(name, dict(flatten_settings(wanted)), by="weft insert")
        else:
            await self._place(name)

    def on_change(self) -> None:
        """Machines came, went or moved. Changes in a row are looked at together."""
        self._changed = True
        if self._looking is None or self._looking.done():
            self._looking = self._site.tasks.start(self._look(), "places")

    async def on_ready(self, machine: MachineRecord) -> None:
        """What has changed while it started, or while no daemon looked."""
        await self._tell(machine)

    async def _look(self) -> None:
        while self._changed:
            self._changed = False
            for machine in self._site.shelves.machines:
                await self._tell(machine)

    async def _tell(self, machine: MachineRecord) -> None:
        if self._is_aside(machine):
            return
        try:
            await self._place(machine.name)
        except WeftError as err:
            log.warning("machine %s is not told where it stands: %s", machine.name, err)
            text = f"{machine.name} goes on as it was: its settings do not fit its place any more: {err.message}"
            self._site.events.publish("settings.fallback", machine.name, text)

    def _is_aside(self, machine: MachineRecord) -> bool:
        """A parked appliance stands where it stood until it is inserted again, and one that drains has no rules to
        be told of."""
        insert = self._site.shelves.inserts.find(machine.name)
        return machine.is_appliance and (insert is None or insert.state is InsertState.EJECTING)

    def _applies(self, machine: MachineRecord) -> bool:
        image = self._site.images.find(machine.spec.image)
        return image is not None and is_appliance(image) and image.settings is not None and bool(image.settings.apply)

    async def _place(self, name: str) -> None:
        """Tell a machine that runs where it stands, unless it knows, or has no program that would care."""
        async with self._changes.locks[name]:
            machine = self._site.shelves.machines.find(name)
            if machine is None or machine.state is not State.RUNNING or not self._applies(machine):
                return
            terms = self._changes.terms(machine)
            if machine.told and machine.told.place == weigh_place(terms):
                return
            values = await self._find_values(name)
            await self._changes.applier.move(name, self._runs.agent(name), terms, values)

    async def _find_values(self, name: str) -> Values:
        """What it runs with; what is saved if it does not say so."""
        subject = await self._changes.subject(name)
        if subject.agent is None:
            return {}
        running = await self._changes.find_running(subject)
        return (await load_saved(subject.path)).document.fit(subject.schema).values if running is None else running
