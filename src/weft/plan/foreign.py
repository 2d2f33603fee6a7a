"""What a machine's image says of its system: whether it brings one of its own. Pure."""

from weft.model.errors import Invalid
from weft.model.foreign import Changes, Firmware, ForeignSpec, Plan9Spec
from weft.model.image import BUILT_IN, ImageKind, ImageManifest
from weft.model.machine import MachineSpec
from weft.model.units import dump_size
from weft.plan.plan9 import Plan9Machine, plan_ini

UEFI_MEMORY = 64 << 20
"""Bytes that UEFI firmware boots with, whatever the machine has: OVMF 2022.11 boots nothing with 40 MiB, and does not
say why."""


def complete_foreign(spec: MachineSpec, image: ImageManifest) -> MachineSpec:
    """What the image says of a machine's system. Raises Invalid: that would be two systems, or cannot boot."""
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
    if foreign.plan9 is not None:
        _check_plan9(spec, foreign.plan9)
    if foreign.firmware is Firmware.UEFI and (spec.memory or image.memory) < UEFI_MEMORY:
        raise Invalid(
            f"machine {spec.name!r} needs {dump_size(UEFI_MEMORY)} of memory to boot by UEFI",
            hint="what it boots takes more",
        )
    said = {name: getattr(spec, name) for name in spec.model_fields_set}
    return MachineSpec.model_validate({**said, "foreign": foreign})


def _check_plan9(spec: MachineSpec, plan9: Plan9Spec) -> None:
    plan_ini(Plan9Machine(spec.name), plan9.ini, plan9.options)
    if (plan9.ini or plan9.options) and spec.kernel is None and not spec.pxe:
        raise Invalid(
            f"machine {spec.name!r} has no kernel that could be told boot parameters",
            hint="what it boots from a medium has a plan9.ini of its own",
        )
    _check_root(spec, plan9)


def _check_root(spec: MachineSpec, plan9: Plan9Spec) -> None:
    """It has one root or none, and only who has one can say what may be changed in it."""
    from_image = spec.image not in BUILT_IN
    if plan9.root is not None and from_image:
        raise Invalid(
            f"machine {spec.name!r} has two roots: that of image {spec.image!r}, and {plan9.root}",
            hint="image plan9 has none",
        )
    if plan9.changes is Changes.DISCARD and not from_image:
        raise Invalid(
            f"machine {spec.name!r} has no image with a root: no changes to it could be discarded",
            hint="a folder is changed in place",
        )
    if plan9.root_read_only and plan9.root is None and not from_image:
        raise Invalid(f"machine {spec.name!r} is served no root that could be read-only")
    if plan9.root is not None and spec.nics == ():
        raise Invalid(f"machine {spec.name!r} has no network by which it could reach its root")
