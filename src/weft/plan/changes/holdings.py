"""What only one machine of a room can have at a time: addresses, ports of the host, volumes. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from weft.model.machine import MachineSpec, NicSpec
from weft.model.mount import MountKind
from weft.plan.changes.settle import Image, pair_given, want_nics
from weft.plan.changes.state import GivenNic, MachineNow
from weft.plan.update import match_nics


class Thing(NamedTuple):
    """One such thing: its kind, what it belongs to, and itself."""

    kind: str
    where: str
    what: str


def find_held(machine: MachineNow, image: Image) -> set[Thing]:
    """What a machine has now: what it asked for and what it was given."""
    nics = want_nics(machine.spec, image) or ()
    given = [thing for nic in machine.nics for thing in _of_nic(nic, nic.network)]
    asked = [thing for nic, _ in pair_given(nics, machine.nics) if nic for thing in _of_nic(nic, nic.network)]
    return {*given, *asked, *_of_rest(machine.spec)}


def find_asked(spec: MachineSpec) -> set[Thing]:
    """What a machine is to have and no other."""
    return {*(thing for nic in spec.nics or () for thing in _of_nic(nic, nic.network)), *_of_rest(spec)}


def find_kept(machine: MachineNow, spec: MachineSpec) -> dict[int, GivenNic]:
    """Which NICs of a new spec take over the place of an earlier one, by their numbers."""
    old = [NicSpec(network=nic.network) for nic in machine.nics]
    roles = machine.spec.nics or ()
    old = [nic.model_copy(update={"role": role.role}) for nic, role in zip(old, roles, strict=False)] if roles else old
    kept = match_nics(old, spec.nics or ())
    return {number: machine.nics[place] for number, place in enumerate(kept) if place is not None}


def find_shifted(machine: MachineNow, spec: MachineSpec) -> set[Thing]:
    """What one NIC of a machine has and another one of it is to have."""
    wanted = [set(_of_nic(nic, nic.network)) for nic in spec.nics or ()]
    found: set[Thing] = set()
    for number, given in find_kept(machine, spec).items():
        others = set[Thing]().union(*(things for other, things in enumerate(wanted) if other != number))
        found |= set(_of_nic(given, given.network)) & others
    return found


def _of_nic(nic: NicSpec | GivenNic, network: str | None) -> Iterator[Thing]:
    if nic.mac:
        yield Thing("mac", "", nic.mac)
    for address in (nic.address, nic.address6):
        if address is not None:
            yield Thing("address", network or "", str(address))


def _of_rest(spec: MachineSpec) -> Iterator[Thing]:
    for port in spec.publish:
        if port.host_port is not None:
            yield Thing("port", port.protocol, str(port.host_port))
    for mount in spec.mounts:
        if mount.kind is MountKind.VOLUME:
            yield Thing("volume", "", mount.source)


def strip(spec: MachineSpec, nics: Sequence[NicSpec], given: Sequence[GivenNic], go: "Going") -> MachineSpec:
    """A machine without what it is to let go. Of a network it keeps no NIC: that would take over another's place."""
    gone = {nic.network for nic, had in pair_given(nics, given) if go.takes_nic(nic, had)}
    left = tuple(nic for nic in nics if nic.network not in gone)
    mounts = tuple(
        mount for mount in spec.mounts if not (mount.kind is MountKind.VOLUME and mount.source in go.volumes)
    )
    ports = tuple(port for port in spec.publish if Thing("port", port.protocol, str(port.host_port)) not in go.things)
    if not any(nic.network for nic in left):
        ports = ()  # which a machine without a NIC cannot have
    changes = {} if len(left) == len(nics) else {"nics": left}
    return spec.model_copy(update={**changes, "mounts": mounts, "publish": ports})


class Going(NamedTuple):
    """What machines have to let go: whole networks and volumes, and single things."""

    networks: frozenset[str]
    things: frozenset[Thing]

    @property
    def volumes(self) -> set[str]:
        """Names of volumes among the things."""
        return {thing.what for thing in self.things if thing.kind == "volume"}

    def takes_nic(self, nic: NicSpec, had: GivenNic | None) -> bool:
        """Whether a NIC has to go, for its network's sake or for an address."""
        mine = {*_of_nic(nic, nic.network), *(_of_nic(had, had.network) if had else ())}
        return nic.network in self.networks or bool(mine & self.things)


Claims = Mapping[Thing, set[str]]
"""Which machines of the file are to have a thing; only of a volume these may be several."""
