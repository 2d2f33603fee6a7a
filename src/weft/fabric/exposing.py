"""The file tree for machines that were given it: at the gateways of their networks, who calls is known by its address.

The daemon listens, and what it hears is for `Receive` to answer: the tree is a face of the fabric, and not its own.
"""

import asyncio
import logging
import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.host.gateway_listener import listen_inside
from weft.model.errors import WeftError
from weft.model.expose import Visit
from weft.model.machine import MachineSpec, NicSpec
from weft.plan.callers import GatewayPort
from weft.plan.exposing import ServedNetwork, check_exposed, is_heard

log = logging.getLogger(__name__)

MOST = 4
"""Connections of one machine at a time."""
_BREATH = 0.5
"""Seconds until a host that is out of descriptors is asked again."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A connection: where it came from, and what that gave it."""

    network: str
    address: IPv4Address
    visits: tuple[Visit, ...]


class Exposing:
    """Listens at the gateways behind which somebody has a part of the tree."""

    def __init__(self, site: Site, ports: Ports) -> None:
        self._site = site
        self._lock = asyncio.Lock()
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._heard: dict[asyncio.Task[None], Heard] = {}
        ports.callers.wants[GatewayPort.TREE] = lambda machine: bool(machine.spec.expose)
        ports.callers.on_sync.append(self.sync)

    def check(self, spec: MachineSpec, nics: Sequence[NicSpec]) -> None:
        """Whether a machine can have what it is to be given, and could not pass for another. Raises Invalid."""
        check_exposed(spec, nics, self._look())

    async def sync(self) -> None:
        """Listen where somebody may call, and hang up on everybody who may not any more."""
        async with self._lock:
            wanted = self._find_gateways()
            for name in self._listening.keys() - wanted.keys():
                await _end(self._listening.pop(name))
            for name in wanted.keys() - self._listening.keys():
                await self._listen(wanted[name])
        for task, heard in list(self._heard.items()):
            if self._find(heard.network, heard.address) != heard.visits:
                task.cancel()

    async def on_end(self, machine: MachineRecord) -> None:
        """Nobody is at the other end of its connections any more."""
        for task, heard in list(self._heard.items()):
            if heard.visits[0].machine == machine.name:
                task.cancel()

    def _look(self) -> Mapping[str, ServedNetwork]:
        free, heard = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for machine in self._site.shelves.machines:
            for number, nic in enumerate(machine.nics):
                if nic.network is not None and not nic.pinned:
                    free[nic.network].add(machine.name)
                if nic.network is not None and is_heard(machine.spec, number):
                    heard[nic.network].add(machine.name)
        return {
            network.name: ServedNetwork(network.spec.gateway, free[network.name], heard[network.name])
            for network in self._site.shelves.networks
        }

    def _find_gateways(self) -> Mapping[str, NetworkRecord]:
        heard = {nic.network for machine in self._site.shelves.machines if machine.spec.expose for nic in machine.nics}
        networks = [network for network in self._site.shelves.networks if network.name in heard]
        return {network.name: network for network in networks if network.has_gateway_port and not network.removing}

    def _find(self, network: str, address: IPv4Address) -> tuple[Visit, ...]:
        """What whoever has this address was given; nothing, as long as anybody else could have it."""
        served = self._look().get(network)
        if served is None or served.free:
            return ()
        for machine in self._site.shelves.machines:
            if not machine.removing and any(nic.network == network and nic.address == address for nic in machine.nics):
                return tuple(Visit(self._site.room, machine.name, given) for given in machine.spec.expose)
        return ()

    async def _listen(self, network: NetworkRecord) -> None:
        try:
            sock = await listen_inside(self._site.namespace, str(network.gateway), GatewayPort.TREE)
        except WeftError as err:
            log.warning("the file tree is not served on network %s: %s", network.name, err)
            return
        work = self._accept(network.name, sock)
        self._listening[network.name] = self._site.tasks.start(work, f"tree-of-{network.name}")

    async def _accept(self, network: str, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with sock:
            while True:
                try:
                    connection, (address, _) = await loop.sock_accept(sock)
                except OSError as err:
                    log.warning("nobody is heard on network %s: %s", network, err)
                    await asyncio.sleep(_BREATH)
                    continue
                self._take(connection, network, IPv4Address(address))

    def _take(self, connection: socket.socket, network: str, address: IPv4Address) -> None:
        """Hear whoever calls, or hang up."""
        heard = Heard(network, address, self._find(network, address))
        if not heard.visits or self._count(heard.visits[0].machine) >= MOST:
            connection.close()
            return
        work = self._site.receive(connection, heard.visits)
        task = self._site.tasks.start(work, f"visit-{heard.visits[0].machine}")
        self._heard[task] = heard
        task.add_done_callback(self._heard.pop)
        task.add_done_callback(lambda _: connection.close())  # also when it was hung up on before it began

    def _count(self, machine: str) -> int:
        return sum(heard.visits[0].machine == machine for heard in self._heard.values())


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
