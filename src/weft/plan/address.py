"""Which subnet a network gets, and which address a machine."""

import hashlib
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network

from weft.model.errors import Invalid, NoRoom

UPSTREAM = IPv4Address("169.254.87.1")
"""What the fabric is called, on the gateway's link of each network, by an appliance that has the gateway's address."""

POOL = IPv4Network("10.87.0.0/16")
"""Subnets for networks that name none: /24 each. Chosen away from the ranges that home routers and Docker use."""


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


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """The fabric's own address on a network: the first one."""
    return subnet.network_address + 1


def plan_gateway_mac(network: str, slot: int) -> str:
    """The gateway's hardware address: locally administered, and the same as long as there is the network.

    It is what the bridge of such a network had when that was the gateway itself, so nobody has to learn another.
    """
    digest = hashlib.sha256(f"weft network {network}/n{slot}".encode()).digest()
    return (b"\x02" + digest[:5]).hex(":")


def plan_address(subnet: IPv4Network, taken: Iterable[IPv4Address]) -> IPv4Address:
    """The lowest free address behind the gateway's. Raises NoRoom when the subnet is full."""
    used = set(taken) | {gateway_of(subnet)}
    for address in subnet.hosts():
        if address not in used:
            return address
    raise NoRoom(f"subnet {subnet} has no free address left")
