"""NICs: which addresses they get, and what a machine is told of its networks at boot."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.guest.config import GuestNic
from weft.model.errors import Exists
from weft.model.machine import NicSpec
from weft.model.network import MAX_DNS, find_address
from weft.plan.address import Addresses, AddressRange, plan_addresses

_DEFAULT_MTU = 1500


def give_nics(
    site: Site, machine: str, wanted: Sequence[NicSpec], kept: Sequence[NicRecord | None] = ()
) -> tuple[NicRecord, ...]:
    """A machine's NICs with all their addresses, in one step: they are free until its record is written.

    Those that are `kept` stay what they were, as far as nothing else is wanted. Raises NotFound (network), Invalid,
    Exists (an address is taken), NoRoom.
    """
    places = list(kept) or [None] * len(wanted)
    others = [other for other in site.shelves.machines if other.name != machine and other.shadows is None]
    taken = [(other.name, nic) for other in others for nic in other.nics]
    given: dict[int, NicRecord] = {}
    networks = [spec.network for spec in wanted]
    # Those that know their address come first, or another one might get it.
    for number in sorted(range(len(wanted)), key=lambda one: places[one] is None and wanted[one].address is None):
        is_first = networks.index(wanted[number].network) == number
        given[number] = _give_nic(site, machine, wanted[number], places[number], taken, is_first=is_first)
        taken.append((machine, given[number]))
    return tuple(given[number] for number in range(len(wanted)))


def _give_nic(
    site: Site,
    machine: str,
    spec: NicSpec,
    kept: NicRecord | None,
    taken: Sequence[tuple[str, NicRecord]],
    *,
    is_first: bool,
) -> NicRecord:
    mac = spec.mac or (kept.mac if kept else _new_mac())
    if owner := next((owner for owner, nic in taken if nic.mac == mac), None):
        raise Exists(f"address {mac} is that of machine {owner!r}")
    record = NicRecord(mac=mac, role=spec.role, network=spec.network, pinned=spec.pinned)
    if spec.network is None:
        return record
    network = site.shelves.networks.get(spec.network)
    is_gateway = is_first and network.spec.gateway == machine
    wanted = Addresses(spec.address, spec.address6)
    if kept and not is_gateway:
        same = spec.address in (None, kept.address)
        wanted = Addresses(spec.address or kept.address, spec.address6 or (kept.address6 if same else None))
    owners = {address: owner for owner, nic in taken if nic.network == network.name for address in _addresses_of(nic)}
    among = AddressRange(network.name, network.subnet, network.subnet6)
    got = plan_addresses(among, wanted, owners, is_gateway=is_gateway)
    return record.model_copy(update={"address": got.address, "address6": got.address6})


def _addresses_of(nic: NicRecord) -> Iterator[IPv4Address | IPv6Address]:
    yield from (address for address in (nic.address, nic.address6) if address is not None)


def guest_nics(site: Site, machine: MachineRecord) -> tuple[GuestNic, ...]:
    """A machine's NICs as it is told of them: the default route leads through the first one whose network's gateway
    is not the machine itself. A shadow is told what its original is."""
    machine = (site.shelves.machines.find(machine.shadows) if machine.shadows else None) or machine
    away = [_gateway_away(site, machine.name, nic) for nic in machine.nics]
    first = find_way_out(site, machine.name, machine.nics)
    first6 = next((number for number, network in enumerate(away) if network and network.gateway6), None)
    nics = []
    for number, (nic, network) in enumerate(zip(machine.nics, away, strict=True)):
        gateways = [str(network.gateway)] if network and number == first else []
        gateways += [str(network.gateway6)] if network and number == first6 else []
        nics.append(_guest_nic(site, nic, f"eth{number}", gateways))
    return tuple(nics)


def guest_resolvers(site: Site, machine: MachineRecord) -> tuple[str, ...]:
    """Whom a machine asks for names: what its networks say, or else their gateways, those without an uplink first.

    A network's name server refuses what it does not know, and the resolver asks the next one; one with an uplink
    passes the question on to the outside, whose no is final. So it comes last.
    """
    networks = sorted(networks_of(site, machine), key=lambda network: network.spec.uplink)
    return name_servers(site, machine.name, networks)[:MAX_DNS]


def name_servers(site: Site, machine: str, networks: Iterable[NetworkRecord]) -> tuple[str, ...]:
    """The addresses of those that a machine of this name may ask on these networks, in their order, each once."""
    servers = [
        server
        for network in networks
        for server in _resolvers_of(site, network, besides=machine)
        or ([] if network.spec.gateway == machine else [str(network.gateway)])
    ]
    return tuple(dict.fromkeys(servers))


def find_way_out(site: Site, machine: str, nics: Sequence[NicRecord]) -> int | None:
    """Which NIC the default route leads through: the first one whose network's gateway is not the machine itself."""
    return next((number for number, nic in enumerate(nics) if _gateway_away(site, machine, nic)), None)


def nic_addresses(nic: NicRecord, network: NetworkRecord) -> tuple[str, ...]:
    """What a NIC has on its network, like `10.0.0.2/24` and `fd00:1::2/64`."""
    pairs = ((nic.address, network.subnet), (nic.address6, network.subnet6))
    return tuple(f"{address}/{subnet.prefixlen}" for address, subnet in pairs if address is not None and subnet)


def _resolvers_of(site: Site, network: NetworkRecord, *, besides: str) -> list[str]:
    """The name servers that a network names, by their addresses, but for those of the machine `besides` itself."""
    found = []
    for entry in network.spec.dns:
        address = entry if find_address(entry) else _find_member(site, network, entry)
        if address is not None and address != _find_member(site, network, besides):
            found.append(address)
    return found


def networks_of(site: Site, machine: MachineRecord) -> list[NetworkRecord]:
    """The networks a machine is on, each once, in the order of its NICs."""
    names = dict.fromkeys(nic.network for nic in machine.nics if nic.network is not None)
    return [site.shelves.networks.get(name) for name in names]


def _find_member(site: Site, network: NetworkRecord, name: str) -> str | None:
    machine = site.shelves.machines.find(name)
    nics = machine.nics if machine else ()
    return next((str(nic.address) for nic in nics if nic.network == network.name and nic.address), None)


def _gateway_away(site: Site, machine: str, nic: NicRecord) -> NetworkRecord | None:
    """A NIC's network, when somebody else is its gateway."""
    network = site.shelves.networks.get(nic.network) if nic.network else None
    return network if network and network.spec.gateway != machine else None


def _guest_nic(site: Site, nic: NicRecord, name: str, gateways: Sequence[str]) -> GuestNic:
    if nic.network is None:
        mtu = max((network.spec.mtu for network in site.shelves.networks), default=_DEFAULT_MTU)
        return GuestNic(mac=nic.mac, name=name, mtu=mtu)
    network = site.shelves.networks.get(nic.network)
    addresses, mtu = nic_addresses(nic, network), network.spec.mtu
    return GuestNic(mac=nic.mac, name=name, addresses=addresses, gateways=tuple(gateways), mtu=mtu)


def _new_mac() -> str:
    """Random, locally administered, unicast: two fabrics on one wire shall not meet in a MAC."""
    raw = bytearray(uuid.uuid4().bytes[:6])
    raw[0] = 0x52
    raw[1] = 0x57
    return raw.hex(":")
