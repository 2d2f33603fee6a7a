"""What a machine wants mounted, as devices and as lines for its init."""

from datetime import UTC, datetime

import pytest

from weft.model.errors import Invalid
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec, Profile
from weft.model.mount import MountKind, MountSpec
from weft.plan.mounts import MountPlan, PlannedDisk, PlannedMount, PlannedShare, check_slots, plan_mounts

IMAGE = ImageManifest(
    name="base", version="1", digest="sha256:" + "0" * 64, size=0, created=datetime(2026, 1, 1, tzinfo=UTC)
)


def volume(source: str, target: str, *, read_only: bool = False) -> MountSpec:
    return MountSpec(kind=MountKind.VOLUME, source=source, target=target, read_only=read_only)


def folder(source: str, target: str, *, read_only: bool = False) -> MountSpec:
    return MountSpec(kind=MountKind.HOST, source=source, target=target, read_only=read_only)


def memory(target: str, size: int | None = None) -> MountSpec:
    return MountSpec(kind=MountKind.TMPFS, target=target, size=size)


def plan(*mounts: MountSpec, keep: tuple[str, ...] = ()) -> MountPlan:
    spec = MachineSpec(name="web", image="base", mounts=mounts)
    return plan_mounts(spec, IMAGE.model_copy(update={"volumes": keep}))


def test_nothing_is_wanted_and_nothing_is_planned() -> None:
    assert plan() == MountPlan()


def test_a_volume_is_a_disk_and_its_content_a_folder_on_it() -> None:
    planned = plan(volume("data", "/srv/"))
    assert planned.disks == (PlannedDisk("weft-volume0", "data"),)
    assert planned.mounts == (PlannedMount("/srv", "ext4", serial="weft-volume0", sub="data", copy=True),)


def test_nothing_is_copied_to_what_is_only_read() -> None:
    planned = plan(volume("data", "/srv", read_only=True))
    assert planned.disks[0].read_only
    assert planned.mounts[0].read_only and not planned.mounts[0].copy


def test_a_volume_mounted_twice_is_one_disk() -> None:
    planned = plan(volume("data", "/a"), volume("data", "/b"), volume("more", "/c"))
    assert [disk.volume for disk in planned.disks] == ["data", "more"]
    assert [mount.serial for mount in planned.mounts] == ["weft-volume0", "weft-volume0", "weft-volume1"]
    with pytest.raises(Invalid, match="both read-only and writable"):
        plan(volume("data", "/a"), volume("data", "/b", read_only=True))


def test_a_folder_of_the_host_is_shared_under_a_tag() -> None:
    planned = plan(folder("/home/me", "/home", read_only=True))
    assert planned.shares == (PlannedShare("weft-share0", "/home/me", "/home", read_only=True),)
    assert planned.mounts == (PlannedMount("/home", "virtiofs", tag="weft-share0", read_only=True),)


def test_a_folder_comes_before_what_is_in_it() -> None:
    planned = plan(memory("/a/b/c", 4096), volume("data", "/a"), memory("/a-b"), memory("/a/b"))
    assert [mount.at for mount in planned.mounts] == ["/a", "/a/b", "/a/b/c", "/a-b"]
    assert planned.mounts[2] == PlannedMount("/a/b/c", "tmpfs", size=4096)


def test_what_the_image_wants_kept_is_together_on_a_disk_of_the_machines_own() -> None:
    planned = plan(volume("data", "/var/lib/db"), keep=("/var/log", "/var/lib/db/", "/cache"))
    assert planned.disks == (PlannedDisk("weft-volume0", "data"), PlannedDisk("weft-own", None))
    own = [(mount.at, mount.sub) for mount in planned.mounts if mount.serial == "weft-own"]
    assert own == [("/cache", "cache"), ("/var/log", "var%2Flog")]
    assert plan(memory("/cache"), keep=("/cache",)).disks == ()


def test_two_mounts_at_one_place_are_refused() -> None:
    with pytest.raises(Invalid, match="two mounts at /srv"):
        plan(volume("data", "/srv"), memory("/srv/"))


@pytest.mark.parametrize("place", ["/proc", "/proc/sys", "/sys", "/dev", "/sys//fs/"])
def test_the_kernels_own_places_are_refused(place: str) -> None:
    with pytest.raises(Invalid, match="kernel's own"):
        plan(memory(place))


def test_shared_memory_may_have_another_size() -> None:
    assert plan(memory("/dev/shm", 1 << 20)).mounts[0].at == "/dev/shm"


def test_a_microvm_has_room_for_four_devices() -> None:
    check_slots("web", Profile.MICROVM, nics=1, disks=2, shares=1)
    check_slots("web", Profile.Q35, nics=3, disks=20, shares=20, floppy=True)
    with pytest.raises(Invalid) as refused:
        check_slots("web", Profile.MICROVM, nics=2, disks=1, shares=1, floppy=True)
    assert str(refused.value) == (
        "machine 'web': a microvm takes 4 devices, not 2 NICs, 1 disks, 1 folders of the host, 1 floppy"
        " (profile q35 takes more)"
    )
