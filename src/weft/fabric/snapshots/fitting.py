"""Whether a machine can go on here from what was saved."""

from weft.fabric.moments.moment import Shape, differences, shape_of
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.fabric.snapshots.kept import OpenSnapshot
from weft.fabric.volumes import Volumes
from weft.model.errors import Invalid, NotFound, Unavailable, WrongState
from weft.plan.mounts import plan_mounts


def check_no_insert(site: Site, name: str) -> None:
    """Raises WrongState for a machine that frames of others go through: it is made for its place, and goes with it."""
    if site.shelves.inserts.find(name):
        raise WrongState(f"machine {name!r} is an insert, and frames go through it", hint=f"weft eject {name}")


def check_shape(site: Site, machine: MachineRecord, shape: Shape, what: str) -> None:
    """Raises Unavailable, naming what is not as it was: QEMU, processor, kernel, image; NotFound for what is gone."""
    shown = machine.with_(shows_floppy=shape.floppy)  # a start from it sees to that
    if different := differences(shape_of(site, shown), shape):
        raise Unavailable(f"{what} cannot go on here: {'; '.join(different)}")


def find_machine(site: Site, source: OpenSnapshot) -> MachineRecord:
    """The machine that a snapshot is of, with the image that it had, whatever that is called here now."""
    machine = source.record.machine
    named = site.images.find(machine.spec.image)
    if named is not None and named.digest == source.shape.image:
        return machine
    try:
        image = site.images.get(source.shape.image).name
    except (NotFound, Invalid):
        return machine  # by its name, which tells what is missing, or what is another one now
    found: MachineRecord = machine.with_(spec=machine.spec.model_copy(update={"image": image}))
    return found


def check_disks(site: Site, volumes: Volumes, machine: MachineRecord, source: OpenSnapshot) -> None:
    """Whether a machine that is there can have the disks of a snapshot. Raises WrongState."""
    plan = plan_mounts(machine.spec, site.images.get(machine.spec.image))
    if [(disk.serial, disk.volume) for disk in plan.disks] != [(one.serial, one.volume) for one in source.record.disks]:
        what = f"machine {machine.name!r} has other disks than it had in snapshot {source.name!r}"
        raise WrongState(what, hint="restore it under another name")
    for disk in plan.disks:
        users = volumes.users(disk.volume) if disk.volume is not None else []
        if others := [user.machine for user in users if user.live and user.machine != machine.name]:
            raise WrongState(f"volume {disk.volume!r} is in use by {', '.join(others)}", hint="stop it first")
