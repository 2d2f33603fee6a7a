"""Where appliances stand: the networks around a machine's NICs, as its programs and its settings' model see them."""

from collections.abc import Iterable, Iterator, Sequence

from weft.fabric.nics import name_servers, nic_addresses
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.model.insert import InsertSpec, Mode
from weft.model.names import PortName, parse_port
from weft.model.place import Neighbour, Place, Stance, Zone
from weft.plan.place_files import name_zones
from weft.plan.standing import OUTSIDE, Gateway, Joint, place_gateway, place_router, zones_of

SIDES = ("network", "machine")
"""What an insert's zones are called before a machine."""


def find_place(site: Site, machine: MachineRecord) -> Place:
    """Where a machine stands now; a parked appliance stands between nothing and nothing."""
    insert = site.shelves.inserts.find(machine.name)
    if insert is not None:
        return place_insert(site, insert.spec, machine.nics).model_copy(update={"since": insert.created})
    if machine.is_appliance:
        return Place(stance=Stance.BRIDGE, zones=_sides(SIDES, machine.nics, None))
    return place_machine(site, machine.name, machine.nics)


def place_insert(site: Site, spec: InsertSpec, nics: Sequence[NicRecord]) -> Place:
    """Where an insert is to stand, or does."""
    port = parse_port(spec.before)
    network = _network_of(site, port)
    if spec.mode is Mode.ROUTED:
        return _place_gateway(site, spec.name, network)
    stance = Stance.LISTENER if spec.mode is Mode.COPY else Stance.BRIDGE
    names = name_zones([network.name, OUTSIDE]) if port.network is not None else SIDES
    neighbours = () if stance is Stance.LISTENER else tuple(_meet(site, spec.name, port, names, network))
    return Place(
        stance=stance,
        zones=_sides(names, nics, network),
        resolvers=name_servers(site, spec.name, [network]),
        neighbours=neighbours,
    )


def _place_gateway(site: Site, name: str, network: NetworkRecord) -> Place:
    taken = Gateway(network.name, network.gateway_mac, network.subnet, network.behind, network.spec.mtu)
    return place_gateway(taken, name_servers(site, name, [network]), _neighbours(site, name, [(network.name, network)]))


def _meet(site: Site, name: str, port: PortName, sides: Sequence[str], network: NetworkRecord) -> Iterator[Neighbour]:
    """The machines on both sides of a bridge: behind it is the one that it stands in front of."""
    for other in _neighbours(site, name, [(sides[0], network)]):
        yield other.model_copy(update={"zone": sides[1]}) if other.name == port.machine else other


def _network_of(site: Site, port: PortName) -> NetworkRecord:
    name = port.network or site.shelves.machines.get(port.machine).nics[port.nic].network
    return site.shelves.networks.get(name or "")


def place_machine(site: Site, name: str, nics: Sequence[NicRecord]) -> Place:
    """Where a machine with these NICs stands. The outside is reached by the zone that its default route leads to."""
    joined = [(number, nic, site.shelves.networks.get(nic.network)) for number, nic in enumerate(nics) if nic.network]
    joints = [_join(name, number, nic, network) for number, nic, network in joined]
    networks = [network for _, _, network in joined]
    around = _neighbours(site, name, zip(zones_of(joints), networks, strict=True))
    return place_router(joints, name_servers(site, name, networks), around)


def _join(name: str, number: int, nic: NicRecord, network: NetworkRecord) -> Joint:
    return Joint(
        number=number,
        network=network.name,
        mac=nic.mac,
        addresses=nic_addresses(nic, network),
        subnets=tuple(_subnets(network)),
        mtu=network.spec.mtu,
        gateway=str(network.gateway),
        is_own=network.spec.gateway == name,
    )


def _sides(names: Sequence[str], nics: Sequence[NicRecord], network: NetworkRecord | None) -> tuple[Zone, ...]:
    """An insert's two zones. Their frames are the network's, so both have its range."""
    subnets = tuple(_subnets(network)) if network else ()
    mtu = network.spec.mtu if network else 1500
    macs = [nic.mac for nic in nics[:2]] or ["", ""]
    return tuple(
        Zone(name=side, nic=f"eth{number}", mac=mac, subnets=subnets, uplink=side not in (*SIDES, names[0]), mtu=mtu)
        for number, (side, mac) in enumerate(zip(names, macs, strict=True))
    )


def _subnets(network: NetworkRecord) -> Iterator[str]:
    yield str(network.subnet)
    if network.subnet6 is not None:
        yield str(network.subnet6)


def _neighbours(site: Site, name: str, zones: Iterable[tuple[str, NetworkRecord]]) -> Iterator[Neighbour]:
    """The other machines of its networks."""
    machines = sorted((other for other in site.shelves.machines if other.name != name), key=lambda other: other.name)
    for zone, network in zones:
        for other in machines:
            for nic in other.nics:
                if nic.network == network.name and nic.address is not None:
                    yield Neighbour(zone=zone, name=other.name, address=str(nic.address), mac=nic.mac)
