"""The floppies of machines: where each is, made when it is missed, and what is read of it at boot."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from weft.fabric.layout import Layout
from weft.fabric.records.machine import FirstSettings, MachineRecord
from weft.fabric.settings.live import settings_files
from weft.fabric.settings.models import Terms
from weft.fabric.settings.places import find_place
from weft.fabric.site import Site
from weft.guest.config import GuestConfig, GuestMount
from weft.image.floppy import Floppy, create_floppy, open_floppy
from weft.image.settings import is_settings, load_saved, read_document, rescue_history, save
from weft.model.errors import Invalid, WeftError, WrongState
from weft.model.image import ImageKind, ImageManifest
from weft.model.machine import MachineSpec, Profile
from weft.model.schema import SettingsSchema
from weft.plan.boot import FLOPPY_SERIAL
from weft.plan.mounts import MICROVM_SLOTS, plan_mounts
from weft.plan.settings import HOSTNAME, Fit, complete_schema
from weft.plan.settings_file import Document, Stamp

MOUNT = GuestMount(serial=FLOPPY_SERIAL, at="/media/floppy", type="vfat", read_only=True)
NO_SETTINGS: dict[str, object] = {"settings": "", "fallback": False, "told": None}
"""What the record of a machine says that has none."""
FAILSAFE = "failsafe: the floppy is ignored"
FACTORY = "factory defaults"
MOST_CHOICES = 3
"""How many revisions an appliance may refuse at its start before it gets its defaults."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings that a machine could be booted with. `reason`: why it is not simply what is saved."""

    fit: Fit = field(default_factory=Fit)
    revision: int = 0
    reason: str = ""

    @property
    def name(self) -> str:
        """Which settings these are."""
        return f"revision {self.revision}" if self.revision else FACTORY

    @property
    def text(self) -> str:
        """As inspect shows it."""
        return f"{self.name}: {self.reason}" if self.reason else self.name


@dataclass(frozen=True, slots=True)
class BootSettings:
    """What an appliance is told at boot. `floppy`: the image that it gets to see, if it does."""

    terms: Terms
    choice: Choice
    floppy: Path | None = None

    @property
    def record(self) -> dict[str, object]:
        """What a machine's record says of them."""
        told = self.terms.weigh(self.choice.fit.values)
        fallback = self.choice.reason not in ("", FAILSAFE)
        return {"settings": self.choice.text, "fallback": fallback, "told": told, "first": None}


def is_appliance(image: ImageManifest) -> bool:
    """Whether machines of this image have a floppy."""
    return image.kind is ImageKind.APPLIANCE


def schema_of(machine: MachineRecord, image: ImageManifest) -> SettingsSchema:
    """What can be set on this machine."""
    return complete_schema(image.settings, machine.name, machine.spec.hostname)


def find_terms(site: Site, machine: MachineRecord, image: ImageManifest) -> Terms:
    """What the settings of a machine have to fit."""
    return Terms(schema_of(machine, image), find_place(site, machine))


def floppy_path(site: Site, machine: MachineRecord) -> Path:
    """The file with a machine's floppy: its own, or the one that it was given."""
    return find_floppy_path(site.layout, machine)


def find_floppy_path(layout: Layout, machine: MachineRecord) -> Path:
    """The same in the folders of any room."""
    given = machine.spec.floppy
    return Path(given) if given else layout.machine(machine.name).floppy


async def ensure_floppy(site: Site, machine: MachineRecord) -> Path:
    """A machine's floppy, made if it is its own and not there, with the settings that the machine was made with."""
    path = floppy_path(site, machine)
    if not machine.spec.floppy and not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await create_floppy(path)
    if machine.first is not None:
        await _save_first(site, machine, machine.first, path)
    return path


async def _save_first(site: Site, machine: MachineRecord, first: FirstSettings, path: Path) -> None:
    if (await load_saved(path)).document.stamp.revision == 0:
        schema = schema_of(machine, site.images.get(machine.spec.image))
        stamp = Stamp(time=site.clock(), by=first.by, why="made with it")
        await save(path, schema, Fit(first.values), stamp, f"machine {machine.name}, image {machine.spec.image}")
    await site.shelves.machines.save(site.shelves.machines.get(machine.name).with_(first=None))


async def check_floppy(site: Site, spec: MachineSpec, image: ImageManifest) -> None:
    """Whether a new machine may have the floppy it asks for. Raises Invalid, NotFound, WrongState."""
    if spec.floppy is None:
        return
    if not is_appliance(image):
        raise Invalid(
            f"image {spec.image!r} is no appliance, so its machines have no floppy", hint="leave --floppy out"
        )
    path = Path(spec.floppy)
    if not path.is_absolute():
        raise Invalid(f"floppy {spec.floppy!r} has to be an absolute path")
    await open_floppy(path)


def list_floppies(layout: Layout, machines: Iterable[MachineRecord], prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Machines of a room with their floppies; `prefix` stands before the names."""
    yield from ((f"{prefix}{machine.name}", find_floppy_path(layout, machine)) for machine in machines)


def refuse_shared(spec: MachineSpec, others: Iterable[tuple[str, Path]]) -> None:
    """Raises WrongState when another machine keeps its settings on the floppy that this one asks for."""
    if spec.floppy is None:
        return
    path = Path(spec.floppy)
    for name, theirs in others:
        if theirs.exists() and theirs.samefile(path):
            raise WrongState(f"floppy {path} is the one of machine {name!r}", hint="weft floppy copy makes another")


async def load_boot_settings(site: Site, machine: MachineRecord, image: ImageManifest) -> BootSettings | None:
    """What a machine is to be booted with; None when its image is no appliance."""
    if not is_appliance(image):
        return None
    terms = find_terms(site, machine, image)
    if machine.failsafe:
        return BootSettings(terms, Choice(reason=FAILSAFE))
    path = await ensure_floppy(site, machine)
    floppy, damage = await _find_sound(path)
    choice, *_ = await _list_choices(path, floppy, damage, terms, most=1)
    shown = floppy is not None and _has_room(machine, image) and await _has_files(machine, floppy)
    return BootSettings(terms, choice, path if shown else None)


async def _has_files(machine: MachineRecord, floppy: Floppy) -> bool:
    """Whether there is more than settings on it, which a machine is told anyway: the device makes a boot 8 % longer."""
    return machine.spec.floppy is not None or any(not is_settings(file.path) for file in await floppy.list())


def with_settings(config: GuestConfig, settings: BootSettings | None) -> GuestConfig:
    """What a machine is told at boot, with what its floppy says."""
    if settings is None:
        return config
    return replace(
        config,
        hostname=str(settings.terms.effective(settings.choice.fit.values)[HOSTNAME]),
        mounts=(*config.mounts, *((MOUNT,) if settings.floppy else ())),
        files=(*config.files, *settings_files(settings.terms, settings.choice.fit.values)),
    )


def _has_room(machine: MachineRecord, image: ImageManifest) -> bool:
    """Whether the board takes one more device. Without it a machine has its settings all the same."""
    mounts = plan_mounts(machine.spec, image)
    used = len(machine.nics) + len(mounts.disks) + len(mounts.shares)
    return machine.spec.profile is not Profile.MICROVM or used < MICROVM_SLOTS


async def _find_sound(path: Path) -> tuple[Floppy | None, str]:
    """The floppy, or what is wrong with it."""
    try:
        return await open_floppy(path), ""
    except WeftError as err:
        return None, err.message


async def list_choices(path: Path, terms: Terms) -> list[Choice]:
    """What a machine could be booted with, the best first: what is saved, the last revisions that fit, and nothing.

    The first is what counts; the others are for an appliance that refuses it.
    """
    return await _list_choices(path, *await _find_sound(path), terms)


async def _list_choices(
    path: Path, floppy: Floppy | None, damage: str, terms: Terms, *, most: int = MOST_CHOICES
) -> list[Choice]:
    found, reason = None, damage
    if floppy is not None:
        try:
            found, reason = _judge(await read_document(floppy), terms)
        except WeftError as err:
            reason = err.message
    choices = [found] if found else []
    for document in await rescue_history(path) if len(choices) < most else []:
        kept, _ = _judge(document, terms, reason)
        if kept and kept.fit.values not in [choice.fit.values for choice in choices]:
            choices.append(kept)
    return [*choices[:most], Choice(reason=reason)]


def _judge(document: Document, terms: Terms, reason: str = "") -> tuple[Choice | None, str]:
    """A document as a choice, or why it is none. A new floppy is one, whatever has to be set yet."""
    fit, revision = terms.judge(document.fit(terms.schema)), document.stamp.revision
    if fit.problems and document.values:
        return None, f"what is saved does not fit: {'; '.join(fit.problems)}"
    return Choice(fit, revision, reason), reason
