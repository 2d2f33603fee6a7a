"""Where an appliance stands: what its programs and its settings' checks are told of the networks around it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Stance(StrEnum):
    """How an appliance meets traffic.

    `router`: a machine with a NIC on each of its networks. `bridge`: an inline insert, frames cross it. `gateway`: an
    insert of mode `routed`, which has the address of what it stands in front of. `listener`: it gets copies.
    """

    ROUTER = "router"
    BRIDGE = "bridge"
    GATEWAY = "gateway"
    LISTENER = "listener"


class Zone(BaseModel):
    """One side of an appliance: what is reached by one of its NICs.

    It is called as its network is; an insert's sides are `network` and `machine`, those of one at a network's gateway
    are the network's name and `uplink`. `addresses` are the NIC's own, like `10.0.0.1/24`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    nic: str = Field(description="the NIC's name in the guest, like eth0")
    mac: str
    addresses: tuple[str, ...] = ()
    subnets: tuple[str, ...] = Field(default=(), description="the network's ranges")
    uplink: bool = Field(default=False, description="the outside is reached by it")
    mtu: int = 1500


class Neighbour(BaseModel):
    """A machine that is reached by a zone without asking for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: str
    name: str
    address: str
    mac: str


class Place(BaseModel):
    """Where an appliance stands. Machines find it as `/run/weft/place.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stance: Stance
    zones: tuple[Zone, ...] = ()
    gateway: str | None = Field(default=None, description="the next hop towards the outside")
    gateway_mac: str | None = Field(default=None, description="of a next hop that cannot be asked for")
    resolvers: tuple[str, ...] = Field(default=(), description="name servers to ask for other names")
    neighbours: tuple[Neighbour, ...] = ()
    since: float | None = Field(default=None, description="of an insert: when it was put there, since the epoch")

    def find_zone(self, name: str) -> Zone | None:
        """The zone of this name."""
        return next((zone for zone in self.zones if zone.name == name), None)
