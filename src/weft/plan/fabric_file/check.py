"""Everything that is wrong with a fabric file: its shape, and what does not fit together or to this host. Pure."""

from collections.abc import Iterator

from weft.model.fabric_file import FabricFile, InsertFile
from weft.model.machine import MIN_MEMORY
from weft.model.machine_file import MachineFile
from weft.model.ranges import Range
from weft.model.units import dump_size
from weft.plan.fabric_file.check_inserts import check_inserts
from weft.plan.fabric_file.check_machines import check_machines
from weft.plan.fabric_file.check_networks import check_networks
from weft.plan.fabric_file.check_pools import check_pools
from weft.plan.fabric_file.check_settings import check_settings
from weft.plan.fabric_file.files import fold_files
from weft.plan.fabric_file.knowledge import Knowledge
from weft.plan.fabric_file.places import Finding, warn
from weft.plan.fabric_file.read import Reading, read_file
from weft.plan.fabric_file.scene import Scene

DEFAULT_MEMORY = 64 << 20
"""Of a machine whose image is not here yet."""


def check_file(text: str, folder: str, knowledge: Knowledge) -> Reading:
    """Read a file, take in the files that it names, and check all that it says. Raises nothing."""
    reading = read_file(text, folder)
    if not reading.problems and not reading.file.rooms:
        reading.add([Finding((), "there is no room in it: `rooms` is where they are")])
    reading.file, findings = fold_files(reading.file, knowledge)
    reading.add(findings)
    scenes = [Scene(name, room, knowledge, frozenset(reading.spoiled)) for name, room in reading.file.rooms.items()]
    for scene in scenes:
        for check in (check_networks, check_machines, check_inserts, check_settings, check_pools):
            reading.add(finding for finding in check(scene) if finding.path not in reading.spoiled)
    reading.add(_check_ports(reading.file))
    reading.add(_check_memory(scenes, knowledge))
    return reading


def _check_ports(file: FabricFile) -> Iterator[Finding]:
    """A port of the host leads to one machine, whatever its room."""
    taken: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for room_name, room in file.rooms.items():
        for name, machine in room.machines.items():
            for number, port in enumerate(machine.publish):
                if port.host_port is None:
                    continue
                others = taken.setdefault((port.protocol, port.host_port), [])
                clash = next((who for address, who in others if _meet(address, str(port.host_address))), None)
                if clash:
                    path = ("rooms", room_name, "machines", name, "publish", number)
                    yield Finding(path, f"port {port.host_port} of the host leads to {clash} already")
                others.append((str(port.host_address), f"machine {name!r} of room {room_name!r}"))


def _meet(one: str, other: str) -> bool:
    return "0.0.0.0" in (one, other) or one == other


def _check_memory(scenes: list[Scene], knowledge: Knowledge) -> Iterator[Finding]:
    total, alone = 0, False
    for scene in scenes:
        parts: list[MachineFile | InsertFile] = [*scene.room.inserts.values()]
        parts += [machine for machine in scene.room.machines.values() if machine.state == "running"]
        for part in parts:
            image = scene.find_image(part)
            memory = part.memory.least if isinstance(part.memory, Range) else part.memory
            total += max(MIN_MEMORY, memory or (image.memory if image else DEFAULT_MEMORY))
            alone = alone or (memory or 0) > knowledge.memory
    if total > knowledge.memory and not alone:
        what = f"all machines together may take {_round(total)}; the host has {_round(knowledge.memory)}"
        yield warn(("rooms",), what)


def _round(size: int) -> str:
    return dump_size(-(-size >> 20) << 20)
