"""The settings of appliances: shown, changed, applied live, kept as revisions, put back.

A change is checked against the schema, then applied by the machine if it runs, then saved. What the machine refuses is
not saved, and what cannot be saved is taken back from the machine.
"""

from collections.abc import Sequence
from dataclasses import replace

from weft.fabric.records.machine import MachineRecord
from weft.fabric.settings.changing import Changes
from weft.fabric.settings.confirming import Confirming
from weft.fabric.settings.live import parse_running
from weft.fabric.settings.work import (
    load_revision,
    require_sound,
)
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.image.floppy import create_floppy
from weft.image.settings import load_history, load_saved
from weft.model.config import ConfigChange, ConfigView, RevisionView
from weft.model.errors import Unavailable, WrongState
from weft.model.place import Place
from weft.model.schema import SettingsSchema
from weft.plan.config_views import view_changes, view_config, view_history
from weft.plan.settings import (
    Fit,
    Values,
    change_values,
    find_changes,
    fit_running,
    require_fit,
)
from weft.plan.settings_file import Stamp, dump_document, parse_document


class Configs:
    """The settings of a fabric's appliances."""

    def __init__(self, site: Site, changes: Changes, confirming: Confirming) -> None:
        self._site = site
        self._changes = changes
        self._confirming = confirming

    # Looking.

    def schema(self, name: str) -> SettingsSchema:
        """What can be set on a machine. Raises NotFound, WrongState when it is no appliance."""
        return self._changes.terms(self._site.shelves.machines.get(name)).schema

    async def show(self, name: str, *, running: bool | None = None, secrets: bool = False) -> ConfigView:
        """The settings that are saved, or those that the machine says it runs with; None: the latter, if it says so.

        Raises WrongState when it does not run, Invalid when what is saved is damaged.
        """
        subject = await self._changes.subject(name)
        saved = await load_saved(subject.path)
        fit = None
        if running or (running is None and subject.agent is not None):
            try:
                fit = await self._changes.read_running(subject)
            except Unavailable:
                if running:
                    raise
        return self._with_trial(view_config(name, subject.schema, saved.document, fit, saved.damage, secrets=secrets))

    async def in_force(self, name: str) -> tuple[Values, Place]:
        """What counts at a machine, defaults included, and where it stands: by what it runs with, or what is saved.

        Raises WrongState when it is no appliance, Invalid when what is saved is damaged or does not fit.
        """
        subject = await self._changes.subject(name)
        values = await self._changes.find_running(subject)
        if values is None:
            values = require_sound(subject, await load_saved(subject.path)).document.fit(subject.schema).values
        subject.terms.require(Fit(values))
        return subject.terms.effective(values), subject.terms.place

    async def export(self, name: str, *, running: bool = False) -> bytes:
        """The settings as the file that `import_` takes, secrets included."""
        subject = await self._changes.subject(name)
        if running:
            fit, stamp = await self._changes.read_running(subject), Stamp(schema=subject.schema.version)
        else:
            saved = require_sound(subject, await load_saved(subject.path))
            fit, stamp = saved.document.fit(subject.schema), saved.document.stamp
        return dump_document(subject.schema, fit, stamp, subject.title)

    async def history(self, name: str) -> list[RevisionView]:
        """The last revisions, the newest first."""
        subject = await self._changes.subject(name)
        return view_history(subject.schema, await load_history(subject.path))

    async def diff(self, name: str, before: int | None, after: int | None) -> list[ConfigChange]:
        """What has changed from one revision to another, or to what is saved. Without both: from that to what runs."""
        subject = await self._changes.subject(name)
        old = (await load_revision(subject, before)).fit(subject.schema)
        if before is None and after is None:
            new = await self._changes.read_running(subject)
        else:
            new = (await load_revision(subject, after)).fit(subject.schema)
        return view_changes(subject.schema, old, new)

    # Changing.

    async def change(
        self,
        name: str,
        wanted: Values,
        unset: Sequence[str] = (),
        *,
        revision: int | None = None,
        by: str = "",
        confirm: float | None = None,
    ) -> ConfigView:
        """Give settings other values, or their defaults back. `revision`: only if that is still the one saved;
        `confirm`: go back after so many seconds, unless it is confirmed."""
        on_trial = confirm is not None
        async with self._confirming.begin(name, confirm), self._changes.open(name, revision, on_trial=on_trial) as work:
            fit = require_sound(work.subject, work.saved).document.fit(work.subject.schema)
            values = change_values(work.subject.schema, fit.values, wanted, unset)
            why = ", ".join([*(f"{key} set" for key in wanted), *(f"{key} unset" for key in unset)])
            view = await self._changes.put(work, Fit(values, fit.unknown), by or "weft config set", why)
        return self._with_trial(view)

    async def replace(self, name: str, wanted: Values, *, by: str) -> ConfigView:
        """Have these settings and no others. What the schema does not know stays aside, damage goes."""
        async with self._changes.open(name) as work:
            before = work.before
            known = {key: value for key, value in wanted.items() if key not in before.unknown}
            values = change_values(work.subject.schema, {}, known, ())
            changes = find_changes(before.values, values)
            why = ", ".join(f"{change.name} {'unset' if change.after is None else 'set'}" for change in changes)
            return await self._changes.put(work, Fit(values, before.unknown), by, why or "mended")

    async def import_(
        self, name: str, data: bytes, *, revision: int | None = None, by: str = "", confirm: float | None = None
    ) -> ConfigView:
        """Take a whole file as the settings. What the schema does not know is kept aside; the rest has to fit."""
        document, on_trial = parse_document(data, "the file"), confirm is not None
        async with self._confirming.begin(name, confirm), self._changes.open(name, revision, on_trial=on_trial) as work:
            fit = require_fit(document.fit(work.subject.schema))
            fit = replace(fit, unknown={**work.before.unknown, **fit.unknown})
            view = await self._changes.put(work, fit, by or "weft config import", "a file")
        return self._with_trial(view)

    async def confirm(self, name: str) -> ConfigView:
        """What is on trial stays. Raises WrongState when nothing is."""
        await self._confirming.confirm(name)
        return await self.show(name, running=False)

    async def revert(self, name: str, revision: int | None) -> ConfigView:
        """Go back to a revision, as a new one; None: have the machine run with what is saved again.

        What is on trial is taken back first.
        """
        if self._site.shelves.machines.get(name).trial is not None:
            await self._confirming.undo(name, "weft config revert")
            if revision is None:
                return await self.show(name, running=False)
        async with self._changes.open(name, differing=True) as work:
            subject = work.subject
            if revision is not None:
                fit = require_fit((await load_revision(subject, revision)).fit(subject.schema))
                return await self._changes.put(work, fit, "weft config revert", f"back to revision {revision}")
            fit = subject.terms.require(require_sound(subject, work.saved).document.fit(subject.schema))
            if subject.agent is None:
                raise WrongState(f"machine {name!r} does not run", hint="name the revision to go back to")
            await self._changes.apply(work, subject.agent, fit.values)
            return view_config(name, subject.schema, work.saved.document, None)

    async def commit(self, name: str) -> ConfigView:
        """Save what the machine says it runs with. Raises WrongState when it does not run, Invalid."""
        async with self._changes.open(name, differing=True) as work:
            return await self._changes.keep(work, await self._changes.read_running(work.subject), "weft config commit")

    async def on_commit(self, name: str, text: str) -> None:
        """A program in the machine wants settings to be kept.

        Raises Invalid with what is wrong with them, WrongState while they are being changed from outside: by a
        program that waits for this answer, perhaps.
        """
        if self._changes.locks[name].locked():
            raise WrongState(f"the settings of {name!r} are being changed")
        async with self._changes.open(name, differing=True) as work:
            running = require_fit(fit_running(work.subject.schema, parse_running(text.encode())))
            await self._changes.keep(work, running, "the machine")

    async def reset(self, name: str) -> None:
        """Factory state: an empty floppy. A machine that runs goes on as it is until it is started again."""
        async with self._changes.locks[name]:
            subject = await self._changes.subject(name)
            await self._confirming.forget(name)
            await create_floppy(subject.path.resolve(), replace=True)
        self._site.events.publish("settings.reset", name, f"the floppy of {name} is empty")

    def _with_trial(self, view: ConfigView) -> ConfigView:
        """With what is on trial of it, and until when."""
        trial = self._site.shelves.machines.get(view.machine).trial
        return view if trial is None else view.model_copy(update={"on_trial_until": trial.until})

    async def prepare(self, machine: MachineRecord, agent: Agent) -> None:
        """Have a machine that has just started apply its settings."""
        await self._changes.applier.prepare(machine, agent)
