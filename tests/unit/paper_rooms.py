"""Rooms on paper: steps of a plan taken as a fabric would take them, with all that a fabric would refuse."""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tests.unit.fabric_files import IMAGES, World, make_image

from weft.model.fabric_file import FabricFile
from weft.model.image import BUILT_IN, ImageManifest
from weft.model.insert import InsertSpec, InsertState
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.mount import MountKind
from weft.model.names import DEFAULT_NETWORK, parse_port
from weft.model.network import NetworkSpec
from weft.model.pool import PoolSpec
from weft.model.room import RoomSpec
from weft.model.steps import Kind, Plan, Step, Verb
from weft.model.volume import VolumeSpec
from weft.plan.address import Addresses, AddressRange, plan_addresses, plan_subnet
from weft.plan.changes.changes import plan_changes
from weft.plan.changes.named import Named, join_named, name_parts
from weft.plan.changes.settle import full_name, want_nics
from weft.plan.changes.state import GivenNic, InsertNow, MachineNow, RoomNow
from weft.plan.update import match_nics, plan_update


class Refused(Exception):
    """What a fabric would not do."""


def refuse(wrong: object, what: str) -> None:
    """Raises Refused if something is so."""
    if wrong:
        raise Refused(what)


class PaperRooms(World):
    """All rooms, in a world. Each step is checked against what is there when it is taken."""

    def __init__(self, rooms: Mapping[str, RoomNow] | None = None) -> None:
        super().__init__()
        self.rooms = dict(rooms or {})
        self.once: dict[str, Named] = {}
        self.images = {**IMAGES, **BUILT_IN}
        self._macs = itertools.count(1)

    def find_image(self, name: str) -> ImageManifest | None:
        """The image of this name, once it is here."""
        return self.images.get(name) or self.images.get(full_name(name))

    def plan(self, file: FabricFile, **rest: Any) -> Plan:
        """What leads from here to a file."""
        return plan_changes(file, self.rooms, self, once=self.once, **rest)

    def apply(self, file: FabricFile, failing: Collection[str] = (), order: Any = list, **rest: Any) -> Plan:
        """Plan and carry out, and note what the file names; the plan."""
        plan = self.plan(file, **rest)
        named = {name: name_parts(room) for name, room in file.rooms.items()}
        for name in {**named, **self.once}:
            self.once[name] = join_named(self.once.get(name, Named()), named.get(name, Named()))
        if len(self.carry_out(plan, failing, order)) == len(plan.steps):
            self.once = named
        return plan

    def carry_out(self, plan: Plan, failing: Collection[str] = (), order: Any = list) -> list[str]:
        """Take all steps, in an order that their needs allow; which were taken. Those that fail take others along."""
        taken: list[str] = []
        waiting = order(plan.steps)
        while ready := [step for step in waiting if set(step.after) <= set(taken) and step.key not in failing]:
            self.take(ready[0])
            taken.append(ready[0].key)
            waiting.remove(ready[0])
        return taken

    def take(self, step: Step) -> None:
        """One step."""
        if step.kind is Kind.IMAGE:
            self.images[step.name] = make_image(step.name)
            return
        room = self.rooms.get(step.room) or RoomNow(step.room, exists=False)
        refuse(not room.exists and (step.kind, step.verb) != (Kind.ROOM, Verb.CREATE), f"{step.key}: no room")
        act = getattr(self, f"_{step.verb}_{step.kind}")
        self.rooms[step.room] = act(room, step)
        if step.kind is Kind.ROOM and step.verb is Verb.REMOVE:
            del self.rooms[step.room]

    # Rooms.

    def _create_room(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, RoomSpec)
        refuse(room.exists, f"{step.key}: exists")
        return replace(self._change_room(room, step), exists=True)

    def _change_room(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, RoomSpec)
        same = {key: getattr(step.spec, key) for key in ("description", "isolation", "resources")}
        return replace(room, **same)

    def _remove_room(self, room: RoomNow, step: Step) -> RoomNow:
        refuse(room.machines or room.volumes or room.inserts, f"{step.key}: not empty")
        return room

    # Networks.

    def _create_network(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, NetworkSpec)
        refuse(step.name in room.networks, f"{step.key}: exists")
        subnets = [network.subnet for network in room.networks.values() if network.subnet]
        subnet = plan_subnet(step.spec.subnet, subnets)
        spec = step.spec.model_copy(update={"subnet": subnet})
        return replace(room, networks={**room.networks, step.name: spec})

    def _change_network(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, NetworkSpec)
        same = room.networks[step.name].model_copy(update={"uplink": step.spec.uplink, "dns": step.spec.dns})
        refuse(same != step.spec, f"{step.key}: more than the uplink and name servers")
        return replace(room, networks={**room.networks, step.name: step.spec})

    def _remove_network(self, room: RoomNow, step: Step) -> RoomNow:
        users = [name for name, machine in room.machines.items() if step.name in [nic.network for nic in machine.nics]]
        users += [
            insert.spec.name for insert in room.inserts.values() if parse_port(insert.spec.before).network == step.name
        ]
        refuse(users, f"{step.key}: {users} on it")
        return replace(room, networks=without(room.networks, step.name))

    # Volumes.

    def _create_volume(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, VolumeSpec)
        refuse(step.name in room.volumes, f"{step.key}: exists")
        return replace(room, volumes={**room.volumes, step.name: step.spec})

    def _change_volume(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, VolumeSpec)
        refuse(step.spec.size < room.volumes[step.name].size, f"{step.key}: shrinks")
        if step.spec.size > room.volumes[step.name].size:
            live = [name for name in users_of(room, step.name) if room.machines[name].state.is_live]
            refuse(live, f"{step.key}: {live} run with it")
        return replace(room, volumes={**room.volumes, step.name: step.spec})

    def _remove_volume(self, room: RoomNow, step: Step) -> RoomNow:
        refuse(users_of(room, step.name), f"{step.key}: {users_of(room, step.name)} have it")
        refuse(not step.loses, f"{step.key}: a loss that is not told")
        return replace(room, volumes=without(room.volumes, step.name))

    # Pools.

    def _create_pool(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, PoolSpec)
        refuse(full_name(step.name) in map(full_name, room.pools), f"{step.key}: exists")
        self._check_image(step, step.spec.image)
        return replace(room, pools={**room.pools, step.name: step.spec})

    def _change_pool(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, PoolSpec)
        refuse(room.pools[step.name] == step.spec, f"{step.key}: nothing to do")
        return replace(room, pools={**room.pools, step.name: step.spec})

    def _remove_pool(self, room: RoomNow, step: Step) -> RoomNow:
        refuse(step.name not in room.pools, f"{step.key}: none there")
        return replace(room, pools=without(room.pools, step.name))

    # Machines.

    def _create_machine(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, MachineSpec)
        refuse(step.name in room.machines, f"{step.key}: exists")
        refuse(step.name in [insert.spec.name for insert in room.inserts.values()], f"{step.key}: an insert's name")
        self._check_image(step, step.spec.image)
        room = self._prepare(room, step)
        spec = self._full(step.spec)
        machine = MachineNow(spec, State.CREATED, self._give(room, step, spec, ()), settings=step.settings or {})
        room = replace(room, machines={**room.machines, step.name: machine})
        return self._start_machine(room, step) if step.start else room

    def _change_machine(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, MachineSpec)
        now = room.machines[step.name]
        spec = self._full(step.spec)
        change = plan_update(now.spec, spec)
        refuse(not change.parts, f"{step.key}: nothing to do")
        told = step.name in step.restarts
        refuse(bool(change.restart and now.state.is_live) != told, f"{step.key}: a restart that is not told, or none")
        self._check_image(step, spec.image)
        room = self._prepare(room, step)
        nics = now.nics
        if "nics" in change.parts:
            nics = self._give(replace(room, machines=without(room.machines, step.name)), step, spec, now.nics)
            self._check_chains(room, step, nics)
        self._check_ports(room, step, spec)
        machine = replace(now, spec=spec, nics=nics, outdated=now.outdated and not change.restart)
        changed = replace(room, machines={**room.machines, step.name: machine})
        self._check_writers(changed, step)
        return changed

    def _check_chains(self, room: RoomNow, step: Step, nics: tuple[GivenNic, ...]) -> None:
        old = room.machines[step.name].nics
        for insert in room.inserts.values():
            port = parse_port(insert.spec.before)
            if port.machine == step.name:
                stays = port.nic < len(nics) and nics[port.nic].network == old[port.nic].network
                refuse(not stays, f"{step.key}: insert {insert.spec.name} is there")

    def _configure_machine(self, room: RoomNow, step: Step) -> RoomNow:
        machine = replace(room.machines[step.name], settings=step.settings or {})
        return replace(room, machines={**room.machines, step.name: machine})

    def _start_machine(self, room: RoomNow, step: Step) -> RoomNow:
        now = room.machines[step.name]
        refuse(now.state.is_live, f"{step.key}: it runs")
        started = replace(
            room, machines={**room.machines, step.name: replace(now, state=State.RUNNING, outdated=False)}
        )
        self._check_writers(started, step)
        return started

    def _stop_machine(self, room: RoomNow, step: Step) -> RoomNow:
        now = room.machines[step.name]
        refuse(not now.state.is_live, f"{step.key}: it does not run")
        return replace(room, machines={**room.machines, step.name: replace(now, state=State.STOPPED)})

    def _remove_machine(self, room: RoomNow, step: Step) -> RoomNow:
        before = [one for one in room.inserts.values() if parse_port(one.spec.before).machine == step.name]
        refuse(len(before) > len(step.loses), f"{step.key}: an insert before it that is not told of")
        inserts = {key: one for key, one in room.inserts.items() if one not in before}
        return replace(room, machines=without(room.machines, step.name), inserts=inserts)

    def _check_image(self, step: Step, name: str) -> None:
        refuse(self.find_image(name) is None, f"{step.key}: no image {name}")

    def _full(self, spec: MachineSpec) -> MachineSpec:
        image = self.find_image(spec.image)
        return spec.model_copy(update={"image": image.name}) if image else spec

    def _prepare(self, room: RoomNow, step: Step) -> RoomNow:
        """The default network and volumes that are made by themselves."""
        assert isinstance(step.spec, MachineSpec)
        nics = self._nics(step.spec)
        if any(nic.network == DEFAULT_NETWORK for nic in nics) and DEFAULT_NETWORK not in room.networks:
            subnets = [network.subnet for network in room.networks.values() if network.subnet]
            spec = NetworkSpec(name=DEFAULT_NETWORK, subnet=plan_subnet(None, subnets))
            room = replace(room, networks={**room.networks, DEFAULT_NETWORK: spec})
        mounts = [mount.source for mount in step.spec.mounts if mount.kind is MountKind.VOLUME]
        new = {name: VolumeSpec(name=name) for name in mounts if name not in room.volumes}
        return replace(room, volumes={**room.volumes, **new})

    def _nics(self, spec: MachineSpec) -> tuple[NicSpec, ...]:
        nics = want_nics(spec, self.find_image(spec.image))
        return (NicSpec(network=DEFAULT_NETWORK),) if nics is None else nics

    def _give(self, room: RoomNow, step: Step, spec: MachineSpec, old: tuple[GivenNic, ...]) -> tuple[GivenNic, ...]:
        wanted = self._nics(spec) if spec.nics is None else spec.nics
        self._check_ports(room, step, spec)
        kept = match_nics([NicSpec(network=nic.network) for nic in old], wanted)
        places = [None if place is None else old[place] for place in kept]
        taken = [nic for machine in room.machines.values() for nic in machine.nics]
        given: dict[int, GivenNic] = {}
        for number in sorted(range(len(wanted)), key=lambda n: places[n] is None and wanted[n].address is None):
            is_first = [nic.network for nic in wanted].index(wanted[number].network) == number
            given[number] = self._give_one(room, step, wanted[number], places[number], taken, is_first=is_first)
            taken.append(given[number])
        return tuple(given[number] for number in range(len(wanted)))

    def _give_one(
        self, room: RoomNow, step: Step, nic: NicSpec, kept: GivenNic | None, taken: list[GivenNic], *, is_first: bool
    ) -> GivenNic:
        mac = nic.mac or (
            kept.mac if kept else f"52:57:00:00:{next(self._macs) // 256:02x}:{next(self._macs) % 256:02x}"
        )
        refuse(mac in [other.mac for other in taken], f"{step.key}: {mac} is another's")
        if nic.network is None:
            return GivenNic(None, mac)
        refuse(nic.network not in room.networks, f"{step.key}: no network {nic.network}")
        network = room.networks[nic.network]
        assert network.subnet is not None
        is_gateway = is_first and network.gateway == step.name
        wish = Addresses(nic.address, nic.address6)
        if kept and not is_gateway:
            wish = Addresses(nic.address or kept.address, nic.address6 or kept.address6)
        owners = {
            address: "another"
            for other in taken
            if other.network == nic.network
            for address in (other.address, other.address6)
            if address
        }
        try:
            got = plan_addresses(
                AddressRange(network.name, network.subnet, network.subnet6), wish, owners, is_gateway=is_gateway
            )
        except Exception as err:
            raise Refused(f"{step.key}: {err}") from err
        return GivenNic(nic.network, mac, got.address, got.address6)

    def _check_ports(self, room: RoomNow, step: Step, spec: MachineSpec) -> None:
        ports = {
            (port.protocol, port.host_port)
            for name, machine in room.machines.items()
            if name != step.name
            for port in machine.spec.publish
            if port.host_port
        }
        mine = {(port.protocol, port.host_port) for port in spec.publish}
        refuse(ports & mine, f"{step.key}: ports {ports & mine} are another's")

    def _check_writers(self, room: RoomNow, step: Step) -> None:
        for mount in room.machines[step.name].spec.mounts:
            if mount.kind is MountKind.VOLUME and room.machines[step.name].state.is_live:
                others = [
                    name
                    for name in users_of(room, mount.source)
                    if name != step.name and room.machines[name].state.is_live
                ]
                refuse(others, f"{step.key}: volume {mount.source} is {others}'s")

    # Inserts.

    def _create_insert(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, InsertSpec)
        taken = {*room.machines, *(insert.spec.name for insert in room.inserts.values())}
        refuse(step.name in taken, f"{step.key}: the name is taken")
        self._check_image(step, step.spec.appliance)
        port = parse_port(step.spec.before)
        if port.network is None:
            refuse(port.machine not in room.machines, f"{step.key}: no machine {port.machine}")
            refuse(port.nic >= len(room.machines[port.machine].nics), f"{step.key}: no NIC {port.nic}")
        else:
            refuse(port.network not in room.networks, f"{step.key}: no network {port.network}")
        settings = step.spec.settings
        new = InsertNow(step.spec, InsertState.ACTIVE, settings, stands_for=step.stands_for or "")
        chain = [one for one in room.inserts.values() if one.spec.before == step.spec.before]
        rest = [one for one in room.inserts.values() if one.spec.before != step.spec.before]
        chain.insert(len(chain) if step.spec.position is None else step.spec.position, new)
        return replace(room, inserts={one.spec.name: one for one in [*rest, *chain]})

    def _change_insert(self, room: RoomNow, step: Step) -> RoomNow:
        assert isinstance(step.spec, InsertSpec)
        now = room.inserts[step.name]
        same = now.spec.model_copy(update={"fail": step.spec.fail, "lifetime": step.spec.lifetime})
        refuse(same != step.spec or (step.spec.lifetime is None and now.spec.lifetime), f"{step.key}: more than can be")
        return replace(room, inserts={**room.inserts, step.name: replace(now, spec=step.spec)})

    def _configure_insert(self, room: RoomNow, step: Step) -> RoomNow:
        now = replace(room.inserts[step.name], settings=step.settings or {})
        return replace(room, inserts={**room.inserts, step.name: now})

    def _start_insert(self, room: RoomNow, step: Step) -> RoomNow:
        now = replace(room.inserts[step.name], state=InsertState.ACTIVE)
        return replace(room, inserts={**room.inserts, step.name: now})

    def _remove_insert(self, room: RoomNow, step: Step) -> RoomNow:
        refuse(step.name not in room.inserts, f"{step.key}: not there")
        return replace(room, inserts=without(room.inserts, step.name))


def without(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The table without this one."""
    refuse(name not in table, f"{name} is not there")
    return {key: value for key, value in table.items() if key != name}


def users_of(room: RoomNow, volume: str) -> list[str]:
    """Machines that have a volume in their spec."""
    return [
        name
        for name, machine in room.machines.items()
        if any(mount.kind is MountKind.VOLUME and mount.source == volume for mount in machine.spec.mounts)
    ]


LAN = NetworkSpec(name="lan", subnet=IPv4Network("10.1.2.0/24"))
FIRST = IPv4Address("10.1.2.2")
