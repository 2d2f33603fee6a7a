"""What the store remembers of a network."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from weft.fabric.records.record import Record
from weft.model.network import NetworkSpec
from weft.plan.address import gateway_of, plan_address_behind, plan_gateway_mac
from weft.plan.linknames import bridge_name, gateway_far_name, gateway_name, gateway_patch_name
from weft.plan.splice import Ends


class NetworkRecord(Record):
    """A network; its spec always has a subnet. `relays`: links that lead copies of what its gateway sends to rooms that
    shadow this one. `silent`: it is in such a room, and its gateway refuses nothing."""

    spec: NetworkSpec
    slot: int
    created: float
    removing: bool = False
    relays: tuple[str, ...] = ()
    silent: bool = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def subnet(self) -> IPv4Network:
        assert self.spec.subnet is not None, "a network is recorded with its subnet"
        return self.spec.subnet

    @property
    def gateway(self) -> IPv4Address:
        return gateway_of(self.subnet)

    @property
    def subnet6(self) -> IPv6Network | None:
        return self.spec.subnet6

    @property
    def gateway6(self) -> IPv6Address | None:
        """None also where the fabric is the gateway: it has no IPv6."""
        return self.subnet6[1] if self.subnet6 is not None and self.spec.gateway is not None else None

    @property
    def bridge(self) -> str:
        return bridge_name(self.slot)

    @property
    def gateway_link(self) -> str:
        """The link with the gateway's address, where the fabric is the gateway."""
        return gateway_name(self.slot)

    @property
    def gateway_mac(self) -> str:
        """That link's hardware address."""
        return plan_gateway_mac(self.name, self.slot)

    @property
    def behind(self) -> IPv4Address:
        """What has taken over the gateway's address has this one towards the fabric."""
        return plan_address_behind(self.slot)

    @property
    def has_gateway_port(self) -> bool:
        """Whether the fabric is the gateway, and not a machine."""
        return self.spec.gateway is None

    @property
    def ends(self) -> Ends:
        """The two links that the gateway's port joins."""
        return Ends(gateway_patch_name(self.slot), gateway_far_name(self.slot))
