"""Volumes: made, grown, and taken away only where that is said. Pure."""

from collections.abc import Mapping

from weft.model.machine import MachineSpec
from weft.model.mount import MountKind
from weft.model.steps import Kind, Verb
from weft.model.volume import VolumeSpec
from weft.plan.changes.fates import Fate
from weft.plan.changes.work import UNNAMED, Volumes, Work


class VolumeFate(Fate[VolumeSpec]):
    """A volume before and after. One that goes takes along what is on it."""

    kind = Kind.VOLUME

    @property
    def is_remade(self) -> bool:
        """Whether it is to be smaller, which none can become."""
        return bool(self.before and self.after and self.after.size < self.before.size)

    @property
    def grows(self) -> bool:
        """Whether it becomes larger, which it can while no machine runs with it."""
        return bool(self.before and self.after and self.after.size > self.before.size)


Fates = Mapping[str, VolumeFate]


def volumes_of(spec: MachineSpec) -> dict[str, bool]:
    """Volumes that a machine has mounted, and whether it only reads them."""
    return {mount.source: mount.read_only for mount in spec.mounts if mount.kind is MountKind.VOLUME}


def weigh_volumes(work: Work) -> Fates:
    """What becomes of each volume that a file names or named."""
    wanted = work.file.volume_specs()
    fates = {name: VolumeFate(work.name, name, work.now.volumes.get(name), spec) for name, spec in wanted.items()}
    fates |= {name: VolumeFate(work.name, name, work.now.volumes[name], None) for name in _find_unnamed(work)}
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
    return VolumeFate(work.name, fate.name, fate.before, fate.before)


def add_volumes(work: Work, fates: Fates) -> None:
    """The steps of volumes."""
    for fate in fates.values():
        loss = (f"all that is on volume {fate.name}",)
        if fate.goes:
            why = ["it cannot become smaller"] if fate.after else [UNNAMED]
            work.add(Kind.VOLUME, fate.name, Verb.REMOVE, why=tuple(why), loses=loss)
        if fate.comes:
            lines = fate.why or ["it is not there"]
            work.add(Kind.VOLUME, fate.name, Verb.CREATE, spec=fate.after, why=tuple(lines))
            work.draft.need(fate.made, fate.gone)
        elif fate.changed:
            work.add(Kind.VOLUME, fate.name, Verb.CHANGE, spec=fate.after, why=tuple(fate.why))
