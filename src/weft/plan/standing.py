"""Where machines with NICs on networks stand, and what takes over a gateway, be they there already or not. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from weft.model.place import Neighbour, Place, Stance, Zone
from weft.plan.address import UPSTREAM, gateway_of
from weft.plan.place_files import name_zones

OUTSIDE = "uplink"
"""The zone behind an insert at a network's gateway; the one before it is called as the network is."""


@dataclass(frozen=True, slots=True)
class Joint:
    """One of its NICs, by number, on a network. `gateway`: the network's; `is_own`: that is the machine itself."""

    number: int
    network: str
    mac: str
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]
    mtu: int
    gateway: str
    is_own: bool


def zones_of(joints: Sequence[Joint]) -> list[str]:
    """What its zones are called, in order."""
    return name_zones([joint.network for joint in joints])


def place_router(joints: Sequence[Joint], resolvers: Iterable[str], neighbours: Iterable[Neighbour]) -> Place:
    """Its place. The outside is reached by the first NIC on a network of which it is not the gateway itself."""
    out = next((joint for joint in joints if not joint.is_own), None)
    zones = tuple(
        Zone(
            name=name,
            nic=f"eth{joint.number}",
            mac=joint.mac,
            addresses=joint.addresses,
            subnets=joint.subnets,
            uplink=joint is out,
            mtu=joint.mtu,
        )
        for name, joint in zip(zones_of(joints), joints, strict=True)
    )
    return Place(
        stance=Stance.ROUTER,
        zones=zones,
        gateway=out.gateway if out else None,
        resolvers=tuple(resolvers),
        neighbours=tuple(neighbours),
    )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A network's gateway that is taken over. `behind`: who does so is called that by the fabric."""

    network: str
    mac: str
    subnet: IPv4Network
    behind: IPv4Address
    mtu: int


def place_gateway(taken: Gateway, resolvers: Iterable[str], neighbours: Iterable[Neighbour]) -> Place:
    """The place of an insert that is the gateway for the network's machines, and behind it for the fabric.

    Both of its NICs have the gateway's hardware address: machines know it already, and to the fabric every appliance
    that stands here is the same. What it is to ask the gateway for, it asks the fabric for.
    """
    inside, outside = name_zones([taken.network, OUTSIDE])
    gateway, mac, mtu = str(gateway_of(taken.subnet)), taken.mac, taken.mtu
    address, subnet = f"{gateway}/{taken.subnet.prefixlen}", str(taken.subnet)
    lan = Zone(name=inside, nic="eth0", mac=mac, addresses=(address,), subnets=(subnet,), mtu=mtu)
    uplink = Zone(name=outside, nic="eth1", mac=mac, addresses=(f"{taken.behind}/32",), uplink=True, mtu=mtu)
    return Place(
        stance=Stance.GATEWAY,
        zones=(lan, uplink),
        gateway=str(UPSTREAM),
        gateway_mac=mac,
        resolvers=tuple(str(UPSTREAM) if server == gateway else server for server in resolvers),
        neighbours=tuple(neighbours),
    )
