"""Porters: one at each gateway behind which somebody has a root, as long as somebody has."""

import asyncio
import shutil
from collections import defaultdict
from pathlib import Path

from weft.fabric.records.network import NetworkRecord
from weft.fabric.reviving import Reviving
from weft.fabric.site import FORWARDERS, Site
from weft.host.gateway_listener import listen_inside
from weft.host.records import is_of
from weft.host.root_server import start_porter
from weft.host.servants import Servant, end_servant, find_servant
from weft.plan.callers import GatewayPort


class Porters:
    """The porters of a room. They outlive the daemon, and the next one takes them over."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reviving = Reviving(site.tasks, "porter", self._locks, self._revive)

    def door(self, network: str, address: str) -> Path:
        """Where the server of whoever has this address is handed connections."""
        return self._doors(network) / address

    async def ensure(self, network: NetworkRecord) -> None:
        """Have one at this gateway, in this very namespace. Raises Unavailable."""
        async with self._locks[network.name]:
            await self._settle(network)

    async def release(self, network: str) -> None:
        """Somebody's server is gone; the last one's porter goes, too."""
        async with self._locks[network]:
            if self._is_wanted(network):
                return
            self._reviving.leave(network)
            await end_servant(self._record(network))
            shutil.rmtree(self._doors(network).parent, ignore_errors=True)

    async def _settle(self, network: NetworkRecord) -> None:
        record = self._record(network.name)
        porter = find_servant(record) if is_of(record, self._site.namespace.mark) else None
        if porter is None:
            await end_servant(record)
            porter = await self._start(network)
        self._reviving.watch(network.name, [porter])

    async def _start(self, network: NetworkRecord) -> Servant:
        folder, identity = self._doors(network.name), self._site.identity(FORWARDERS)
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.chmod(0o755)
        with await listen_inside(self._site.namespace, str(network.gateway), GatewayPort.ROOT) as listener:
            return start_porter(
                self._site.namespace,
                self._record(network.name),
                listener,
                folder,
                identity,
                self._site.service_doors(),
            )

    async def _revive(self, name: str) -> None:
        """Somebody has ended one: connections that it has handed on do not notice."""
        async with self._locks[name]:
            network = self._site.shelves.networks.find(name)
            if network is not None and self._is_wanted(name):
                await self._settle(network)

    def _is_wanted(self, network: str) -> bool:
        """Whether somebody has a server there."""
        folder = self._doors(network)
        return folder.is_dir() and any(folder.iterdir())

    def _doors(self, network: str) -> Path:
        return self._site.layout.run / "roots" / network / "doors"

    def _record(self, network: str) -> Path:
        return self._doors(network).parent / "porter.json"
