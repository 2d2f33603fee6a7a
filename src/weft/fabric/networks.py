"""Networks: bridges in the fabric's namespace, their names and their way out."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from weft.fabric.ports import Ports
from weft.fabric.records.machine import NicRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.reviving import Reviving
from weft.fabric.site import MACHINE_SLOTS, NETWORK_SLOTS, Site, free_slot
from weft.host import dns, uplink
from weft.host.dns import Names, find_name_server, start_name_server
from weft.host.links import keep_whole
from weft.host.uplink import RESOLVER, find_uplink, set_forwarding, start_uplink
from weft.model.errors import Exists, WrongState
from weft.model.names import DEFAULT_NETWORK
from weft.model.network import Member, NetworkSpec, NetworkView
from weft.plan.address import check_subnet6, plan_subnet
from weft.plan.ruleset import RuledNetwork, plan_ruleset


class Networks:
    """The networks of a fabric."""

    def __init__(self, site: Site, ports: Ports) -> None:
        self._site = site
        self._ports = ports
        self._shelf = site.shelves.networks
        self._lock = asyncio.Lock()
        locks: Mapping[str, asyncio.Lock] = defaultdict(lambda: self._lock)
        self._names_reviving = Reviving(site.tasks, "name server", locks, self._revive_names)
        self._uplink_reviving = Reviving(site.tasks, "uplink", locks, self._revive_uplink)
        self.before_remove: Callable[[str], Awaitable[None]] = _leave_alone
        """Takes out what stands before a network's gateway."""

    async def create(self, spec: NetworkSpec) -> NetworkRecord:
        """Make a network. Raises Exists, Invalid (overlap), NoRoom, Unavailable (no uplink to be had)."""
        async with self._lock:
            return await self._create(spec)

    async def ensure_default(self) -> None:
        """Make the default network unless it is there."""
        async with self._lock:
            if self._shelf.find(DEFAULT_NETWORK) is None:
                await self._create(NetworkSpec(name=DEFAULT_NETWORK))

    async def change(self, spec: NetworkSpec) -> NetworkRecord:
        """Give a network another way out, or other name servers, which machines learn of at their next start.

        Raises NotFound, Unavailable (no uplink to be had; it is then as it was), WrongState for anything else: machines
        that are on it have it from their start.
        """
        async with self._lock:
            before = self._shelf.get(spec.name)
            same = {"uplink": before.spec.uplink, "dns": before.spec.dns}
            if spec.model_copy(update=same) != before.spec:
                raise WrongState(f"network {spec.name!r} has to be made anew for this", hint="remove it first")
            record = await self._shelf.save(before.with_(spec=spec))
            if spec.uplink == before.spec.uplink:
                return record
            try:
                await self._lead_out(record)
            except BaseException:
                await self._shelf.save(before)
                raise
        self._site.events.publish("network.changed", spec.name, f"network {spec.name} has another way out")
        return record

    async def _lead_out(self, record: NetworkRecord) -> None:
        """With or without an uplink: its name server asks another for what it does not know, or nobody."""
        await self._apply_routes()
        if server := find_name_server(self._site.layout.network(record.name)):
            await server.stop()
        await self._bring_up(record)

    async def remove(self, name: str) -> None:
        """Take a network away. Raises NotFound, or WrongState while machines are on it."""
        async with self._lock:
            record = self._shelf.get(name)
            machines = ", ".join(dict.fromkeys(member.machine for member in self._members(record)))
            if machines:
                raise WrongState(f"network {name!r} has machines: {machines}", hint="remove them first")
            record = await self._shelf.save(record.with_(removing=True))
            await self.before_remove(name)
            await self._take_down(record)
            await self._shelf.drop(name)
            await self._apply_routes()
            await self._ports.pins.sync()
            self.tell_names()
        self._site.events.publish("network.removed", name, f"network {name} removed")

    async def adopt(self) -> None:
        """Make whatever is missing of the networks on record, and finish removing those that were being removed."""
        for record in self._shelf:
            if record.removing:
                await self._take_down(record)
                await self._shelf.drop(record.name)
        if len(self._shelf):
            await self._apply_routes()
            await asyncio.gather(self._ports.pins.load(), self._ports.limits.load())
        await asyncio.gather(*(self._bring_up(record) for record in self._shelf))

    async def take_down_all(self) -> None:
        """Take everything away that runs or is wired for networks; they stay on record."""
        self._uplink_reviving.leave(self._site.room)
        async with self._lock:
            for record in self._shelf:
                self._names_reviving.leave(record.name)
                await self._take_down(record)
            if found := find_uplink(self._site.layout.run):
                await found.stop()

    def tell_names(self) -> None:
        """Machines or networks came or went: all name servers learn of it, since each knows the whole room."""
        names = self._names()
        for record in self._shelf:
            if server := find_name_server(self._site.layout.network(record.name)):
                server.set_names(record.name, names)

    def view(self, record: NetworkRecord) -> NetworkView:
        """A network as it is shown."""
        return NetworkView(
            name=record.name,
            room=self._site.room,
            subnet=str(record.subnet),
            subnet6=str(record.subnet6) if record.subnet6 else None,
            gateway=str(record.gateway),
            gateway_machine=record.spec.gateway,
            dns=list(record.spec.dns),
            mtu=record.spec.mtu,
            uplink=record.spec.uplink,
            created=record.created,
            members=self._members(record),
        )

    async def _create(self, spec: NetworkSpec) -> NetworkRecord:
        if self._shelf.find(spec.name):
            raise Exists(f"network {spec.name!r} exists already")
        subnet = plan_subnet(spec.subnet, [record.subnet for record in self._shelf])
        if spec.subnet6 is not None:
            check_subnet6(spec.subnet6, subnet, [record.subnet6 for record in self._shelf if record.subnet6])
        record = NetworkRecord(
            spec=spec.model_copy(update={"subnet": subnet}),
            slot=free_slot(NETWORK_SLOTS, (other.slot for other in self._shelf), "networks"),
            created=self._site.clock(),
        )
        await self._shelf.save(record)
        try:
            await self._apply_routes()
            await self._bring_up(record)
        except BaseException:
            await self._take_down(record)
            await self._shelf.drop(record.name)
            raise
        self.tell_names()
        self._site.events.publish("network.created", spec.name, f"network {spec.name} is {subnet}")
        return record

    async def _bring_up(self, record: NetworkRecord) -> None:
        """Bridge and name server, as far as they are missing."""
        alias = f"weft network {record.name}"
        if await keep_whole(self._site.links, await self._site.links.find_links([record.bridge]), record.bridge, alias):
            await self._site.links.settle_bridge(record.bridge)
        else:
            await self._site.links.create_bridge(record.bridge, mtu=record.spec.mtu, alias=alias)
        if not record.has_gateway_port:
            return
        await self._ports.attach_gateway(record)
        await self._serve_names(record)

    async def _serve_names(self, record: NetworkRecord) -> None:
        directory = self._site.layout.network(record.name)
        if dns.has_ended(directory, self._site.namespace):
            text = f"the name server of network {record.name} ended; another one is started"
            self._site.events.publish("network.names", record.name, text)
        server = await start_name_server(
            self._site.namespace,
            directory,
            network=record.name,
            gateway=str(record.gateway),
            names=self._names(),
            resolver=RESOLVER if record.spec.uplink else None,
            identity=self._site.identity(MACHINE_SLOTS.stop + record.slot),
            doors=self._site.service_doors(),
        )
        self._names_reviving.watch(record.name, [server.servant])

    async def _revive_names(self, name: str) -> None:
        async with self._lock:
            record = self._shelf.find(name)
            if record is not None and not record.removing and record.has_gateway_port:
                await self._serve_names(record)

    async def _take_down(self, record: NetworkRecord) -> None:
        if server := find_name_server(self._site.layout.network(record.name)):
            await server.stop()
        await self._ports.detach_gateway(record)
        if await self._site.links.find_links([record.bridge]):
            await self._site.links.delete_link(record.bridge)

    async def _apply_routes(self) -> None:
        """The rules for all networks; an uplink exactly while a network wants one."""
        wanted = [record for record in self._shelf if not record.removing]
        networks = [
            RuledNetwork(
                link=record.gateway_link,
                subnet=str(record.subnet),
                gateway=str(record.gateway),
                uplink=record.spec.uplink,
                behind=str(record.behind),
                silent=record.silent,
            )
            for record in wanted
            if record.has_gateway_port
        ]
        await self._ports.callers.load(lambda callers: plan_ruleset(networks, callers=callers))
        await self._lead(any(record.spec.uplink for record in wanted))

    async def _lead(self, is_wanted: bool) -> None:
        """Have an uplink, or have none."""
        site = self._site
        if is_wanted:
            if uplink.has_ended(site.layout.run, site.namespace):
                text = f"the uplink of room {site.room} ended; another one is started"
                site.events.publish("room.uplink", site.room, text)
            started = await start_uplink(site.namespace, site.layout.run, doors=site.service_doors())
            self._uplink_reviving.watch(site.room, [started])
        elif found := find_uplink(site.layout.run):
            await found.stop()
        await set_forwarding(site.namespace, is_wanted)

    async def _revive_uplink(self, _room: str) -> None:
        async with self._lock:
            await self._lead(any(record.spec.uplink for record in self._shelf if not record.removing))

    def _members(self, record: NetworkRecord) -> list[Member]:
        return [
            _view_member(machine.name, number, nic)
            for machine in self._site.shelves.machines
            for number, nic in enumerate(machine.nics)
            if nic.network == record.name
        ]

    def _names(self) -> Names:
        """Who is where in the room."""
        names: dict[str, dict[str, list[str]]] = {record.name: {} for record in self._shelf}
        for machine in self._site.shelves.machines:
            for nic in machine.nics:
                if nic.network in names:
                    names[nic.network].setdefault(machine.name, []).append(str(nic.address))
        return names


async def _leave_alone(_network: str) -> None:
    """Until somebody is there who knows of inserts."""


def _view_member(machine: str, number: int, nic: NicRecord) -> Member:
    address6 = str(nic.address6) if nic.address6 else None
    return Member(machine=machine, nic=number, address=str(nic.address), address6=address6, mac=nic.mac)
