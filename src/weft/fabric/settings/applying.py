"""Having machines apply settings: at their start, and while they run. What one refuses is taken back."""

import logging
from dataclasses import replace

from weft.fabric.records.machine import MachineRecord, Told
from weft.fabric.settings.floppies import FAILSAFE, Choice, find_terms, floppy_path, is_appliance, list_choices
from weft.fabric.settings.live import apply_settings, put_hostname, put_settings
from weft.fabric.settings.models import Terms
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.model.errors import WeftError
from weft.plan.settings import HOSTNAME, Fit, Values

log = logging.getLogger(__name__)


class Applier:
    """Tells machines their settings, and puts on record by which ones they run."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def prepare(self, machine: MachineRecord, agent: Agent) -> None:
        """Have a machine that has just started apply its settings; if it refuses them, the next best, and so on."""
        image = self._site.images.get(machine.spec.image)
        if not is_appliance(image) or image.settings is None or not image.settings.apply:
            return
        terms = find_terms(self._site, machine, image)
        refused = ""
        for choice in await self._choices(machine, terms):
            try:
                await self._tell(machine.name, agent, terms, choice.fit.values)
            except WeftError as err:
                refused = refused or f"{choice.name}: {err.message}"
                continue
            await self.note(machine.name, replace(choice, reason=refused) if refused else choice)
            return
        await self.note(machine.name, Choice(reason=refused))

    async def change(self, name: str, agent: Agent, terms: Terms, values: Values, back: Values) -> None:
        """Have a running machine apply settings. Raises its reason to refuse them, once it has `back` again."""
        try:
            await self._tell(name, agent, terms, values, back)
        except WeftError:
            await self.put_back(name, agent, terms, back)
            raise

    async def put_back(self, name: str, agent: Agent, terms: Terms, values: Values) -> None:
        """Have a running machine apply what it had before; nobody can be told of a failure but the events."""
        try:
            await self._tell(name, agent, terms, values)
        except WeftError as err:
            log.warning("machine %s does not go back to its settings: %s", name, err)
            text = f"{name} does not go back to the settings it had: {err.message}"
            self._site.events.publish("settings.fallback", name, text)

    async def _tell(self, name: str, agent: Agent, terms: Terms, values: Values, before: Values | None = None) -> None:
        """Tell a machine settings and have them applied. Raises Invalid with its reason to refuse, Unavailable.

        `before`: what it was told last, if that is known.
        """
        effective = terms.effective(values)
        await put_settings(agent, terms, values)
        if before is None or terms.effective(before)[HOSTNAME] != effective[HOSTNAME]:
            await put_hostname(agent, str(effective[HOSTNAME]))
        await apply_settings(agent, terms.schema, effective)
        await self._note_told(name, terms.weigh(values))

    async def move(self, name: str, agent: Agent, terms: Terms, values: Values) -> None:
        """Tell a running machine that it stands elsewhere, or what stands around it, as far as it has not been told.

        Raises Invalid with what does not fit there, or the machine's own reason to refuse it; Unavailable.
        """
        told, now = self._site.shelves.machines.get(name).told, terms.weigh(values)
        if told == now:
            return
        terms.require(Fit(values))
        await put_settings(agent, terms, values)
        if told is None or told.applied != now.applied:
            await apply_settings(agent, terms.schema, terms.effective(values))
        await self._note_told(name, now)

    async def _note_told(self, name: str, now: Told) -> None:
        machine = self._site.shelves.machines.get(name)
        if machine.told != now:
            await self._site.shelves.machines.save(machine.with_(told=now))

    async def note(self, name: str, choice: Choice) -> None:
        """Put on record what a machine runs by, and say so when that is not what is saved."""
        machine = self._site.shelves.machines.get(name)
        fallback = bool(choice.reason) and not machine.failsafe
        if (machine.settings, machine.fallback) != (choice.text, fallback):
            await self._site.shelves.machines.save(machine.with_(settings=choice.text, fallback=fallback))
        if fallback:
            self._site.events.publish("settings.fallback", name, f"{name} runs with {choice.text}")

    async def _choices(self, machine: MachineRecord, terms: Terms) -> list[Choice]:
        if machine.failsafe:
            return [Choice(reason=FAILSAFE)]
        return await list_choices(floppy_path(self._site, machine), terms)
