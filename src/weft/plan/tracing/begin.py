"""Where a trace begins, and with which packet."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from weft.model.machine import PublishedPort
from weft.model.trace import Passage, Way
from weft.plan.tracing.ends import Address, End, Protocol
from weft.plan.tracing.room import Packet, TracedMachine, TracedRoom
from weft.plan.tracing.routes import choose_address, find_route
from weft.plan.tracing.walk import Hop, Stand

SOMEWHERE: tuple[Address, Address] = (IPv4Address("198.51.100.1"), IPv6Address("2001:db8::1"))
"""What stands for the outside where no address of it is named: of ranges for documents (RFC 5737, 3849)."""
NOWHERE: tuple[Address, Address] = (IPv4Address(0), IPv6Address(0))
"""What a packet has for a source that comes from a machine without an address."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The packet and where it is at first. `hops`: what lies before that."""

    packet: Packet
    stand: Stand
    hops: tuple[Hop, ...] = ()

    @property
    def has_target(self) -> bool:
        """Whether a real packet could be sent there."""
        return self.packet.destination not in SOMEWHERE


def plan_begin(room: TracedRoom, source: End, destination: End, *, ipv6: bool = False, sport: int = 0) -> Begin | Hop:
    """The packet that is to be traced, or why there is none. Names of machines and networks are those of the room."""
    protocol = destination.protocol or "icmp"
    if source.is_outside:
        return _begin_outside(room, destination)
    version = _choose_version(source, destination, ipv6=ipv6)
    asker = _find_asker(room, source)
    target = _find_target(room, asker, destination, version)
    if isinstance(target, Hop):
        return target
    if source.network is not None:
        return _begin_at_gateway(room, source.network, Packet(protocol, NOWHERE[0], target, sport, destination.port))
    if asker is None:
        return _stop(f"address {source.address}", "nobody has it")
    own = source.address or _choose_source(room, asker, target)
    return Begin(_number(Packet(protocol, own, target, sport, destination.port)), Stand(asker.name))


def _choose_version(source: End, destination: End, *, ipv6: bool) -> int:
    named = destination.address or source.address
    return named.version if named else 6 if ipv6 else 4


def _find_asker(room: TracedRoom, source: End) -> TracedMachine | None:
    if source.address is not None:
        return room.find_machine(source.address)
    return room.machines[source.machine] if source.machine is not None else None


def _find_target(room: TracedRoom, asker: TracedMachine | None, destination: End, version: int) -> Address | Hop:
    if destination.address is not None:
        return destination.address
    if destination.machine is None:
        return SOMEWHERE[version == 6]
    machine = room.machines[destination.machine]
    address = choose_address(room, asker, machine, version)
    if address is None:
        return _stop(f"machine {machine.name}", f"it has no address of IPv{version}")
    return address


def _choose_source(room: TracedRoom, machine: TracedMachine, target: Address) -> Address:
    """The address of the NIC that the packet leaves by, as kernels choose it."""
    route = find_route(room, machine, target)
    own = route.nic.address_of(target.version) if route else None
    every = (nic.address_of(target.version) for nic in machine.nics)
    return own or next((one for one in every if one), NOWHERE[target.version == 6])


def _begin_outside(room: TracedRoom, destination: End) -> Begin | Hop:
    """From the outside one gets in by published ports only: the forwarder asks on behalf of whoever does."""
    found = _find_published(room, destination)
    if found is None:
        what = f"port {destination.port}" if destination.machine is None else f"{destination.machine}"
        return _stop("the host", f"no published port leads to {_dump_wanted(destination, what)}")
    machine, port = found
    nic = next((nic for nic in machine.nics if nic.address is not None), None)
    at = f"port {port.host_address}:{port.host_port}/{port.protocol} of the host"
    if port.host_port is None or not machine.state.is_live or nic is None or nic.address is None:
        return _stop(at, f"machine {machine.name} is {machine.state}, and nobody listens for it")
    hop = Hop(Way.THERE, at, Passage.PASSES, f"published: it leads to {machine.name}, {nic.address}:{port.guest_port}")
    protocol: Protocol = "udp" if port.protocol == "udp" else "tcp"
    begin = _begin_at_gateway(room, nic.network, Packet(protocol, NOWHERE[0], nic.address, 0, port.guest_port))
    return begin if isinstance(begin, Hop) else Begin(begin.packet, begin.stand, (hop,))


def _find_published(room: TracedRoom, destination: End) -> tuple[TracedMachine, PublishedPort] | None:
    for machine in room.machines.values():
        for port in machine.published:
            if destination.protocol not in (None, port.protocol):
                continue
            if destination.is_outside and destination.port == port.host_port:
                return machine, port
            is_named = machine.name == destination.machine or (destination.address and machine.has(destination.address))
            if is_named and destination.port in (None, port.guest_port):
                return machine, port
    return None


def _begin_at_gateway(room: TracedRoom, name: str, packet: Packet) -> Begin | Hop:
    """From the fabric, on a network; it stands for what is outside of it."""
    network = room.networks[name]
    if network.gateway is not None:
        why = f"the fabric has no address on it: its gateway is machine {network.gateway}"
        return _stop(f"network {name}", why)
    if packet.version == 6:
        return _stop(f"gateway of {name}", "the fabric has no IPv6")
    mine = Packet(packet.protocol, network.gateway_address, packet.destination, packet.sport, packet.dport)
    return Begin(_number(mine), Stand(None, network=name))


def _number(packet: Packet) -> Packet:
    """Echo requests have no ports."""
    if packet.protocol != "icmp":
        return packet
    return Packet(packet.protocol, packet.source, packet.destination)


def _dump_wanted(destination: End, what: str) -> str:
    if destination.machine is None or destination.port is None:
        return what
    return f"{destination.protocol} {destination.port} of {what}"


def _stop(at: str, why: str) -> Hop:
    return Hop(Way.THERE, at, Passage.STOPS, why)
