"""Networks: bridges in the fabric's namespace, their names and their way out."""

from weft.fabric.records import NetworkRecord, Stamp
from weft.fabric.site import Site
from weft.host.dns import DnsServer, Name
from weft.model.errors import Exists, NotFound, WrongState
from weft.model.network import Member, NetworkSpec, NetworkView
from weft.plan.address import plan_subnet

DEFAULT_NETWORK = "default"
"""What a machine gets that names no network; made when the first one needs it."""


class Networks:
    """The networks of a fabric."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shelf = site.shelves.networks

    async def create(self, spec: NetworkSpec) -> NetworkRecord:
        """Make a network. Raises Exists, Invalid (overlap), NoRoom, Unavailable (no uplink to be had)."""
        if self._shelf.find(spec.name):
            raise Exists(f"network {spec.name!r} exists already")
        subnet = plan_subnet(spec.subnet, [record.subnet for record in self._shelf])
        slots = {record.slot for record in self._shelf}
        slot = next(number for number in range(1, 10_000) if number not in slots)
        record = NetworkRecord(
            spec=spec.model_copy(update={"subnet": subnet}), slot=slot, created=self._site.clock()
        )
        await self._shelf.save(record)
        try:
            await self.restore(record)
        except BaseException:
            await self._take_down(record)
            raise
        self._site.events.publish("network.created", spec.name, f"network {spec.name} is {subnet}")
        return self._shelf.get(spec.name)

    async def ensure_default(self) -> None:
        """Make the default network unless it is there."""
        if self._shelf.find(DEFAULT_NETWORK) is None:
            await self.create(NetworkSpec(name=DEFAULT_NETWORK))

    async def remove(self, name: str) -> None:
        """Take a network away. Raises NotFound, or WrongState while machines are on it."""
        record = self._shelf.get(name)
        members = [member.machine for member in self._members(record)]
        if members:
            raise WrongState(f"network {name!r} has machines: {', '.join(members)}", hint="remove them first")
        await self._shelf.save(record.with_(removing=True))
        await self._take_down(record)
        self._site.events.publish("network.removed", name, f"network {name} removed")

    async def restore(self, record: NetworkRecord) -> None:
        """Make whatever of a network is not there: bridge, name server, way out."""
        if record.bridge not in await self._site.links.list_links():
            address = f"{record.gateway}/{record.subnet.prefixlen}"
            alias = f"weft network {record.name}"
            await self._site.links.create_bridge(record.bridge, mtu=record.spec.mtu, alias=alias, address=address)
        await self._site.uplink.apply(self._routes())
        server = self._server(record)
        if record.dns is None or not record.dns.id.alive():
            async def remember(process):
                await self._shelf.save(self._shelf.get(record.name).with_(dns=Stamp.of(process)))
            await server.start(self._names(record), remember)

    async def tell_names(self, name: str) -> None:
        """Machines came or went: the network's name server reads its names again."""
        record = self._shelf.find(name)
        if record is not None and record.dns is not None:
            await self._server(record).update(record.dns.id, self._names(record))

    def view(self, record: NetworkRecord) -> NetworkView:
        """A network as it is shown."""
        return NetworkView(
            name=record.name,
            subnet=str(record.subnet),
            gateway=str(record.gateway),
            mtu=record.spec.mtu,
            uplink=record.spec.uplink,
            created=record.created,
            members=self._members(record),
        )
