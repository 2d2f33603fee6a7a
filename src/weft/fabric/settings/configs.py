"""The settings of appliances: shown, changed, applied live, kept as revisions, put back.

A change is checked against the schema, then applied by the machine if it runs, then saved. What the machine refuses is
not saved, and what cannot be saved is taken back from the machine.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from weft.fabric.lifecycle import Lifecycle
from weft.fabric.records import MachineRecord
from weft.fabric.settings.applying import Applier
from weft.fabric.settings.floppies import Choice, ensure_floppy, is_appliance, schema_of
from weft.fabric.settings.live import parse_running, read_settings
from weft.fabric.settings.work import (
    Subject,
    Work,
    check_revision,
    load_revision,
    refuse_uncommitted,
    require_sound,
)
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.image.floppy import create_floppy, open_change
from weft.image.settings import load_history, load_saved, read_saved, write_revision
from weft.model.config import ConfigChange, ConfigView, RevisionView
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.model.machine import State
from weft.model.schema import SettingsSchema
from weft.plan.config_views import view_changes, view_config, view_history
from weft.plan.settings import (
    Fit,
    Values,
    change_values,
    find_changes,
    fit_running,
    keep_set,
    require_fit,
)
from weft.plan.settings_file import Document, Stamp, dump_document, parse_document


class Configs:
    """The settings of a fabric's appliances."""

    def __init__(self, site: Site, lifecycle: Lifecycle) -> None:
        self._site = site
        self._lifecycle = lifecycle
        self._applier = Applier(site)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # Looking.

    def schema(self, name: str) -> SettingsSchema:
        """What can be set on a machine. Raises NotFound, WrongState when it is no appliance."""
        machine = self._site.shelves.machines.get(name)
        image = self._site.images.get(machine.spec.image)
        if not is_appliance(image):
            raise WrongState(f"machine {name!r} is of image {image.name}, which is no appliance and has no settings")
        return schema_of(machine, image)

    async def show(self, name: str, *, running: bool | None = None, secrets: bool = False) -> ConfigView:
        """The settings that are saved, or those that the machine says it runs with; None: the latter, if it says so.

        Raises WrongState when it does not run, Invalid when what is saved is damaged.
        """
        subject = await self._subject(name)
        saved = await load_saved(subject.path)
        fit = None
        if running or (running is None and subject.agent is not None):
            try:
                fit = await self._running(subject)
            except Unavailable:
                if running:
                    raise
        return view_config(name, subject.schema, saved.document, fit, saved.damage, secrets=secrets)

    async def export(self, name: str, *, running: bool = False) -> bytes:
        """The settings as the file that `import_` takes, secrets included."""
        subject = await self._subject(name)
        if running:
            fit, stamp = await self._running(subject), Stamp(schema=subject.schema.version)
        else:
            saved = require_sound(subject, await load_saved(subject.path))
            fit, stamp = saved.document.fit(subject.schema), saved.document.stamp
        return dump_document(subject.schema, fit, stamp, subject.title)

    async def history(self, name: str) -> list[RevisionView]:
        """The last revisions, the newest first."""
        subject = await self._subject(name)
        return view_history(subject.schema, await load_history(subject.path))

    async def diff(self, name: str, before: int | None, after: int | None) -> list[ConfigChange]:
        """What has changed from one revision to another, or to what is saved. Without both: from that to what runs."""
        subject = await self._subject(name)
        old = (await load_revision(subject, before)).fit(subject.schema)
        if before is None and after is None:
            new = await self._running(subject)
        else:
            new = (await load_revision(subject, after)).fit(subject.schema)
        return view_changes(subject.schema, old, new)

    # Changing.

    async def change(
        self, name: str, wanted: Values, unset: Sequence[str] = (), *, revision: int | None = None, by: str = ""
    ) -> ConfigView:
        """Give settings other values, or their defaults back. `revision`: only if that is still the one saved."""
        async with self._changing(name, revision) as work:
            fit = require_sound(work.subject, work.saved).document.fit(work.subject.schema)
            values = change_values(work.subject.schema, fit.values, wanted, unset)
            why = ", ".join([*(f"{key} set" for key in wanted), *(f"{key} unset" for key in unset)])
            return await self._put(work, Fit(values, fit.unknown), by or "weft config set", why)

    async def import_(self, name: str, data: bytes, *, revision: int | None = None, by: str = "") -> ConfigView:
        """Take a whole file as the settings. What the schema does not know is kept aside; the rest has to fit."""
        document = parse_document(data, "the file")
        async with self._changing(name, revision) as work:
            fit = require_fit(document.fit(work.subject.schema))
            fit = replace(fit, unknown={**work.before.unknown, **fit.unknown})
            return await self._put(work, fit, by or "weft config import", "a file")

    async def revert(self, name: str, revision: int | None) -> ConfigView:
        """Go back to a revision, as a new one; None: have the machine run with what is saved again."""
        async with self._changing(name, differing=True) as work:
            subject = work.subject
            if revision is not None:
                fit = require_fit((await load_revision(subject, revision)).fit(subject.schema))
                return await self._put(work, fit, "weft config revert", f"back to revision {revision}")
            fit = require_fit(require_sound(subject, work.saved).document.fit(subject.schema))
            if subject.agent is None:
                raise WrongState(f"machine {name!r} does not run", hint="name the revision to go back to")
            await self._apply(work, subject.agent, fit.values)
            return view_config(name, subject.schema, work.saved.document, None)

    async def commit(self, name: str) -> ConfigView:
        """Save what the machine says it runs with. Raises WrongState when it does not run, Invalid."""
        async with self._changing(name, differing=True) as work:
            return await self._keep(work, await self._running(work.subject), "weft config commit")

    async def on_commit(self, name: str, text: str) -> None:
        """A program in the machine wants settings to be kept.

        Raises Invalid with what is wrong with them, WrongState while they are being changed from outside: by a
        program that waits for this answer, perhaps.
        """
        if self._locks[name].locked():
            raise WrongState(f"the settings of {name!r} are being changed")
        async with self._changing(name, differing=True) as work:
            running = require_fit(fit_running(work.subject.schema, parse_running(text.encode())))
            await self._keep(work, running, "the machine")

    async def reset(self, name: str) -> None:
        """Factory state: an empty floppy. A machine that runs goes on as it is until it is started again."""
        async with self._locks[name]:
            subject = await self._subject(name)
            await create_floppy(subject.path.resolve(), replace=True)
        self._site.events.publish("settings.reset", name, f"the floppy of {name} is empty")

    async def prepare(self, machine: MachineRecord, agent: Agent) -> None:
        """Have a machine that has just started apply its settings."""
        await self._applier.prepare(machine, agent)

    # How it is done.

    async def _subject(self, name: str) -> Subject:
        schema = self.schema(name)
        machine = self._site.shelves.machines.get(name)
        path = await ensure_floppy(self._site, machine)
        agent = self._lifecycle.agent(name) if machine.state is State.RUNNING and not machine.failsafe else None
        return Subject(machine, schema, path, agent)

    @asynccontextmanager
    async def _changing(
        self, name: str, revision: int | None = None, *, differing: bool = False
    ) -> AsyncIterator[Work]:
        """One change at a time of a machine; who comes second sees what the first has saved.

        `differing`: what runs may differ from what is saved. Otherwise that is a WrongState. What a machine has
        applied and what then cannot be saved is taken back from it.
        """
        async with self._locks[name]:
            work = Work(await self._subject(name))
            if work.subject.machine.state in (State.STARTING, State.STOPPING):
                raise WrongState(f"machine {name!r} is {work.subject.machine.state}")
            try:
                async with open_change(work.subject.path) as work.draft:
                    work.saved, work.running = await asyncio.gather(
                        read_saved(work.draft), self._find_running(work.subject)
                    )
                    check_revision(work, revision)
                    if not differing:
                        refuse_uncommitted(work)
                    yield work
            except WeftError:
                if work.applied and work.subject.agent is not None:
                    await self._applier.put_back(name, work.subject.agent, work.subject.schema, work.back)
                raise
            await self._tell_saved(work)

    async def _put(self, work: Work, fit: Fit, by: str, why: str) -> ConfigView:
        """Apply and save; neither without the other. The draft is written while the machine applies."""
        subject = work.subject
        if subject.agent is None:
            return await self._save(work, fit, by, why)
        applied, saved = await asyncio.gather(
            self._apply(work, subject.agent, fit.values), self._save(work, fit, by, why), return_exceptions=True
        )
        if isinstance(applied, BaseException):
            raise applied
        work.applied = True
        if isinstance(saved, BaseException):
            raise saved
        return saved

    async def _apply(self, work: Work, agent: Agent, values: Values) -> None:
        """Have the machine run with these. Raises its reason to refuse them, once it has gone back."""
        await self._applier.change(work.subject.name, agent, work.subject.schema, values, work.back)

    async def _keep(self, work: Work, running: Fit, by: str) -> ConfigView:
        """Save what runs already."""
        schema, before = work.subject.schema, work.before
        values = keep_set(before.values, running.values, schema)
        changed = find_changes(before.values, values)
        if not changed and not work.saved.damage:
            return view_config(work.subject.name, schema, work.saved.document, None)
        why = ", ".join(f"{change.name} {'unset' if change.after is None else 'set'}" for change in changed)
        return await self._save(work, Fit(values, before.unknown), by, why)

    async def _save(self, work: Work, fit: Fit, by: str, why: str) -> ConfigView:
        """Write a revision on the draft; it counts when the change is over."""
        subject = work.subject
        stamp = Stamp(revision=work.saved.document.stamp.revision, time=self._site.clock(), by=by, why=why)
        work.stamp = stamp = await write_revision(work.draft, subject.schema, fit, stamp, subject.title)
        work.fit = fit
        return view_config(subject.name, subject.schema, Document(fit.values, fit.unknown, stamp), None)

    async def _tell_saved(self, work: Work) -> None:
        name = work.subject.name
        if work.stamp is None:
            return
        if work.subject.agent is not None:
            await self._applier.note(name, Choice(work.fit, work.stamp.revision))
        text = f"settings of {name} saved as revision {work.stamp.revision}: {work.stamp.why}"
        self._site.events.publish("settings.saved", name, text, revision=work.stamp.revision)

    async def _running(self, subject: Subject) -> Fit:
        """What the machine says. Raises WrongState when it does not run by its floppy, Invalid, Unavailable."""
        if subject.agent is None:
            how = "failsafe" if subject.machine.state is State.RUNNING else subject.machine.state
            raise WrongState(f"machine {subject.name!r} is {how}, so none of its settings run")
        return require_fit(fit_running(subject.schema, await read_settings(subject.agent)))

    async def _find_running(self, subject: Subject) -> Values | None:
        """The same, or None when the machine does not say, or says nonsense."""
        try:
            return (await self._running(subject)).values
        except WeftError:
            return None
