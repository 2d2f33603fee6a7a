"""What a machine's image says of its system: whether it brings one of its own. Pure."""

from weft.model.errors import Invalid
from weft.model.foreign import ForeignSpec, Plan9Spec
from weft.model.image import ImageKind, ImageManifest
from weft.model.machine import MachineSpec


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
