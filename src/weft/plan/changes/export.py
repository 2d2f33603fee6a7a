"""A room as it is becomes a fabric file for which there is nothing to do. Pure.

What was given is left out, unless the copy is to be exact: a room made from the file is given its own. So are secrets.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from weft.model.elastic import MANUAL
from weft.model.expose_file import AccessFile
from weft.model.fabric_file import FabricFile, InsertFile, NetworkFile, PoolFile, ResourcesFile, RoomFile, VolumeFile
from weft.model.foreign_file import ForeignFile
from weft.model.insert import InsertState
from weft.model.limits_file import LimitsFile
from weft.model.machine import MachineSpec, NicSpec, Profile
from weft.model.machine_file import HealthFile, MachineFile, NicFile
from weft.model.mount import MountKind
from weft.model.names import DEFAULT_NETWORK
from weft.model.network import NetworkSpec
from weft.model.pool import PoolSpec
from weft.model.ranges import Range
from weft.plan.address import POOL
from weft.plan.changes.settle import Image, find_secrets, pair_given, want_nics
from weft.plan.changes.state import GivenNic, InsertNow, MachineNow, RoomNow
from weft.plan.fabric_file.knowledge import Knowledge
from weft.plan.fabric_file.write import LEFT_OUT, dump_file, dump_yaml
from weft.plan.settings import complete_schema

_SAME = (
    "image", "kernel", "command", "entrypoint", "env", "user", "hostname", "labels", "restart", "max_restarts",
    "stop_signal", "stop_timeout", "publish", "read_only", "floppy", "cold", "pxe",
)  # fmt: skip
"""What is called the same in a spec and in a file."""


def export_rooms(rooms: Iterable[RoomNow], known: Knowledge, *, exact: bool = False) -> str:
    """The text of a file with these rooms. `exact`: with the subnets, addresses and MAC addresses that were given."""
    remarks: list[str] = []
    file = FabricFile(rooms={now.name: export_room(now, known, remarks, exact=exact) for now in rooms})
    return dump_yaml(dump_file(file, defaults=False), remarks)


def export_room(now: RoomNow, known: Knowledge, remarks: list[str], *, exact: bool) -> RoomFile:
    """A room. What a file cannot say is told in `remarks`."""
    machines = {}
    for name, machine in sorted(now.machines.items()):
        image = known.find_image(machine.spec.image)
        if any(nic.network is None for nic in machine.spec.nics or ()):
            remarks.append(f"{now.name}: {name} is a parked appliance, which a file cannot describe")
        else:
            machines[name] = _export_machine(machine, image, exact=exact)
    named = {nic.network for machine in machines.values() for nic in machine.networks or () if nic.address}
    networks = {
        name: _export_network(network, exact=exact or name in named)
        for name, network in sorted(now.networks.items())
        if exact or name in named or not _is_plain(network)
    }
    present = [insert for insert in now.inserts.values() if insert.state is not InsertState.EJECTING]
    return RoomFile(
        description=now.description,
        isolation=now.isolation,
        resources=ResourcesFile(**now.resources.model_dump()),
        networks=networks,
        machines=machines,
        inserts={
            insert.logical: _export_insert(insert, known) for insert in sorted(present, key=lambda one: one.spec.before)
        },
        volumes={name: VolumeFile(size=spec.size, labels=spec.labels) for name, spec in sorted(now.volumes.items())},
        pool={name: _export_pool(spec) for name, spec in sorted(now.pools.items())},
    )


def _is_plain(network: NetworkSpec) -> bool:
    """Whether it is the default network as it comes by itself."""
    return network.model_copy(update={"subnet": None}) == NetworkSpec(name=DEFAULT_NETWORK) and _is_given(network)


def _is_given(network: NetworkSpec) -> bool:
    """Whether its range looks like one that the fabric has chosen; on record it is like one that was asked for."""
    return network.subnet is None or (network.subnet.prefixlen == 24 and network.subnet.subnet_of(POOL))


def _export_network(network: NetworkSpec, *, exact: bool) -> NetworkFile:
    gone = {"name", "subnet"} if _is_given(network) and not exact else {"name"}
    return NetworkFile.model_validate(network.model_dump(exclude=gone))


def _export_machine(machine: MachineNow, image: Image, *, exact: bool) -> MachineFile:
    spec = machine.spec
    nics = want_nics(spec, image) if exact else spec.nics
    settings = {} if spec.floppy else _export_settings(machine.settings, image)
    return MachineFile(
        networks=None
        if nics is None
        else tuple(_export_nic(*pair, exact=exact) for pair in pair_given(nics, machine.nics)),
        workdir=spec.cwd,
        health=HealthFile(**_health(spec)) if spec.health else None,
        no_healthcheck=spec.no_health,
        limits=LimitsFile(**spec.limits.model_dump()) if spec.limits else None,
        fabric=AccessFile(expose=spec.expose) if spec.expose else None,
        foreign=ForeignFile.of(spec.foreign) if spec.foreign else None,
        volumes=tuple(mount for mount in spec.mounts if mount.kind is not MountKind.TMPFS),
        tmpfs=tuple(mount for mount in spec.mounts if mount.kind is MountKind.TMPFS),
        settings=settings,
        state="running" if machine.state.is_live else "stopped",
        **export_sizes(spec),
        **{key: getattr(spec, key) for key in _SAME},
    )


def export_sizes(spec: MachineSpec) -> dict[str, Any]:
    """How large a machine is and may become, as a file says it."""
    has_bus = spec.elastic is not None or spec.is_foreign or spec.pxe
    growth, usual = spec.elastic, Profile.Q35 if has_bus else Profile.MICROVM
    cpus = _export_range(spec.cpus, growth.max_cpus if growth else None)
    memory = _export_range(spec.memory, growth.max_memory if growth else None)
    return {
        "profile": None if spec.profile is usual else spec.profile,
        "cpus": cpus,
        "memory": None if memory == Range() else memory,
        "elastic": None if growth is None or growth.policy == MANUAL else growth.policy,
    }


def _export_range(least: int | None, most: int | None) -> Range:
    return Range(least, None if most == least else most)


def _export_nic(nic: NicSpec, given: GivenNic | None, *, exact: bool) -> NicFile:
    assert nic.network is not None, "machines with other NICs are left out"
    asked: dict[str, Any] = {key: getattr(nic, key) for key in ("address", "address6", "mac")}
    if exact and given is not None:
        asked = {key: value or getattr(given, key) for key, value in asked.items()}
    return NicFile(network=nic.network, pinned=nic.pinned, **asked)


def _health(spec: MachineSpec) -> dict[str, Any]:
    assert spec.health is not None
    return {"command": spec.health.argv, **spec.health.model_dump(exclude={"argv"})}


def _export_settings(settings: Mapping[str, Any], image: Image) -> dict[str, Any]:
    """Without what the image does not know, which is kept with its settings, but cannot be asked for."""
    secrets = find_secrets(image)
    if image is not None:
        known = complete_schema(image.settings, image.name).settings
        settings = {name: value for name, value in settings.items() if name in known}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    return {name: LEFT_OUT if name in secrets else value for name, value in plain.items()}


def _export_pool(spec: PoolSpec) -> PoolFile:
    return PoolFile(size=spec.size, memory=spec.memory, cpus=spec.cpus)


def _export_insert(insert: InsertNow, known: Knowledge) -> InsertFile:
    same = {
        key: getattr(insert.spec, key) for key in ("appliance", "before", "mode", "fail", "lifetime", "memory", "cold")
    }
    settings = _export_settings(insert.settings, known.find_image(insert.spec.appliance))
    return InsertFile(settings=settings, **same)
