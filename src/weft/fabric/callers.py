"""Who may call what is served at the gateways of a room: a set of its ruleset, kept as its machines are on record."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.nft import load_ruleset
from weft.host.nft_elements import change_elements
from weft.model.elements import ElementChanges
from weft.model.errors import Internal
from weft.plan.callers import Caller, GatewayPort, plan_caller_changes
from weft.plan.ruleset import TABLE

Plan = Callable[[Collection[Caller]], str]
"""Makes the whole ruleset with the callers that there are."""


class Callers:
    """The set, and what is known to be in it. `wants`: which machines are heard at which port. `on_sync`: told
    when the set is what the records say."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = asyncio.Lock()
        self._plan: Plan | None = None
        self._loaded: frozenset[Caller] | None = None
        self.wants: dict[GatewayPort, Callable[[MachineRecord], bool]] = {}
        self.on_sync: list[Callable[[], Awaitable[None]]] = []

    async def load(self, plan: Plan) -> None:
        """Load the whole ruleset, whatever is there. Raises Unavailable, Internal (nft refuses)."""
        async with self._lock:
            self._plan = plan
            await self._load(plan)
        await self._tell()

    async def sync(self) -> None:
        """Make the set what the records say. Without a ruleset there is none yet, and nobody is heard."""
        async with self._lock:
            if self._plan is None:
                return
            wanted = frozenset(self.find_callers())
            if self._loaded is None:
                await self._load(self._plan)
            elif changes := plan_caller_changes(self._loaded, wanted):
                await self._change(changes, wanted, self._plan)
        await self._tell()

    def find_callers(self) -> Iterator[Caller]:
        """All there are. A NIC that is not held to its addresses could be anybody, and is not heard."""
        networks = {network.name: network for network in self._site.shelves.networks if network.has_gateway_port}
        for machine in self._site.shelves.machines:
            ports = [port for port, wants in self.wants.items() if not machine.removing and wants(machine)]
            for nic in machine.nics if ports else ():
                network = networks.get(nic.network) if nic.network and nic.pinned else None
                if network is not None and nic.address is not None:
                    link, own = network.gateway_link, nic.address
                    yield from (Caller(link, address, port) for port in ports for address in port.addresses(own))

    async def _change(self, changes: ElementChanges, wanted: frozenset[Caller], plan: Plan) -> None:
        self._loaded = None  # one that is cut off may have been made or not
        try:
            await change_elements(self._site.namespace, TABLE, changes)
        except Internal:  # somebody has been at the ruleset
            await self._load(plan)
        self._loaded = wanted

    async def _load(self, plan: Plan) -> None:
        self._loaded, wanted = None, frozenset(self.find_callers())
        await load_ruleset(self._site.namespace, plan(wanted))
        self._loaded = wanted

    async def _tell(self) -> None:
        for hook in self.on_sync:
            await hook()
