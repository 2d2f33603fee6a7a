"""A moment: what a machine is at an instant, for other machines to go on from (docs/decisions/0028-moments.md)."""

import functools
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.record import Record
from weft.fabric.site import Site
from weft.model.machine import Profile
from weft.plan.mounts import plan_mounts

_EMULATED = "max"
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


class Shape(Record):
    """What a machine has to be like to go on from a moment. Memory in bytes; digests of what it was booted from.

    `macs`: the hardware addresses by which its guest knows its NICs. `held`: it has yet to be told who it is.
    """

    qemu: str
    cpu: str
    accel: str
    profile: Profile
    memory: int
    cpus: int
    kernel: str
    image: str
    init: str
    macs: tuple[str, ...]
    floppy: bool
    disks: tuple[str, ...]
    held: bool = False


@dataclass(slots=True, weakref_slot=True, eq=False)
class Moment:
    """A machine's memory, a sealed memfd, and the state of its devices as QEMU writes it.

    `origin`: what machines that go on from it say of it, if it has a name.
    """

    shape: Shape
    memory: int
    device: bytes
    origin: str = ""

    def close(self) -> None:
        """Let go of the memory; machines that have it keep it."""
        os.close(self.memory)


def shape_of(site: Site, machine: MachineRecord, *, held: bool = False) -> Shape:
    """What a machine is like, or will be when it is started. Raises NotFound (image, kernel)."""
    image = site.images.get(machine.spec.image)
    kernel = site.kernels.get(machine.kernel)
    arguments = " ".join([kernel.digest, *image.kernel_args])
    mounts = plan_mounts(machine.spec, image)
    qemu = Path(site.facts.choose_qemu(machine.spec.profile, folders=bool(mounts.shares))).name
    return Shape(
        qemu=f"{qemu} {'.'.join(map(str, site.facts.qemu_version))}",
        cpu=_read_cpu() if site.facts.accel == "kvm" else f"{_EMULATED} on {_read_cpu()}",
        accel=site.facts.accel,
        profile=machine.spec.profile,
        memory=machine.memory,
        cpus=machine.spec.cpus,
        kernel=_digest(arguments.encode()),
        image=image.digest,
        init=_digest(site.init),
        macs=tuple(nic.mac for nic in machine.nics),
        floppy=machine.shows_floppy,
        disks=tuple(disk.serial for disk in mounts.disks),
        held=held,
    )


def differences(wanted: Shape, there: Shape) -> list[str]:
    """Why a machine of the shape `wanted` cannot go on from a moment of the shape `there`; none: it can."""
    found = []
    for what, one, other in (
        ("QEMU", wanted.qemu, there.qemu),
        ("the processor", wanted.cpu, there.cpu),
        ("the accelerator", wanted.accel, there.accel),
        ("the profile", wanted.profile, there.profile),
        ("the memory", f"{wanted.memory >> 20} MiB", f"{there.memory >> 20} MiB"),
        ("the number of CPUs", wanted.cpus, there.cpus),
        ("the number of NICs", len(wanted.macs), len(there.macs)),
        ("the disks", " ".join(wanted.disks) or "none", " ".join(there.disks) or "none"),
        ("the floppy", _there(wanted.floppy), _there(there.floppy)),
    ):
        if one != other:
            found.append(f"{what} is {one} here, and {other} there")
    for what, one, other in (
        ("kernel", wanted.kernel, there.kernel),
        ("image", wanted.image, there.image),
        ("init", wanted.init, there.init if there.held else wanted.init),  # it is in the memory of one that ran
    ):
        if one != other:
            found.append(f"the {what} is another one")
    return found


def _there(present: bool) -> str:
    return "there" if present else "not there"


@functools.lru_cache(maxsize=8)
def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def _read_cpu() -> str:
    """The host's processor, which a guest under KVM has, and by whose clock one under emulation goes."""
    found = _MODEL.search(Path("/proc/cpuinfo").read_text())
    return found[1].strip() if found else "unknown"
