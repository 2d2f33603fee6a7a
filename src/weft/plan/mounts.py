"""From what a machine wants mounted to its devices and the mounts its init makes. Pure.

A volume is one disk however often it is mounted. What an image wants kept, and nobody has given a volume for, is
together on one disk of the machine's own, each part in a folder of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from posixpath import normpath
from typing import Literal
from urllib.parse import quote

from weft.model.errors import Invalid
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec, Profile
from weft.model.mount import MountKind, MountSpec

MICROVM_SLOTS = 4
"""A microvm has 8 slots for virtio devices; serial line, root, entropy and balloon take the others."""
VOLUME_FOLDER = "data"
"""Where a volume's content is on its disk: programs that want an empty folder are disturbed by a `lost+found`."""
OWN_SERIAL = "weft-own"
MountType = Literal["ext4", "virtiofs", "tmpfs"]
_KERNELS_OWN = ("/proc", "/sys")


@dataclass(frozen=True, slots=True)
class PlannedDisk:
    """A disk to attach: that of a volume or, with none, the machine's own."""

    serial: str
    volume: str | None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class PlannedShare:
    """A folder of the host to serve under a tag; it will be at `at`."""

    tag: str
    folder: str
    at: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class PlannedMount:
    """One mount in the guest: of a disk by `serial`, of a shared folder by `tag`, or of memory by neither.

    `sub` is a folder on the disk; `copy`: an empty one gets what the image has at `at`.
    """

    at: str
    type: MountType
    serial: str | None = None
    tag: str | None = None
    sub: str | None = None
    copy: bool = False
    size: int | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class MountPlan:
    """Devices in the order in which they are attached, mounts in the order in which they are made."""

    disks: tuple[PlannedDisk, ...] = ()
    shares: tuple[PlannedShare, ...] = ()
    mounts: tuple[PlannedMount, ...] = ()


def plan_mounts(spec: MachineSpec, image: ImageManifest) -> MountPlan:
    """All mounts of a machine. Raises Invalid for two at one place, or where only the kernel's own can be."""
    wanted = [(normpath(mount.target), mount) for mount in spec.mounts]
    _check_places(spec.name, [place for place, _ in wanted])
    disks = _plan_disks(spec)
    shares = {
        place: PlannedShare(f"weft-share{number}", mount.source, place, mount.read_only)
        for number, (place, mount) in enumerate(pair for pair in wanted if pair[1].kind is MountKind.HOST)
    }
    mounts = [_plan_mount(place, mount, disks, shares) for place, mount in wanted]
    own = _plan_own(image, {place for place, _ in wanted})
    return MountPlan(
        disks=(*disks.values(), *([PlannedDisk(OWN_SERIAL, None)] if own else [])),
        shares=tuple(shares.values()),
        mounts=tuple(sorted([*mounts, *own], key=lambda mount: mount.at.split("/"))),  # a folder before what is in it
    )


def check_slots(
    name: str, profile: Profile, *, nics: int, disks: int = 0, shares: int = 0, floppy: bool = False
) -> None:
    """Raises Invalid when a microvm has no room for all these devices."""
    if profile is not Profile.MICROVM or nics + disks + shares + floppy <= MICROVM_SLOTS:
        return
    counted = ((nics, "NICs"), (disks, "disks"), (shares, "folders of the host"), (int(floppy), "floppy"))
    asked = ", ".join(f"{count} {what}" for count, what in counted if count)
    raise Invalid(
        f"machine {name!r}: a microvm takes {MICROVM_SLOTS} devices, not {asked}", hint="profile q35 takes more"
    )


def _check_places(name: str, places: list[str]) -> None:
    for place in places:
        if places.count(place) > 1:
            raise Invalid(f"machine {name!r}: two mounts at {place}")
        if place == "/dev" or any(place == own or place.startswith(f"{own}/") for own in _KERNELS_OWN):
            raise Invalid(f"machine {name!r}: nothing can be mounted at {place}", hint="it is the kernel's own")


def _plan_disks(spec: MachineSpec) -> dict[str, PlannedDisk]:
    """The disk of each volume. One file system cannot be mounted read-only here and writable there."""
    volumes = [mount for mount in spec.mounts if mount.kind is MountKind.VOLUME]
    for mount in volumes:
        if any(other.source == mount.source and other.read_only != mount.read_only for other in volumes):
            raise Invalid(f"machine {spec.name!r}: volume {mount.source!r} is mounted both read-only and writable")
    names = dict.fromkeys((mount.source, mount.read_only) for mount in volumes)
    return {
        name: PlannedDisk(f"weft-volume{number}", name, read_only) for number, (name, read_only) in enumerate(names)
    }


def _plan_mount(
    place: str, mount: MountSpec, disks: dict[str, PlannedDisk], shares: dict[str, PlannedShare]
) -> PlannedMount:
    if mount.kind is MountKind.TMPFS:
        return PlannedMount(place, "tmpfs", size=mount.size, read_only=mount.read_only)
    if mount.kind is MountKind.HOST:
        return PlannedMount(place, "virtiofs", tag=shares[place].tag, read_only=mount.read_only)
    return PlannedMount(
        place,
        "ext4",
        serial=disks[mount.source].serial,
        sub=VOLUME_FOLDER,
        copy=not mount.read_only,
        read_only=mount.read_only,
    )


def _plan_own(image: ImageManifest, given: Iterable[str]) -> list[PlannedMount]:
    """What the image wants kept, where nothing else is mounted."""
    places = sorted({normpath(place) for place in image.volumes} - {"/", *given})
    return [
        PlannedMount(place, "ext4", serial=OWN_SERIAL, sub=quote(place.strip("/"), safe=""), copy=True)
        for place in places
    ]
