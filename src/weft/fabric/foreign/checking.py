"""Whether there can be a machine with a system of its own here: its kernel, its files."""

from weft.fabric.foreign.firmware import check_firmware
from weft.fabric.foreign.media import check_media
from weft.fabric.site import Site
from weft.model.boot_files import find_loader
from weft.model.errors import Invalid
from weft.model.foreign import Firmware
from weft.model.machine import MachineSpec
from weft.model.units import dump_size


def check_foreign(site: Site, spec: MachineSpec, memory: int) -> str:
    """The name of its kernel; empty: it has none. `memory`: bytes that it will have. Raises NotFound (kernel, file),
    Unavailable, Invalid.
    """
    foreign = spec.foreign
    assert foreign is not None, "it is foreign"
    check_media(site.home, foreign)
    check_firmware(site.facts, spec)
    if spec.kernel is not None:
        kernel = site.kernels.get(spec.kernel)
        if kernel.format != "multiboot":
            raise Invalid(
                f"kernel {kernel.name!r} is Linux, which machine {spec.name!r} cannot boot by itself",
                hint="weft kernel import takes multiboot kernels",
            )
        if kernel.least_memory > memory:
            raise Invalid(
                f"kernel {kernel.name!r} does not fit into the {dump_size(memory)} of memory of machine {spec.name!r}",
                hint=f"it reaches up to {dump_size(-(-kernel.least_memory >> 20) << 20)}",
            )
        return kernel.name
    if spec.pxe and find_loader(foreign.boot_files) is None:
        raise Invalid(
            f"there is nothing for machine {spec.name!r} to boot from its network",
            hint="a boot file that is no folder" if foreign.boot_files else "--kernel, --boot-file",
        )
    by_uefi = foreign.firmware is Firmware.UEFI
    if not (spec.pxe or foreign.cdroms or foreign.disks or (foreign.floppy_drive and not by_uefi)):
        raise Invalid(
            f"machine {spec.name!r} has nothing to boot",
            hint="by UEFI a CD or a disk" if by_uefi else "a kernel, a CD, a disk, a floppy, or --pxe",
        )
    return ""
