"""Having machines apply settings: at their start, and while they run. What one refuses is taken back."""

import logging
from dataclasses import replace

from weft.fabric.records import MachineRecord
from weft.fabric.settings.floppies import FAILSAFE, Choice, floppy_path, is_appliance, list_choices, schema_of
from weft.fabric.settings.live import apply_settings, put_hostname, put_settings
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.model.errors import WeftError
from weft.model.schema import SettingsSchema
from weft.plan.settings import HOSTNAME, Values, effective_values

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
        schema = schema_of(machine, image)
        refused = ""
        for choice in await self._choices(machine, schema):
            try:
                await self._tell(agent, schema, choice.fit.values)
            except WeftError as err:
                refused = refused or f"{choice.name}: {err.message}"
                continue
            await self.note(machine.name, replace(choice, reason=refused) if refused else choice)
            return
        await self.note(machine.name, Choice(reason=refused))

    async def change(self, name: str, agent: Agent, schema: SettingsSchema, values: Values, back: Values) -> None:
        """Have a running machine apply settings. Raises its reason to refuse them, once it has `back` again."""
        try:
            await self._tell(agent, schema, values, back)
        except WeftError:
            await self.put_back(name, agent, schema, back)
            raise

    async def put_back(self, name: str, agent: Agent, schema: SettingsSchema, values: Values) -> None:
        """Have a running machine apply what it had before; nobody can be told of a failure but the events."""
        try:
            await self._tell(agent, schema, values)
        except WeftError as err:
            log.warning("machine %s does not go back to its settings: %s", name, err)
            text = f"{name} does not go back to the settings it had: {err.message}"
            self._site.events.publish("settings.fallback", name, text)

    async def _tell(self, agent: Agent, schema: SettingsSchema, values: Values, before: Values | None = None) -> None:
        """Tell a machine settings and have them applied. Raises Invalid with its reason to refuse, Unavailable.

        `before`: what it was told last, if that is known.
        """
        effective = effective_values(schema, values)
        await put_settings(agent, schema, effective)
        if before is None or effective_values(schema, before)[HOSTNAME] != effective[HOSTNAME]:
            await put_hostname(agent, str(effective[HOSTNAME]))
        await apply_settings(agent, schema, effective)

    async def note(self, name: str, choice: Choice) -> None:
        """Put on record what a machine runs by, and say so when that is not what is saved."""
        machine = self._site.shelves.machines.get(name)
        fallback = bool(choice.reason) and not machine.failsafe
        if (machine.settings, machine.fallback) != (choice.text, fallback):
            await self._site.shelves.machines.save(machine.with_(settings=choice.text, fallback=fallback))
        if fallback:
            self._site.events.publish("settings.fallback", name, f"{name} runs with {choice.text}")

    async def _choices(self, machine: MachineRecord, schema: SettingsSchema) -> list[Choice]:
        if machine.failsafe:
            return [Choice(reason=FAILSAFE)]
        return await list_choices(floppy_path(self._site, machine), schema)
