"""Which machine a copy can become: everything that cannot be changed in it any more has to be as that machine's."""

import hashlib

from weft.fabric.machines import Checked
from weft.fabric.records.pool import CopyRecord
from weft.fabric.site import Site
from weft.model.machine import MachineSpec
from weft.model.room import Isolation
from weft.plan.mounts import plan_mounts


def describe_copy(site: Site, checked: Checked, isolation: Isolation) -> str:
    """All of it in one text, that is equal when the copy would be. Raises NotFound (image, kernel)."""
    spec, facts = checked.spec, site.facts
    image = site.images.get(spec.image)
    parts = (
        isolation,
        image.digest,
        site.kernels.get(checked.kernel).digest,
        hashlib.sha256(site.init).hexdigest(),
        facts.qemu,
        *facts.qemu_version,
        facts.accel,
        spec.profile,
        spec.cpus,
        checked.memory,
        *(nic.role for nic in checked.nics),
    )
    return " ".join(map(str, parts))


def want_copy(site: Site, spec: MachineSpec) -> bool:
    """Whether a copy could become such a machine at all: one with disks, folders or a floppy of its own boots, and
    one that is elastic."""
    mounts = plan_mounts(spec, site.images.get(spec.image))
    return not (spec.cold or spec.elastic or mounts.disks or mounts.shares or spec.floppy)


def find_copy(site: Site, fits: str) -> CopyRecord | None:
    """A copy that is ready, fits, and is nobody yet; the oldest."""
    taken = site.shelves.copies_taken()
    ready = [copy for copy in site.shelves.copies if copy.ready and copy.fits == fits and copy.name not in taken]
    return min(ready, key=lambda copy: copy.created, default=None)
