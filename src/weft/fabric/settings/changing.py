"""How a change of an appliance's settings is carried out: one at a time, applied and saved together or not at all."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.settings.applying import Applier
from weft.fabric.settings.floppies import Choice, ensure_floppy, find_terms, is_appliance
from weft.fabric.settings.live import read_settings
from weft.fabric.settings.models import Terms
from weft.fabric.settings.work import Subject, Work, check_revision, refuse_trial, refuse_uncommitted
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.image.floppy import open_change
from weft.image.settings import read_saved, write_revision
from weft.model.config import ConfigView
from weft.model.errors import WeftError, WrongState
from weft.model.machine import State
from weft.plan.config_views import view_config
from weft.plan.settings import Fit, Values, find_changes, fit_running, keep_set, require_fit
from weft.plan.settings_file import Document, Stamp


class Changes:
    """Changes of the settings of a fabric's appliances. One at a time of each machine."""

    def __init__(self, site: Site, runs: Runs) -> None:
        self._site = site
        self._runs = runs
        self.applier = Applier(site)
        self.locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def terms(self, machine: MachineRecord) -> Terms:
        image = self._site.images.get(machine.spec.image)
        if not is_appliance(image):
            what = f"machine {machine.name!r} is of image {image.name}, which is no appliance and has no settings"
            raise WrongState(what)
        return find_terms(self._site, machine, image)

    async def subject(self, name: str) -> Subject:
        machine = self._site.shelves.machines.get(name)
        terms = self.terms(machine)
        path = await ensure_floppy(self._site, machine)
        runs = machine.state is State.RUNNING and not machine.failsafe
        agent = await self._runs.reach(name) if runs else None
        return Subject(machine, terms, path, agent)

    @asynccontextmanager
    async def open(
        self, name: str, revision: int | None = None, *, differing: bool = False, on_trial: bool = False
    ) -> AsyncIterator[Work]:
        """One change at a time of a machine; who comes second sees what the first has saved.

        `differing`: what runs may differ from what is saved; `on_trial`: what is saved may be on trial. Otherwise that
        is a WrongState. What a machine has applied and what then cannot be saved is taken back from it.
        """
        async with self.locks[name]:
            work = Work(await self.subject(name))
            if not on_trial:
                refuse_trial(work.subject.machine)
            if work.subject.machine.state in (State.STARTING, State.STOPPING):
                raise WrongState(f"machine {name!r} is {work.subject.machine.state}")
            try:
                async with open_change(work.subject.path) as work.draft:
                    work.saved, work.running = await asyncio.gather(
                        read_saved(work.draft), self.find_running(work.subject)
                    )
                    check_revision(work, revision)
                    if not differing:
                        refuse_uncommitted(work)
                    yield work
            except WeftError:
                if work.applied and work.subject.agent is not None:
                    await self.applier.put_back(name, work.subject.agent, work.subject.terms, work.back)
                raise
            await self._tell_saved(work)

    async def put(self, work: Work, fit: Fit, by: str, why: str) -> ConfigView:
        """Apply and save; neither without the other. The draft is written while the machine applies."""
        subject = work.subject
        subject.terms.require(fit)
        if subject.agent is None:
            return await self._save(work, fit, by, why)
        applied, saved = await asyncio.gather(
            self.apply(work, subject.agent, fit.values), self._save(work, fit, by, why), return_exceptions=True
        )
        if isinstance(applied, BaseException):
            raise applied
        work.applied = True
        if isinstance(saved, BaseException):
            raise saved
        return saved

    async def apply(self, work: Work, agent: Agent, values: Values) -> None:
        """Have the machine run with these. Raises its reason to refuse them, once it has gone back."""
        await self.applier.change(work.subject.name, agent, work.subject.terms, values, work.back)

    async def keep(self, work: Work, running: Fit, by: str) -> ConfigView:
        """Save what runs already."""
        work.subject.terms.require(running)
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
            await self.applier.note(name, Choice(work.fit, work.stamp.revision))
        text = f"settings of {name} saved as revision {work.stamp.revision}: {work.stamp.why}"
        self._site.events.publish("settings.saved", name, text, revision=work.stamp.revision)

    async def read_running(self, subject: Subject) -> Fit:
        """What the machine says. Raises WrongState when it does not run by its floppy, Invalid, Unavailable."""
        if subject.agent is None:
            how = "failsafe" if subject.machine.state is State.RUNNING else subject.machine.state
            raise WrongState(f"machine {subject.name!r} is {how}, so none of its settings run")
        return require_fit(fit_running(subject.schema, await read_settings(subject.agent)))

    async def find_running(self, subject: Subject) -> Values | None:
        """The same, or None when the machine does not say, or says nonsense."""
        try:
            return (await self.read_running(subject)).values
        except WeftError:
            return None
