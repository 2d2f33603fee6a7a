"""Holding machines to what they may send and receive: a table of a room, kept as its machines are on record."""

import asyncio
import logging

from weft.fabric.site import Site
from weft.host.nft import load_ruleset
from weft.model.errors import WeftError
from weft.plan.linknames import bridge_side_name
from weft.plan.net_limits import NOTHING, LimitedMachine, plan_net_limits

log = logging.getLogger(__name__)


class NetLimits:
    """The table, and what is known to be in it. `reason`: why it does not hold, if the kernel does not take it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = asyncio.Lock()
        self._loaded: str | None = NOTHING
        self.reason = ""

    async def load(self) -> None:
        """Load the whole table, whatever is there."""
        self._loaded = None
        await self.sync()

    async def sync(self) -> None:
        """Make the table what the records say. A kernel that cannot have it holds up nothing: see `reason`."""
        async with self._lock:
            wanted = plan_net_limits(_find_limited(self._site))
            if wanted == self._loaded:
                return
            self._loaded = None
            try:
                await load_ruleset(self._site.namespace, wanted)
            except WeftError as err:
                if err.message != self.reason:
                    log.warning("limits of NICs do not hold: %s", err)
                self.reason = err.message
                return
            self._loaded, self.reason = wanted, ""


def _find_limited(site: Site) -> list[LimitedMachine]:
    return [
        LimitedMachine(
            machine.slot,
            tuple(bridge_side_name(machine.slot, number) for number, nic in enumerate(machine.nics) if nic.network),
            machine.spec.limits,
        )
        for machine in site.shelves.machines
        if machine.spec.limits is not None
    ]
