"""Files that a fabric file names: variables and settings that stand elsewhere become part of it. Pure.

What the fabric file says itself goes over what is in them.
"""

from typing import Any

from weft.model.errors import Invalid, WeftError
from weft.model.fabric_file import FabricFile, InsertFile, RoomFile
from weft.model.machine_file import MachineFile
from weft.plan.fabric_file.knowledge import Knowledge
from weft.plan.fabric_file.places import Finding, Path
from weft.plan.settings_file import parse_document


def fold_files(file: FabricFile, knowledge: Knowledge) -> tuple[FabricFile, list[Finding]]:
    """The file with what these say, and without their names; and which could not be read."""
    findings: list[Finding] = []
    rooms = {name: _fold_room(name, room, knowledge, findings) for name, room in file.rooms.items()}
    return FabricFile(rooms=rooms), findings


def _fold_room(name: str, room: RoomFile, knowledge: Knowledge, findings: list[Finding]) -> RoomFile:
    path: Path = ("rooms", name)
    machines = {
        key: _fold_machine((*path, "machines", key), machine, knowledge, findings)
        for key, machine in room.machines.items()
    }
    inserts = {
        key: _fold_settings((*path, "inserts", key), insert, knowledge, findings)
        for key, insert in room.inserts.items()
    }
    return room.model_copy(update={"machines": machines, "inserts": inserts})


def _fold_machine(path: Path, machine: MachineFile, knowledge: Knowledge, findings: list[Finding]) -> MachineFile:
    machine = _fold_settings(path, machine, knowledge, findings)
    machine = _fold_ini(path, machine, knowledge, findings)
    env: dict[str, str] = {}
    for number, file in enumerate(machine.env_file):
        try:
            env |= parse_env(knowledge.read_text(file), file)
        except WeftError as err:
            findings.append(Finding((*path, "env_file", number), str(err)))
    return machine.model_copy(update={"env": {**env, **machine.env}, "env_file": ()})


def _fold_settings(path: Path, part: Any, knowledge: Knowledge, findings: list[Finding]) -> Any:
    if not isinstance(part, MachineFile | InsertFile) or part.settings_file is None:
        return part
    settings: dict[str, Any] = {}
    try:
        text = knowledge.read_text(part.settings_file)
        found = parse_document(text.encode(), part.settings_file)
        settings = {**found.unknown, **found.values}
    except WeftError as err:
        findings.append(Finding((*path, "settings_file"), str(err)))
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    return part.model_copy(update={"settings": {**settings, **part.settings}, "settings_file": None})


def _fold_ini(path: Path, machine: MachineFile, knowledge: Knowledge, findings: list[Finding]) -> MachineFile:
    """Of two parameters of one name in a plan9.ini the later one counts."""
    plan9 = machine.foreign.plan9 if machine.foreign else None
    if machine.foreign is None or plan9 is None or plan9.ini_file is None:
        return machine
    text = ""
    try:
        text = knowledge.read_text(plan9.ini_file)
    except WeftError as err:
        findings.append(Finding((*path, "foreign", "plan9", "ini_file"), str(err)))
    ini = f"{text.rstrip()}\n{plan9.ini}" if text.strip() else plan9.ini
    plan9 = plan9.model_copy(update={"ini": ini, "ini_file": None})
    return machine.model_copy(update={"foreign": machine.foreign.model_copy(update={"plan9": plan9})})


def parse_env(text: str, name: str) -> dict[str, str]:
    """Variables of a file, one a line as NAME=VALUE; `#` begins a comment. Raises Invalid."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.lstrip().partition("=")
        if not equals or not key or any(c.isspace() for c in key):
            raise Invalid(f"{name}:{number}: {line!r} is not NAME=VALUE")
        found[key] = value
    return found
