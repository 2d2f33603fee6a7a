"""Whether the settings of a room's appliances fit their images and their places. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from weft.model.errors import WeftError
from weft.model.fabric_file import InsertFile
from weft.model.image import ImageKind, ImageManifest
from weft.model.insert import Mode
from weft.model.machine_file import MachineFile, NicFile
from weft.model.names import parse_port
from weft.model.place import Neighbour, Place, Stance, Zone
from weft.model.schema import SettingsSchema
from weft.plan.address import gateway_of, plan_address_behind
from weft.plan.fabric_file.places import Finding, Path
from weft.plan.fabric_file.scene import Scene
from weft.plan.fabric_file.shape import suggest
from weft.plan.place_files import name_zones
from weft.plan.settings import complete_schema, effective_values, find_problems, parse_value
from weft.plan.standing import OUTSIDE, Gateway, Joint, place_gateway, place_router, zones_of

_NO_MAC = "02:00:00:00:00:00"
_BEGINNING = re.compile(r"(?P<name>[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*)(?:\[(?P<item>\d+)\])?: (?P<what>.*)", re.DOTALL)


def check_settings(scene: Scene) -> Iterator[Finding]:
    """All of it. An image that is not here yet is checked when it is."""
    for name, machine in scene.room.machines.items():
        if image := scene.find_image(machine):
            path = scene.path("machines", name)
            yield from _check(scene, path, machine, image, place_machine(scene, name), machine.hostname)
    for name, insert in scene.room.inserts.items():
        if image := scene.find_image(insert):
            yield from _check(scene, scene.path("inserts", name), insert, image, place_insert(scene, insert))


def _check(
    scene: Scene,
    path: Path,
    part: MachineFile | InsertFile,
    image: ImageManifest,
    place: Place | None,
    hostname: str | None = None,
) -> Iterator[Finding]:
    at = (*path, "settings")
    if image.kind is not ImageKind.APPLIANCE:
        if part.settings:
            yield Finding(at, f"image {image.name!r} is no appliance and has no settings")
        return
    if isinstance(part, MachineFile) and part.floppy is not None:
        if part.settings:
            yield Finding(at, "settings are given, and a `floppy` that has its own")
        return
    schema = complete_schema(image.settings, str(path[-1]), hostname)
    values, findings = read_values(schema, part.settings, at)
    problems = find_problems(schema, values)
    yield from findings
    if not problems and not findings:
        problems = _ask_model(scene, schema, values, place)
    for problem in problems:
        yield _find_place(at, problem)


def read_values(schema: SettingsSchema, wanted: Mapping[str, Any], at: Path) -> tuple[dict[str, Any], list[Finding]]:
    """Settings of their types: a text is read by its setting's. And what could not be read."""
    values: dict[str, Any] = {}
    findings: list[Finding] = []
    for name, value in wanted.items():
        setting = schema.settings.get(name)
        if setting is None:
            what = f"there is no such setting{suggest(name, [*schema.settings])}"
            findings.append(Finding((*at, name), what, at_key=True))
            continue
        try:
            values[name] = parse_value(name, setting, value) if isinstance(value, str) else value
        except WeftError as err:
            findings.append(Finding((*at, name), err.message.removeprefix(f"{name}: ")))
    return values, findings


def _ask_model(scene: Scene, schema: SettingsSchema, values: dict[str, Any], place: Place | None) -> list[str]:
    try:
        model = scene.knowledge.find_model(schema)
    except WeftError as err:
        return [str(err)]
    if model is None:
        return []
    effective, known = effective_values(schema, values), [*scene.room.machines]
    lost = [(where, name) for where, name in model.find_machines(effective) if name not in known]
    problems = [f"{where}: there is no machine {name!r} in this room{suggest(name, known)}" for where, name in lost]
    return problems + model.check(effective, place)


def _find_place(at: Path, problem: str) -> Finding:
    """A problem begins with its setting, of a list with the item too."""
    match = _BEGINNING.fullmatch(problem)
    if match is None:
        return Finding(at, problem)
    item = () if match["item"] is None else (int(match["item"]),)
    return Finding((*at, match["name"], *item), match["what"])


def place_machine(scene: Scene, name: str) -> Place | None:
    """Where a machine will stand, but for addresses that only the fabric knows. None: that is not known at all."""
    nics = [(number, nic) for number, nic in enumerate(scene.nics(name) or ()) if nic.network in scene.room.networks]
    joints = [_join(scene, name, number, nic) for number, nic in nics]
    if not joints:
        return None
    zones = [(zone, joint.network) for zone, joint in zip(zones_of(joints), joints, strict=True)]
    return place_router(joints, (), _neighbours(scene, name, zones))


def _join(scene: Scene, name: str, number: int, nic: NicFile) -> Joint:
    network, subnet = scene.room.networks[nic.network], scene.subnets[nic.network]
    return Joint(
        number=number,
        network=nic.network,
        mac=_NO_MAC,
        addresses=tuple(_addresses(scene, name, number, nic)),
        subnets=tuple(map(str, filter(None, (subnet, network.subnet6)))),
        mtu=network.mtu,
        gateway=str(gateway_of(subnet)),
        is_own=network.gateway == name,
    )


def _neighbours(scene: Scene, name: str, zones: list[tuple[str, str]]) -> Iterator[Neighbour]:
    """The other machines of its networks, at addresses that they have or may well get."""
    for zone, network in zones:
        for place, (other, _, nic) in enumerate(scene.members(network)):
            if other == name:
                continue
            is_gateway = scene.room.networks[network].gateway == other
            address = nic.address or scene.subnets[network].network_address + (1 if is_gateway else 2 + place)
            yield Neighbour(zone=zone, name=other, address=str(address), mac=_NO_MAC)


def _addresses(scene: Scene, name: str, number: int, nic: NicFile) -> Iterator[str]:
    """Of a NIC: the gateway's, its own, or one that it may well get."""
    network, subnet = scene.room.networks[nic.network], scene.subnets[nic.network]
    offset = 1 if network.gateway == name else 2 + number
    yield f"{nic.address or subnet.network_address + offset}/{subnet.prefixlen}"
    if network.subnet6:
        yield f"{nic.address6 or network.subnet6.network_address + offset}/{network.subnet6.prefixlen}"


def place_insert(scene: Scene, insert: InsertFile) -> Place | None:
    """Where an insert will stand. Before a machine only its zones' names are known."""
    port = parse_port(insert.before)
    if insert.mode is Mode.ROUTED:
        return _place_gateway(scene, port.network)
    stance = Stance.LISTENER if insert.mode is Mode.COPY else Stance.BRIDGE
    names = ["network", "machine"] if port.network is None else name_zones([port.network, OUTSIDE])
    zones = tuple(Zone(name=name, nic=f"eth{number}", mac=_NO_MAC) for number, name in enumerate(names))
    return Place(stance=stance, zones=zones)


def _place_gateway(scene: Scene, name: str | None) -> Place | None:
    """Any of the addresses behind a gateway may become that of this one."""
    network = scene.room.networks.get(name or "")
    if name is None or network is None:
        return None
    taken = Gateway(name, _NO_MAC, scene.subnets[name], plan_address_behind(1), network.mtu)
    return place_gateway(taken, (), _neighbours(scene, "", [(name, name)]))
