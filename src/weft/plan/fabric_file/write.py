"""Fabric files as text: long forms, or no more than is needed, with a place for everything. Pure.

What is written can be read again, and comes to the same.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import yaml
from pydantic import BaseModel

from weft.model.elastic import MANUAL
from weft.model.expose_file import AccessFile
from weft.model.fabric_file import FabricFile, InsertFile, RoomFile
from weft.model.file_part import Part
from weft.model.foreign_file import ForeignFile
from weft.model.limits_file import RATES
from weft.model.machine import MachineRestart, Profile
from weft.model.machine_file import HealthFile, MachineFile, NicFile
from weft.model.mount import MountKind, MountSpec
from weft.model.names import BARE, PLAN9
from weft.model.policy_words import dump_policy
from weft.model.publish import PublishSpec
from weft.model.ranges import dump_cpus, dump_memory
from weft.model.room import Isolation
from weft.model.units import dump_duration, dump_size, parse_duration

LEFT_OUT = "a secret, left out"
"""Stands for a secret in what is dumped, and becomes a remark in the text."""
_WIDTH = 110
_SIZES = ("memory", "max_memory", "size", *RATES)
_DURATIONS = ("lifetime", "interval", "timeout", "start_period", "stop_timeout")
_SAID_OTHERWISE = ("max_restarts",)


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their keys; nothing is referred to by an anchor."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump_yaml(plain: Mapping[str, Any], remarks: Iterable[str] = ()) -> str:
    """The text, with remarks before it."""
    body = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    body = re.sub(rf"^(\s*)(\S.*): {LEFT_OUT}$", rf"\1# \2: {LEFT_OUT}", body, flags=re.MULTILINE)
    return "".join(f"# {remark}".rstrip() + "\n" for remark in remarks) + body


def dump_file(file: FabricFile, *, defaults: bool) -> dict[str, Any]:
    """The file as plain data in the words that people write; with or without what is a default anyway."""
    return {"rooms": {name: _dump_room(room, defaults) for name, room in sorted(file.rooms.items())}}


def _dump_room(room: RoomFile, defaults: bool) -> dict[str, Any]:
    """Inserts keep their order, which is that of chains; of all other names the order means nothing."""
    found: dict[str, Any] = {"description": room.description} if room.description or defaults else {}
    if defaults or room.isolation is not Isolation.NORMAL:
        found["isolation"] = str(room.isolation)
    if resources := _dump_part(room.resources, defaults):
        found["resources"] = resources
    for kind in ("networks", "machines", "inserts", "volumes", "pool"):
        parts: Mapping[str, Part] = getattr(room, kind)
        names = list(parts) if kind == "inserts" else sorted(parts)
        if parts:
            found[kind] = {name: _shorten(_dump_part(parts[name], defaults), defaults) for name in names}
    return found


def _shorten(part: dict[str, Any], defaults: bool) -> Any:
    return part if part or defaults else None


def _dump_part(part: Part, defaults: bool) -> dict[str, Any]:
    """What is not known, because the image or the fabric decides it, is left out in any case."""
    found: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if value is None and defaults and (find := _IMPLIED.get((type(part), name))):
            value = find(part)
        is_default = value == field.get_default(call_default_factory=True)
        if value is None or name in _SAID_OTHERWISE or (is_default and not defaults):
            continue
        if is_default and value in ((), {}) and name != "networks":
            continue
        found[field.alias or name] = _dump_value(part, name, value, defaults)
    return found


def _dump_value(part: Part, name: str, value: Any, defaults: bool) -> Any:
    if (dump := _DUMPS.get((type(part), name))) is not None:
        return dump(part, defaults)
    if name in _SIZES:
        return dump_size(value)
    if name in _DURATIONS:
        return _dump_exactly(value)
    return _dump_plain(value)


def _dump_exactly(seconds: float) -> str:
    """A duration; dumps for people round those of a minute and more."""
    text = dump_duration(seconds)
    return text if parse_duration(text) == seconds else f"{seconds!r}s"


def _dump_plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _dump_plain(item) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_dump_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _has_bus(machine: MachineFile) -> bool:
    """Whether it needs more of a board than most."""
    return machine.is_elastic or machine.pxe or machine.foreign is not None or machine.image in (PLAN9, BARE)


def _dump_cpus(machine: MachineFile, _defaults: bool) -> int | str:
    return machine.cpus.least or 1 if machine.cpus.most is None else dump_cpus(machine.cpus)


def _dump_memory(machine: MachineFile, _defaults: bool) -> str:
    assert machine.memory is not None, "what is None is left out"
    return dump_memory(machine.memory)


def _dump_restart(machine: MachineFile, _defaults: bool) -> str:
    if machine.restart is MachineRestart.NEVER:
        return "no"
    assert machine.restart is not None, "what is None is left out"
    number = f":{machine.max_restarts}" if machine.max_restarts else ""
    return f"{machine.restart.value}{number}"


def _dump_networks(machine: MachineFile, defaults: bool) -> Any:
    """By name, or as a list when a machine is on one network twice."""
    nics = machine.networks or ()
    if not nics:
        return "none"
    names = [nic.network for nic in nics]
    if len(set(names)) == len(names):
        rest = {nic.network: _without(_dump_part(nic, defaults), "network") for nic in nics}
        return {name: part or None for name, part in rest.items()} if any(rest.values()) else names
    return [_dump_part(nic, defaults) for nic in nics]


def _without(part: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != key}


def dump_publish(port: PublishSpec) -> str:
    """A published port as it is written: `127.0.0.1:8080:80/udp`."""
    host = "" if port.host_port is None else str(port.host_port)
    address = "" if str(port.host_address) == "0.0.0.0" else f"{port.host_address}:"
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    return f"{address}{host}{':' if address or host else ''}{port.guest_port}{protocol}"


def dump_mount(mount: MountSpec) -> str:
    """A volume, a folder or memory as it is written: `data:/srv:ro`."""
    options = ["ro"] * mount.read_only + ([f"size={dump_size(mount.size)}"] if mount.size else [])
    source = [] if mount.kind is MountKind.TMPFS else [mount.source]
    return ":".join([*source, mount.target, *([",".join(options)] if options else [])])


def _dump_command(health: HealthFile, _defaults: bool) -> Any:
    command = health.command or ()
    return command[2] if len(command) == 3 and command[:2] == ("/bin/sh", "-c") else list(command)


_DUMPS: dict[tuple[type[Part], str], Callable[..., Any]] = {
    (MachineFile, "cpus"): _dump_cpus,
    (MachineFile, "memory"): _dump_memory,
    (MachineFile, "elastic"): lambda machine, _: dump_policy(machine.elastic or MANUAL),
    (MachineFile, "restart"): _dump_restart,
    (MachineFile, "networks"): _dump_networks,
    (MachineFile, "publish"): lambda machine, _: [dump_publish(port) for port in machine.publish],
    (MachineFile, "volumes"): lambda machine, _: [dump_mount(mount) for mount in machine.volumes],
    (MachineFile, "tmpfs"): lambda machine, _: [dump_mount(mount) for mount in machine.tmpfs],
    (MachineFile, "health"): lambda machine, defaults: _dump_part(machine.health, defaults),
    (MachineFile, "limits"): lambda machine, defaults: _dump_part(machine.limits, defaults),
    (MachineFile, "fabric"): lambda machine, defaults: _dump_part(machine.fabric, defaults),
    (MachineFile, "foreign"): lambda machine, defaults: _dump_part(machine.foreign, defaults),
    (ForeignFile, "plan9"): lambda foreign, defaults: _dump_part(foreign.plan9, defaults),
    (AccessFile, "expose"): lambda access, _: [str(one) for one in access.expose],
    (HealthFile, "command"): _dump_command,
    (InsertFile, "before"): lambda insert, _: insert.before.removesuffix(":0"),
    (NicFile, "pinned"): lambda nic, _: nic.pinned,
}
"""What is written otherwise than it is kept."""

_IMPLIED: dict[tuple[type[Part], str], Callable[[Any], Any]] = {
    (MachineFile, "profile"): lambda machine: Profile.Q35 if _has_bus(machine) else Profile.MICROVM,
    (MachineFile, "elastic"): lambda machine: MANUAL if machine.is_elastic else None,
}
"""What stands for nothing depends on the rest of the part."""
