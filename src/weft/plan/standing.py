"""Where a machine stands that has a NIC on each of some networks, be it there already or not. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weft.model.place import Neighbour, Place, Stance, Zone
from weft.plan.place_files import name_zones


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
