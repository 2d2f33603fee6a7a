"""What is wrong with a room's pools. Pure."""

from collections.abc import Iterator

from weft.model.errors import WeftError
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec
from weft.model.reference import parse_image_name
from weft.plan.fabric_file.places import Finding
from weft.plan.fabric_file.scene import Scene
from weft.plan.mounts import plan_mounts


def check_pools(scene: Scene) -> Iterator[Finding]:
    """Each needs an image that is here, or that another part of the file makes, and that machines can be copied of."""
    room = scene.room
    made = {machine.image_name for machine in room.machines.values()}
    made |= {insert.image_name for insert in room.inserts.values()}
    seen: set[str] = set()
    for name, pool in scene.room.pool.items():
        path = scene.path("pool", name)
        if (full := _find_full_name(name)) in seen:
            yield Finding(path, "another pool is of the same image")
        seen.add(full)
        if pool.memory is not None and pool.memory > scene.knowledge.memory:
            yield Finding((*path, "memory"), "more than the host has")
        try:
            image = scene.knowledge.find_image(name)
        except WeftError as err:
            yield Finding(path, str(err))
            continue
        if image is None and name not in made:
            yield Finding(path, f"no image {name!r}, and no machine or insert of the room that it would come with")
        elif image is not None and _has_disks(image):
            yield Finding(path, f"machines of image {name!r} have disks of their own, and boot")


def _find_full_name(name: str) -> str:
    """What an image is kept by, as far as its name says."""
    try:
        return parse_image_name(name)
    except WeftError:
        return name


def _has_disks(image: ImageManifest) -> bool:
    return bool(plan_mounts(MachineSpec(name="pool", image=image.name), image).disks)
