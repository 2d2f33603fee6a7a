"""What a machine is asked to be that is made again from a snapshot. A copy of it is a matter of `forks`. Pure."""

from collections.abc import Mapping, Sequence

from weft.model.machine import MachineSpec, NicSpec
from weft.model.mount import MountKind, MountSpec


def plan_same(spec: MachineSpec, nics: Sequence[NicSpec], volumes: Mapping[str, str]) -> MachineSpec:
    """The same machine again, with all its addresses. `volumes`: what those are called now that it had."""
    mounts = tuple(_mount_again(mount, volumes) for mount in spec.mounts)
    return spec.model_copy(update={"nics": tuple(nics), "mounts": mounts, "floppy": None})


def _mount_again(mount: MountSpec, volumes: Mapping[str, str]) -> MountSpec:
    if mount.kind is not MountKind.VOLUME:
        return mount
    return mount.model_copy(update={"source": volumes.get(mount.source, mount.source)})
