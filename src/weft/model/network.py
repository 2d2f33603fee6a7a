"""Networks: one layer-2 segment with an address range."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from pydantic import BaseModel, Field, field_validator, model_validator

from weft.model.errors import Invalid
from weft.model.machine import Spec
from weft.model.names import DEFAULT_ROOM, parse_name

MIN_MTU, MAX_MTU = 576, 9216
SPECIAL = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
"""Addresses that no machine can have, or that mean something else to every host (RFC 6890); multicast and above."""
SPECIAL6 = tuple(map(IPv6Network, ("::/8", "fe80::/10", "fec0::/10", "ff00::/8")))
"""The same of IPv6: mapped and local ones; link-local addresses a machine has anyway."""
MAX_DNS = 8


class NetworkSpec(Spec):
    """What a user asks a network to be. No subnet: the fabric picks a free one.

    The gateway has the first address. It is the fabric, or the machine named by `gateway`, which need not exist yet.
    """

    name: str
    subnet: IPv4Network | None = None
    subnet6: IPv6Network | None = Field(default=None, description="machines have addresses of it too")
    mtu: int = Field(default=1500, ge=MIN_MTU, le=MAX_MTU)
    uplink: bool = False
    gateway: str | None = Field(default=None, description="the machine that is it; None: the fabric")
    dns: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_DNS,
        description="name servers of its machines: addresses, or machines of it; none: the gateway",
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return parse_name(name, "network")

    @field_validator("gateway")
    @classmethod
    def _check_gateway(cls, gateway: str | None) -> str | None:
        return gateway if gateway is None else parse_name(gateway, "machine")

    @model_validator(mode="after")
    def _check_way_out(self) -> "NetworkSpec":
        if self.uplink and self.gateway is not None:
            raise Invalid(f"network {self.name!r}: the way out leads through the fabric, so no machine is its gateway")
        return self

    @field_validator("subnet")
    @classmethod
    def _check_subnet(cls, subnet: IPv4Network | None) -> IPv4Network | None:
        if subnet is not None and not 8 <= subnet.prefixlen <= 29:
            raise Invalid(f"subnet {subnet}: the prefix must be between /8 and /29")
        if subnet is not None and any(subnet.overlaps(special) for special in SPECIAL):
            raise Invalid(f"subnet {subnet} has addresses that machines cannot have", hint="take one like 10.1.2.0/24")
        return subnet

    @field_validator("subnet6")
    @classmethod
    def _check_subnet6(cls, subnet: IPv6Network | None) -> IPv6Network | None:
        if subnet is not None and not 16 <= subnet.prefixlen <= 124:
            raise Invalid(f"subnet {subnet}: the prefix must be between /16 and /124")
        if subnet is not None and any(subnet.overlaps(special) for special in SPECIAL6):
            raise Invalid(f"subnet {subnet} has addresses that machines cannot have", hint="take one like fd00:1::/64")
        return subnet

    @field_validator("dns")
    @classmethod
    def _check_dns(cls, dns: tuple[str, ...]) -> tuple[str, ...]:
        for entry in dns:
            if find_address(entry) is None:
                parse_name(entry, "machine")
        return dns


def find_address(text: str) -> IPv4Address | IPv6Address | None:
    """What the text is an address of, if it is one."""
    try:
        return ip_address(text)
    except ValueError:
        return None


class Member(BaseModel):
    """One machine's place on a network."""

    machine: str
    nic: int
    address: str
    address6: str | None = None
    mac: str


class NetworkView(BaseModel):
    """A network as `weft network ls` and `inspect` show it."""

    name: str
    room: str = DEFAULT_ROOM
    subnet: str
    subnet6: str | None = None
    gateway: str
    gateway_machine: str | None = Field(default=None, description="the machine that has it; None: the fabric")
    dns: list[str] = Field(default_factory=list)
    mtu: int
    uplink: bool
    created: float
    members: list[Member] = Field(default_factory=list)
