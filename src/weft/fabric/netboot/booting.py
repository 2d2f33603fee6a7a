"""The servers at gateways that machines boot from: there while such machines are, and told of them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Sequence

from weft.fabric.netboot.clients import asks, check_memory, check_place, describe_network, find_clients
from weft.fabric.netboot.files import remove_files
from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.reviving import Reviving
from weft.fabric.site import MACHINE_SLOTS, Site
from weft.host.netboot import FILES, HOSTS, OPTIONS, TOLD, BootServers, Told
from weft.model.errors import Unavailable, WeftError
from weft.model.machine import MachineSpec, NicSpec
from weft.plan.callers import GatewayPort
from weft.plan.netboot import BootClient, dump_hosts, dump_options, plan_dnsmasq

log = logging.getLogger(__name__)

_FILES = (GatewayPort.TFTP, GatewayPort.HTTP)


class NetBoot:
    """The servers of all networks of a room. They outlive the daemon, and the next one takes them over."""

    def __init__(self, site: Site, ports: Ports) -> None:
        self._site = site
        self._networks = site.shelves.networks
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reviving = Reviving(site.tasks, "boot servers", self._locks, self._revive)
        ports.callers.on_sync.append(self._withdraw)
        ports.callers.wants |= {GatewayPort.DHCP: asks} | dict.fromkeys(_FILES, lambda machine: machine.spec.pxe)

    def check(self, spec: MachineSpec, nics: Sequence[NicSpec]) -> None:
        """Whether a machine could boot from its first network, if it is to. Raises Invalid, NotFound."""
        check_place(self._site, spec, nics)
        check_memory(self._site, spec)

    async def serve(self, machine: MachineRecord) -> None:
        """See to it that there are servers for a machine that is about to start. Raises Unavailable."""
        if asks(machine):
            await self._settle_all({nic.network for nic in machine.nics})

    async def forget(self, name: str) -> None:
        """A machine is being removed: the servers go with the last one."""
        machine = self._site.shelves.machines.find(name)
        if machine is None or not asks(machine):
            return
        remove_files(self._site, machine)
        await self._settle_all({nic.network for nic in machine.nics})

    async def tidy(self, machine: MachineRecord) -> None:
        """A machine's run is over: what it has booted from goes."""
        remove_files(self._site, machine)

    async def _withdraw(self) -> None:
        """Machines are where the records say: where none is any more that asks, as when it has moved, servers go."""
        for network in self._networks:
            if self._site.layout.netboot(network.name).exists() and not any(find_clients(self._site, network)):
                await self._settle(network)

    async def adopt(self) -> None:
        """Make the servers what the records say. Those that cannot be started are tried again."""
        for network in self._networks:
            try:
                await self._settle(network)
            except Unavailable as err:
                log.warning("machines on network %s cannot boot from it: %s", network.name, err)

    async def stop(self) -> None:
        """End all servers; machines stay on record."""
        for network in self._networks:
            self._reviving.leave(network.name)
            async with self._locks[network.name]:
                await self._servers(network).stop()

    async def _settle_all(self, names: Collection[str | None]) -> None:
        for network in self._networks:
            if network.name in names:
                await self._settle(network)

    async def _revive(self, name: str) -> None:
        if network := self._networks.find(name):
            await self._settle(network)

    async def _settle(self, network: NetworkRecord) -> None:
        async with self._locks[network.name]:
            clients = list(find_clients(self._site, network))
            servers = self._servers(network)
            if not clients:
                await servers.stop()
                return
            for what in servers.lost:
                text = f"the server for {what} of network {network.name} ended; another one is started"
                self._site.events.publish("network.boot", network.name, text)
            try:
                await self._start(network, servers, clients)
            except WeftError:
                self._reviving.revive(network.name)
                raise
            self._reviving.watch(network.name, servers.servants)

    async def _start(self, network: NetworkRecord, servers: BootServers, clients: Collection[BootClient]) -> None:
        told = describe_network(self._site, network)
        options = plan_dnsmasq(told, TOLD / HOSTS, TOLD / OPTIONS, FILES)
        hands_out = any(one.file for one in clients)
        await servers.start(options, Told(dump_hosts(clients), dump_options(told, clients)), hands_out=hands_out)

    def _servers(self, network: NetworkRecord) -> BootServers:
        """They are who the network's name server is: whoever has the gateway's address."""
        site = self._site
        identity = site.identity(MACHINE_SLOTS.stop + network.slot)
        return BootServers(
            namespace=site.namespace,
            directory=site.layout.netboot(network.name),
            link=network.gateway_link,
            gateway=str(network.gateway),
            identity=identity,
            doors=site.service_doors(),
        )
