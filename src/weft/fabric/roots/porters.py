"""Porters: one at each gateway behind which somebody has a root, as long as somebody has."""

import asyncio
import logging
import shutil
from collections import defaultdict
from pathlib import Path

from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import FORWARDERS, Site
from weft.host.gateway_listener import listen_inside
from weft.host.records import is_of
from weft.host.root_server import start_porter
from weft.host.servants import Servant, end_servant, find_servant
from weft.model.errors import WeftError
from weft.plan.callers import GatewayPort

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before one that somebody ended is started again, where that did not succeed at once."""


class Porters:
    """The porters of a room. They outlive the daemon, and the next one takes them over."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._keeping: dict[str, asyncio.Task[None]] = {}

    def door(self, network: str, address: str) -> Path:
        """Where the server of whoever has this address is handed connections."""
        return self._doors(network) / address

    async def ensure(self, network: NetworkRecord) -> None:
        """Have one at this gateway, in this very namespace. Raises Unavailable."""
        async with self._locks[network.name]:
            record = self._record(network.name)
            porter = find_servant(record) if is_of(record, self._site.namespace.mark) else None
            if porter is None:
                await end_servant(record)
                porter = await self._start(network)
            elif network.name in self._keeping:
                return
            self._keep(network, porter)

    async def release(self, network: str) -> None:
        """Somebody's server is gone; the last one's porter goes, too."""
        async with self._locks[network]:
            if self._is_wanted(network):
                return
            if keeping := self._keeping.pop(network, None):
                keeping.cancel()
            await end_servant(self._record(network))
            shutil.rmtree(self._doors(network).parent, ignore_errors=True)

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

    def _keep(self, network: NetworkRecord, porter: Servant) -> None:
        work = self._replace(network, porter)
        self._keeping[network.name] = self._site.tasks.start(work, f"porter-{network.name}")

    async def _replace(self, network: NetworkRecord, porter: Servant) -> None:
        """Another one when somebody has ended this one: connections that it has handed on do not notice."""
        await porter.wait_end()
        del self._keeping[network.name]
        while self._is_wanted(network.name) and network.name not in self._keeping:
            try:
                await self.ensure(network)
            except WeftError as err:
                log.warning("roots of network %s: %s", network.name, err)
                await asyncio.sleep(RETRY)

    def _is_wanted(self, network: str) -> bool:
        """Whether somebody has a server there."""
        folder = self._doors(network)
        return folder.is_dir() and any(folder.iterdir())

    def _doors(self, network: str) -> Path:
        return self._site.layout.run / "roots" / network / "doors"

    def _record(self, network: str) -> Path:
        return self._doors(network).parent / "porter.json"
