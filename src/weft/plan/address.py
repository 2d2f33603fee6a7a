"""Which subnet a network gets, and which addresses a machine."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from weft.model.errors import Exists, Invalid, NoRoom

UPSTREAM = IPv4Address("169.254.87.1")
"""What the fabric is called, on the gateway's link of each network, by an appliance that has the gateway's address."""

BEHIND = IPv4Network("169.254.88.0/22")
"""What such appliances are called by the fabric: one address for each network, by its slot."""

POOL = IPv4Network("10.87.0.0/16")
"""Subnets for networks that name none: /24 each. Chosen away from the ranges that home routers and Docker use."""


@dataclass(frozen=True, slots=True)
class AddressRange:
    """A network as far as addresses go."""

    network: str
    subnet: IPv4Network
    subnet6: IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Those of one NIC: what is asked for (None: any), or what it gets."""

    address: IPv4Address | None = None
    address6: IPv6Address | None = None


AnyAddress = IPv4Address | IPv6Address
AnySubnet = IPv4Network | IPv6Network
Owners = Mapping[AnyAddress, str]
"""Who has an address of a network: a machine's name."""


def plan_subnet(wanted: IPv4Network | None, taken: Collection[IPv4Network]) -> IPv4Network:
    """The subnet asked for, or the first free /24 of the pool. Raises Invalid on overlap, NoRoom when all are taken."""
    if wanted is not None:
        for other in taken:
            if wanted.overlaps(other):
                raise Invalid(f"subnet {wanted} overlaps with {other}, which another network uses")
        return wanted
    for subnet in POOL.subnets(new_prefix=24):
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise NoRoom(f"no free subnet is left in {POOL}", hint="name one with --subnet")


def check_subnet6(wanted: IPv6Network, subnet: IPv4Network, taken: Collection[IPv6Network]) -> None:
    """Whether the machines of `subnet` find room in a range of IPv6 that is nobody else's. Raises Invalid."""
    for other in taken:
        if wanted.overlaps(other):
            raise Invalid(f"subnet {wanted} overlaps with {other}, which another network uses")
    if wanted.num_addresses < subnet.num_addresses:
        raise Invalid(f"subnet {wanted} has fewer addresses than {subnet}", hint="take one like fd00:1::/64")


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """The gateway's address on a network: the first one."""
    return subnet[1]


def plan_address_behind(slot: int) -> IPv4Address:
    """The address, towards the fabric, of whatever has taken over the gateway of the network in this slot."""
    return BEHIND[slot]


def plan_gateway_mac(network: str, slot: int) -> str:
    """The gateway's hardware address: locally administered, and the same as long as there is the network.

    It is what the bridge of such a network had when that was the gateway itself, so nobody has to learn another.
    """
    digest = hashlib.sha256(f"weft network {network}/n{slot}".encode()).digest()
    return (b"\x02" + digest[:5]).hex(":")


def gateway6_of(subnet: IPv6Network) -> IPv6Address:
    """The gateway's address of IPv6: the first one too."""
    return subnet[1]


def plan_addresses(among: AddressRange, wanted: Addresses, owners: Owners, *, is_gateway: bool = False) -> Addresses:
    """What a NIC gets: what it asks for, or the lowest address behind the gateway's that is free.

    An address of IPv6 has the same number within its range as that of IPv4. Raises Invalid, Exists (taken), NoRoom.
    """
    if is_gateway:
        return _plan_gateway(among, wanted)
    _check_wanted(among, wanted, owners)
    address = wanted.address or _find_free(among, wanted, owners)
    if among.subnet6 is None or wanted.address6 is not None:
        return Addresses(address, wanted.address6)
    address6 = _same_number(among, address)
    _check_free(among, address6, owners)
    return Addresses(address, address6)


def _plan_gateway(among: AddressRange, wanted: Addresses) -> Addresses:
    """The first address of each range, which nobody else gets."""
    due = Addresses(gateway_of(among.subnet), gateway6_of(among.subnet6) if among.subnet6 else None)
    for asked, given in ((wanted.address, due.address), (wanted.address6, due.address6)):
        if asked is not None and asked != given:
            raise Invalid(f"address {asked}: the gateway of network {among.network!r} has {given or 'none of IPv6'}")
    return due


def _check_wanted(among: AddressRange, wanted: Addresses, owners: Owners) -> None:
    if wanted.address is not None:
        _check_fit(among, wanted.address, among.subnet)
        _check_free(among, wanted.address, owners)
    if wanted.address6 is not None:
        if among.subnet6 is None:
            raise Invalid(f"address {wanted.address6}: network {among.network!r} has no range of IPv6")
        _check_fit(among, wanted.address6, among.subnet6)
        _check_free(among, wanted.address6, owners)


def find_misfit(network: str, address: AnyAddress, subnet: AnySubnet, *, is_gateway: bool = False) -> str | None:
    """Why a machine cannot have an address on a network with this range; None if it can, when nobody else has it."""
    first = subnet.network_address
    if address not in subnet:
        return f"{address} is outside {subnet} of network {network!r}"
    if address == first or (address.version == 4 and address == subnet.broadcast_address):
        return f"{address} stands for network {network!r} as a whole"
    if is_gateway and address != first + 1:
        return f"the gateway of network {network!r} has its first address, {first + 1}"
    if not is_gateway and address == first + 1:
        return f"{address} is the gateway's of network {network!r}"
    return None


def _check_fit(among: AddressRange, address: AnyAddress, subnet: AnySubnet) -> None:
    if fault := find_misfit(among.network, address, subnet):
        raise Invalid(f"address {fault}")


def _check_free(among: AddressRange, address: IPv4Address | IPv6Address, owners: Owners) -> None:
    if owner := owners.get(address):
        raise Exists(f"address {address} of network {among.network!r} is that of machine {owner!r}")


def _find_free(among: AddressRange, wanted: Addresses, owners: Owners) -> IPv4Address:
    for address in among.subnet.hosts():
        if address in owners or address == gateway_of(among.subnet):
            continue
        if among.subnet6 is None or wanted.address6 is not None or _same_number(among, address) not in owners:
            return address
    raise NoRoom(f"subnet {among.subnet} has no free address left")


def _same_number(among: AddressRange, address: IPv4Address) -> IPv6Address:
    assert among.subnet6 is not None
    return among.subnet6[int(address) - int(among.subnet.network_address)]
