"""Where a machine sends a packet: the routes that guests get at boot."""

from dataclasses import dataclass

from weft.plan.tracing.ends import Address
from weft.plan.tracing.room import TracedMachine, TracedNic, TracedRoom


@dataclass(frozen=True, slots=True)
class Route:
    """By which NIC, and whom the frame is for on its network."""

    nic: TracedNic
    next_hop: Address


def find_route(room: TracedRoom, machine: TracedMachine, destination: Address) -> Route | None:
    """The route of a machine to an address: by a NIC on its network, or by the way out. None: it has none."""
    near = [nic for nic in _usable(machine, destination.version) if room.networks[nic.network].covers(destination)]
    if near:
        return Route(near[0], destination)
    for nic in _usable(machine, destination.version):
        network = room.networks[nic.network]
        gateway = network.gateway_of(destination.version)
        if network.gateway != machine.name and gateway is not None:
            return Route(nic, gateway)
    return None


def explain_no_route(room: TracedRoom, machine: TracedMachine, destination: Address) -> str:
    """Why there is none, and what would have to be."""
    if not machine.nics:
        return "it is on no network"
    if not _usable(machine, destination.version):
        return f"it has no address of IPv{destination.version}"
    network = room.find_network(destination)
    if network is None:
        return f"it has no route to {destination}: all its networks end in it, so it needs a NIC on one with an uplink"
    return f"it has no route to {destination}: it needs a NIC on network {network.name}, or a gateway that has one"


def choose_address(
    room: TracedRoom, source: TracedMachine | None, target: TracedMachine, version: int
) -> Address | None:
    """The address by which a machine is asked for: one on a network that both are on, or else its first."""
    here = {nic.network for nic in source.nics} if source else set()
    usable = _usable(target, version)
    near = [nic for nic in usable if nic.network in here]
    return next((nic.address_of(version) for nic in [*near, *usable]), None)


def may_send(room: TracedRoom, machine: TracedMachine, nic: TracedNic, source: Address) -> bool:
    """Whether a pinned port lets out what comes from an address, as `plan.pins` has it: what is the machine's own, or
    of networks behind it; from a gateway all that is not of somebody else of its network.
    """
    network = room.networks[nic.network]
    if machine.has(source):
        return True
    if network.gateway == machine.name:
        return not network.covers(source)
    return any(one.covers(source) for one in room.networks.values() if one.gateway == machine.name)


def _usable(machine: TracedMachine, version: int) -> list[TracedNic]:
    return [nic for nic in machine.nics if nic.address_of(version) is not None]
