"""What is wrong with a room's inserts. Pure."""

from collections.abc import Iterator

from weft.model.errors import WeftError
from weft.model.fabric_file import InsertFile
from weft.model.image import have_sides
from weft.model.insert import Mode
from weft.model.names import PortName, parse_port
from weft.plan.fabric_file.check_machines import check_image
from weft.plan.fabric_file.places import Finding
from weft.plan.fabric_file.scene import Scene
from weft.plan.fabric_file.shape import suggest


def check_inserts(scene: Scene) -> Iterator[Finding]:
    """All of it."""
    for name, insert in scene.room.inserts.items():
        path = scene.path("inserts", name)
        if name in scene.room.machines:
            yield Finding(path, f"a machine is called {name!r}: an insert's machine has its name", at_key=True)
        try:
            insert.to_spec(name)
        except WeftError as err:
            yield Finding(path, str(err))
        yield from check_image(scene, path, "appliance", insert)
        yield from _check_mode(scene, name, insert)
        yield from _check_port(scene, name, parse_port(insert.before))
        if insert.memory is not None and insert.memory > scene.knowledge.memory:
            yield Finding((*path, "memory"), "more than the host has")


def _check_mode(scene: Scene, name: str, insert: InsertFile) -> Iterator[Finding]:
    image, path = scene.find_image(insert), scene.path("inserts", name)
    if image is not None and not have_sides([nic.role for nic in image.nics]):
        what = f"image {image.name!r} is no appliance: it has no network and machine side"
        yield Finding((*path, "build" if insert.build else "appliance"), what)
    elif image is not None and insert.mode.value not in image.modes:
        known = ", ".join(image.modes)
        yield Finding((*path, "mode"), f"image {image.name!r} is not made for mode {insert.mode}; it can be {known}")
    if insert.mode is Mode.ROUTED and parse_port(insert.before).network is None:
        what = "a routed insert takes over a network's gateway: it goes before network:NETWORK"
        yield Finding((*path, "before"), what)


def _check_port(scene: Scene, name: str, port: PortName) -> Iterator[Finding]:
    path = scene.path("inserts", name, "before")
    if port.network is not None:
        network = scene.room.networks.get(port.network)
        if network is None:
            yield Finding(
                path, f"no network {port.network!r} in the room{suggest(port.network, [*scene.room.networks])}"
            )
        elif network.gateway is not None:
            what = f"the gateway of network {port.network!r} is machine {network.gateway!r}: insert before its NIC"
            yield Finding(path, what)
    elif port.machine not in scene.room.machines:
        if not scene.is_spoiled("machines", port.machine):
            yield Finding(
                path, f"no machine {port.machine!r} in the room{suggest(port.machine, [*scene.room.machines])}"
            )
    elif (nics := scene.nics(port.machine)) is not None and port.nic >= len(nics):
        what = f"machine {port.machine!r} has {len(nics)} NIC{'s' * (len(nics) != 1)}, so none with number {port.nic}"
        yield Finding(path, what)
