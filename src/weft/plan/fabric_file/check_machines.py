"""What is wrong with a room's machines. Pure."""

from collections.abc import Iterator

from weft.model.errors import WeftError
from weft.model.fabric_file import InsertFile
from weft.model.foreign import ForeignSpec
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec
from weft.model.machine_file import MachineFile
from weft.model.mount import MountKind
from weft.model.names import DEFAULT_NETWORK, parse_name
from weft.model.reference import names_registry
from weft.plan.elastic.growth import check_growth
from weft.plan.fabric_file.places import Finding, Path
from weft.plan.fabric_file.scene import Scene
from weft.plan.fabric_file.shape import suggest
from weft.plan.foreign import complete_foreign
from weft.plan.mounts import check_slots, plan_mounts


def check_machines(scene: Scene) -> Iterator[Finding]:
    """All of it."""
    for name, machine in scene.room.machines.items():
        yield from check_image(scene, scene.path("machines", name), "image", machine)
        yield from _check_networks(scene, name, machine)
        yield from _check_spec(scene, name, machine)
        for number, other in enumerate(machine.after):
            if other not in scene.room.machines:
                what = f"no machine {other!r} in the room{suggest(other, list(scene.room.machines))}"
                yield Finding(scene.path("machines", name, "after", number), what)
            elif scene.room.machines[other].state == "stopped" and machine.state == "running":
                what = f"machine {other!r} is to be stopped, so nothing can be up after it"
                yield Finding(scene.path("machines", name, "after", number), what)
    yield from _check_circles(scene)
    yield from _check_writers(scene)


def check_image(scene: Scene, path: Path, key: str, part: MachineFile | InsertFile) -> Iterator[Finding]:
    """Whether there is the image that a machine or an insert needs, or a way to it."""
    name = part.image_name
    if part.build and not getattr(part, key):
        try:
            parse_name(name, "image")
        except WeftError:
            what = f"the folder is called {name!r}, which is no image's name: say `{key}` as well"
            yield Finding((*path, "build"), what)
            return
    if not name:
        if not scene.is_spoiled(*path[2:], key):
            yield Finding(path, f"`{key}` is needed, or `build`", at_key=True)
        return
    found = scene.ask_image(part)
    if isinstance(found, WeftError):
        yield Finding((*path, "build" if part.build else key), str(found))
    elif found is None and not (names_registry(name) and getattr(part, "pull", "missing") != "never"):
        yield Finding((*path, key), f"no image {name!r}, and no `build` that says how to make it")


def _check_networks(scene: Scene, name: str, machine: MachineFile) -> Iterator[Finding]:
    for number, nic in enumerate(machine.networks or ()):
        networks = [*scene.room.networks]
        if nic.network not in networks and nic.network != DEFAULT_NETWORK:
            path = scene.path("machines", name, "networks", number)
            yield Finding(path, f"no network {nic.network!r} in the room{suggest(nic.network, networks)}")


def _check_spec(scene: Scene, name: str, machine: MachineFile) -> Iterator[Finding]:
    path = scene.path("machines", name)
    if machine.elastic is not None and not machine.is_elastic:
        yield Finding((*path, "elastic"), "needs room to grow: `cpus: 1..4`, or `memory: ..2G`")
        return
    try:
        spec = machine.to_spec(name)
        image = scene.find_image(machine)
        if image is not None:
            spec = complete_foreign(spec, image)
        if spec.foreign is not None:
            yield from _check_system(scene, path, spec, spec.foreign)
        elif image is not None:
            yield from _check_growth(path, spec, image)
            yield from _check_devices(scene, name, machine, image)
    except WeftError as err:
        yield Finding(path, str(err))
        return
    if spec.memory is not None and spec.memory > scene.knowledge.memory:
        yield Finding((*path, "memory"), "more than the host has")
    if spec.kernel is not None and not scene.knowledge.has_kernel(spec.kernel):
        yield Finding((*path, "kernel"), f"no kernel {spec.kernel!r}")
    if spec.max_restarts is not None and spec.restart != "on-failure":
        yield Finding((*path, "max_restarts"), "goes with `restart: on-failure` only")
    if spec.publish and machine.networks == ():
        yield Finding((*path, "publish"), "a machine without a NIC has no ports")
    if spec.expose and machine.networks == ():
        yield Finding((*path, "fabric"), "a machine without a NIC finds no file tree at its gateway")


def _check_growth(path: Path, spec: MachineSpec, image: ImageManifest) -> Iterator[Finding]:
    try:
        check_growth(spec, spec.memory or image.memory)
    except WeftError as err:
        yield Finding((*path, "memory"), str(err))


def _check_devices(scene: Scene, name: str, machine: MachineFile, image: ImageManifest) -> Iterator[Finding]:
    spec = machine.to_spec(name)
    mounts = plan_mounts(spec, image)
    nics = scene.nics(name)
    if nics is not None:
        disks, shares, floppy = len(mounts.disks), len(mounts.shares), spec.floppy is not None
        check_slots(name, spec.profile, nics=len(nics), disks=disks, shares=shares, floppy=floppy)
    for number, mount in enumerate(machine.volumes):
        if mount.kind is MountKind.HOST:
            yield from _check_folder(scene, scene.path("machines", name, "volumes", number), mount.source)


def _check_system(scene: Scene, path: Path, spec: MachineSpec, foreign: ForeignSpec) -> Iterator[Finding]:
    try:
        scene.knowledge.check_media(foreign)
        scene.knowledge.check_firmware(spec)
    except WeftError as err:
        yield Finding((*path, "foreign"), str(err))


def _check_folder(scene: Scene, path: Path, folder: str) -> Iterator[Finding]:
    try:
        scene.knowledge.check_folder(folder)
    except WeftError as err:
        yield Finding(path, str(err))


def _check_circles(scene: Scene) -> Iterator[Finding]:
    """Machines that wait for each other; each circle is told once, at the machine of it that is written first."""
    machines = scene.room.machines
    needs = {name: [other for other in machine.after if other in machines] for name, machine in machines.items()}
    told: set[str] = set()
    for name in needs:
        circle = _find_circle(needs, name)
        if circle and not told & set(circle):
            told |= set(circle)
            words = " → ".join([*circle, name])
            yield Finding(
                scene.path("machines", name, "after"), f"a circle of machines that wait for each other: {words}"
            )


def _find_circle(needs: dict[str, list[str]], start: str) -> list[str] | None:
    """A way from a machine back to itself along what it needs."""
    stack = [(start, [start])]
    seen: set[str] = set()
    while stack:
        here, way = stack.pop()
        for other in needs[here]:
            if other == start:
                return way
            if other not in seen:
                seen.add(other)
                stack.append((other, [*way, other]))
    return None


def _check_writers(scene: Scene) -> Iterator[Finding]:
    """A volume that is written by one machine cannot be used by another at the same time."""
    users: dict[str, list[tuple[str, int, bool]]] = {}
    for name, machine in scene.room.machines.items():
        if machine.state == "running":
            for number, mount in enumerate(machine.volumes):
                if mount.kind is MountKind.VOLUME:
                    users.setdefault(mount.source, []).append((name, number, mount.read_only))
    for volume, uses in users.items():
        first, _, first_reads = uses[0]
        for name, number, reads in uses[1:]:
            if name != first and not (reads and first_reads):
                what = f"volume {volume!r} is machine {first!r}'s at the same time; only readers can share one"
                yield Finding(scene.path("machines", name, "volumes", number), what)
