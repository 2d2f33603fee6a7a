"""Whether there can be a machine with a system of its own here: its kernel, its files."""

from weft.fabric.foreign.media import check_media
from weft.fabric.site import Site
from weft.model.errors import Invalid
from weft.model.foreign import ForeignSpec, Plan9Spec
from weft.model.image import ImageKind, ImageManifest
from weft.model.machine import MachineSpec
from weft.plan.plan9 import Plan9Machine, plan_ini


def complete_foreign(spec: MachineSpec, image: ImageManifest) -> MachineSpec:
    """What the image says of a machine's system. Raises Invalid: that would be two systems."""
    if not image.kind.is_foreign:
        if spec.foreign is not None:
            raise Invalid(
                f"image {spec.image!r} is a system of ours: its machines boot nothing else", hint="take image foreign"
            )
        return spec
    foreign = spec.foreign or ForeignSpec()
    if image.kind is ImageKind.PLAN9 and foreign.plan9 is None:
        foreign = foreign.model_copy(update={"plan9": Plan9Spec()})
    if image.kind is ImageKind.FOREIGN and foreign.plan9 is not None:
        raise Invalid(f"machine {spec.name!r} is no Plan 9 machine", hint="take image plan9")
    said = {name: getattr(spec, name) for name in spec.model_fields_set}
    return MachineSpec.model_validate({**said, "foreign": foreign})


def check_foreign(site: Site, spec: MachineSpec) -> str:
    """The name of its kernel; empty: it has none. Raises NotFound (kernel, file), Unavailable, Invalid."""
    foreign = spec.foreign
    assert foreign is not None, "it is foreign"
    if foreign.plan9 is not None:
        plan_ini(Plan9Machine(spec.name), foreign.plan9.ini, foreign.plan9.options)
    check_media(site, foreign)
    if spec.kernel is not None:
        kernel = site.kernels.get(spec.kernel)
        if kernel.format != "multiboot":
            raise Invalid(f"kernel {kernel.name!r} is Linux, which machine {spec.name!r} cannot boot by itself")
        return kernel.name
    if not (foreign.pxe or foreign.cdroms or foreign.disks):
        raise Invalid(
            f"machine {spec.name!r} has nothing to boot",
            hint="a kernel, a CD, a disk, or --pxe",
        )
    return ""
