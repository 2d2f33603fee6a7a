"""A change of an appliance's settings while it goes on, and what has to be so before it does."""

from dataclasses import dataclass, field
from pathlib import Path

from weft.fabric.records.machine import MachineRecord
from weft.fabric.settings.models import Terms
from weft.guest.agent import Agent
from weft.image.floppy import Draft
from weft.image.settings import Saved, load_history, load_saved
from weft.model.errors import Invalid, NotFound, WrongState
from weft.model.schema import SettingsSchema
from weft.plan.settings import Fit, Values, effective_values, find_changes
from weft.plan.settings_file import Document, Stamp


@dataclass(frozen=True, slots=True)
class Subject:
    """A machine whose settings are looked at, with its agent if it runs by them."""

    machine: MachineRecord
    terms: Terms
    path: Path
    agent: Agent | None

    @property
    def schema(self) -> SettingsSchema:
        return self.terms.schema

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def title(self) -> str:
        """As its file says."""
        return f"machine {self.name}, image {self.machine.spec.image}"


@dataclass(slots=True)
class Work:
    """A change that goes on: the draft of the floppy, what was on it and what ran before, and what is to be."""

    subject: Subject
    draft: Draft = field(init=False)
    saved: Saved = field(init=False)
    running: Values | None = None
    applied: bool = False
    fit: Fit = field(default_factory=Fit)
    stamp: Stamp | None = None

    @property
    def before(self) -> Fit:
        """What was saved, against the schema."""
        return self.saved.document.fit(self.subject.schema)

    @property
    def back(self) -> Values:
        """What the machine goes back to when it refuses."""
        return self.before.values if self.running is None else self.running


def check_revision(work: Work, revision: int | None) -> None:
    """Raises WrongState when somebody has saved since whoever names this revision has looked."""
    name, current = work.subject.name, work.saved.document.stamp.revision
    if revision not in (None, current):
        raise WrongState(f"the settings of {name!r} were changed meanwhile: revision {current}, not {revision}")


def refuse_uncommitted(work: Work) -> None:
    """A change would undo what a program in the machine has changed and not committed. Raises WrongState."""
    schema, name = work.subject.schema, work.subject.name
    if work.running is None or work.saved.damage or work.subject.machine.fallback:
        return
    changed = find_changes(effective_values(schema, work.before.values), effective_values(schema, work.running))
    if changed:
        names = ", ".join(change.name for change in changed)
        hint = f"weft config commit {name} keeps that, weft config revert {name} does not"
        raise WrongState(f"machine {name!r} has changed {names} itself", hint=hint)


def refuse_trial(machine: MachineRecord) -> None:
    """What is on trial is decided first. Raises WrongState."""
    name = machine.name
    if machine.trial is not None:
        hint = f"weft config confirm {name} keeps that, weft config revert {name} does not"
        raise WrongState(f"settings of {name!r} are on trial", hint=hint)


def require_sound(subject: Subject, saved: Saved) -> Saved:
    if saved.damage:
        hint = f"weft config revert {subject.name} N, weft config import or weft reset {subject.name}"
        raise Invalid(saved.damage, hint=hint)
    return saved


async def load_revision(subject: Subject, number: int | None) -> Document:
    """One of the revisions; None: what is saved. Raises NotFound, Invalid."""
    if number is None:
        return require_sound(subject, await load_saved(subject.path)).document
    if (found := (await load_history(subject.path)).get(number)) is None:
        raise NotFound(f"there is no revision {number}", hint="weft config history lists those that are kept")
    return found
