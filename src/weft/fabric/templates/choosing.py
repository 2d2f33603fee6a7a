"""Which template a machine goes on from: what decides, and the key that it comes to."""

import hashlib
import json

from weft.fabric.launch import plan_arguments
from weft.fabric.moments.moment import Shape, shape_of
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.fabric.templates.moulds import mould_record
from weft.model.image import ImageManifest, NicRole
from weft.model.names import DEFAULT_KERNEL
from weft.model.template import TemplateSpec
from weft.plan.mounts import plan_mounts

KEY_DIGITS = 12


def find_spec(machine: MachineRecord, image: ImageManifest) -> TemplateSpec | None:
    """What a template has to be for, that a machine goes on from; None: it has to boot.

    A disk or a folder of the host would be the template's own, and memory that comes and goes is in no moment.
    """
    mounts = plan_mounts(machine.spec, image)
    if machine.spec.cold or machine.failsafe or machine.spec.elastic or mounts.disks or mounts.shares:
        return None
    return TemplateSpec(
        image=image.name,
        kernel=machine.kernel,
        profile=machine.spec.profile,
        memory=machine.memory,
        cpus=machine.spec.cpus,
        nics=len(machine.nics),
        floppy=machine.shows_floppy,
    )


def complete_spec(site: Site, spec: TemplateSpec) -> TemplateSpec:
    """The same with nothing left to the image. Raises NotFound (image, kernel)."""
    image = site.images.get(spec.image)
    kernel = site.kernels.get(spec.kernel or DEFAULT_KERNEL)
    has_sides = any(nic.role is not NicRole.LAN for nic in image.nics)
    usual = len(image.nics) if has_sides else 1
    return spec.model_copy(
        update={
            "image": image.name,
            "kernel": kernel.name,
            "memory": spec.memory or image.memory,
            "nics": usual if spec.nics is None else spec.nics,
        }
    )


def want_shape(site: Site, spec: TemplateSpec) -> Shape:
    """What the moment of such a template is like. Raises NotFound (image, kernel)."""
    return shape_of(site, mould_record(spec), held=True)


def find_key(site: Site, spec: TemplateSpec) -> str:
    """A digest of all that decides: what was booted, by which QEMU with which arguments, on what.

    It is another one when any of it is another. `spec` leaves nothing to the image. Raises NotFound (image, kernel).
    """
    arguments = plan_arguments(site, mould_record(spec))
    text = json.dumps([want_shape(site, spec).model_dump(mode="json"), arguments])
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
