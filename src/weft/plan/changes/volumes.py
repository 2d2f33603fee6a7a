"""Volumes: made, grown, and taken away only where that is said. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from weft.model.machine import MachineSpec
from weft.model.mount import MountKind
from weft.model.steps import Kind, Verb
from weft.model.volume import VolumeSpec
from weft.plan.changes.words import compare
from weft.plan.changes.work import Volumes, Work


@dataclass(frozen=True, slots=True)
class VolumeFate:
    """A volume before and after; None: there is none."""

    name: str
    before: VolumeSpec | None
    after: VolumeSpec | None

    @property
    def shrinks(self) -> bool:
        """Whether it is to be smaller, which none can become: another one takes its place."""
        return bool(self.before and self.after and self.after.size < self.before.size)

    @property
    def grows(self) -> bool:
        """Whether it becomes larger, which it can while no machine runs with it."""
        return bool(self.before and self.after and self.after.size > self.before.size)

    @property
    def changed(self) -> list[str]:
        """The parts that differ, where there is one before and after."""
        if self.before is None or self.after is None:
            return []
        return [part for part in VolumeSpec.model_fields if getattr(self.before, part) != getattr(self.after, part)]

    @property
    def goes(self) -> bool:
        """Whether what is on it is lost."""
        return self.before is not None and (self.after is None or self.shrinks)

    @property
    def comes(self) -> bool:
        """Whether an empty one is made."""
        return self.after is not None and (self.before is None or self.shrinks)


Fates = Mapping[str, VolumeFate]


def volumes_of(spec: MachineSpec) -> dict[str, bool]:
    """Volumes that a machine has mounted, and whether it only reads them."""
    return {mount.source: mount.read_only for mount in spec.mounts if mount.kind is MountKind.VOLUME}


def weigh_volumes(work: Work) -> Fates:
    """What becomes of each volume that a file names or named."""
    wanted = work.file.volume_specs()
    fates = {name: VolumeFate(name, work.now.volumes.get(name), spec) for name, spec in wanted.items()}
    fates |= {name: VolumeFate(name, work.now.volumes[name], None) for name in _find_unnamed(work)}
    return {name: _spare(work, fate) for name, fate in fates.items()}


def _find_unnamed(work: Work) -> list[str]:
    """Those that go. One that stays although no file has a word on it any more is told of."""
    used = {volume for spec in work.file.machine_specs().values() for volume in volumes_of(spec)}
    once = dict.fromkeys([*work.once.volumes, *work.once.mounted])
    left = [name for name in once if name in work.now.volumes and name not in {*work.file.volumes, *used}]
    goes = {Volumes.ALL: {*left}, Volumes.DESCRIBED: {*work.once.volumes}, Volumes.NONE: set[str]()}
    for name in left:
        if name not in goes[work.wishes.volumes]:
            work.note(f"volume {name} stays, with what is on it")
    return [name for name in left if name in goes[work.wishes.volumes]]


def _spare(work: Work, fate: VolumeFate) -> VolumeFate:
    """What a machine uses that no file ever named is left as it is."""
    if not (fate.goes or fate.grows):
        return fate
    strangers = [name for name in work.strangers if fate.name in volumes_of(work.now.machines[name].spec)]
    if fate.grows:
        strangers = [name for name in strangers if work.now.machines[name].state.is_live]
    if not strangers:
        return fate
    work.note(f"volume {fate.name} stays as it is: {', '.join(strangers)}, which no file names, has it")
    return VolumeFate(fate.name, fate.before, fate.before)


def add_volumes(work: Work, fates: Fates) -> None:
    """The steps of volumes."""
    for fate in fates.values():
        loss = (f"all that is on volume {fate.name}",)
        if fate.goes:
            why = ["it cannot become smaller"] if fate.after else ["the file does not name it any more"]
            work.add(Kind.VOLUME, fate.name, Verb.REMOVE, why=tuple(why), loses=loss)
        if fate.comes:
            lines = _why(fate) or ["it is not there"]
            work.add(Kind.VOLUME, fate.name, Verb.CREATE, spec=fate.after, why=tuple(lines))
            work.draft.need(made(fates, work, fate.name), gone(fates, work, fate.name))
        elif fate.changed:
            work.add(Kind.VOLUME, fate.name, Verb.CHANGE, spec=fate.after, why=tuple(_why(fate)))


def _why(fate: VolumeFate) -> list[str]:
    return compare(fate.before, fate.after, fate.changed) if fate.before and fate.after else []


def gone(fates: Fates, work: Work, name: str) -> str | None:
    """The step after which a volume is not there any more."""
    return f"{work.name}/volume/{name}/remove" if name in fates and fates[name].goes else None


def made(fates: Fates, work: Work, name: str) -> str | None:
    """The step after which a volume is as it is to be."""
    if name not in fates or not (fates[name].comes or fates[name].changed):
        return None
    return f"{work.name}/volume/{name}/{'create' if fates[name].comes else 'change'}"
