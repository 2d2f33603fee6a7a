"""Telling of machines that send what is not their own. The frames are dropped anyway; see `pins`."""

import asyncio
import logging
from collections.abc import Mapping

from weft.fabric.pins import Pins
from weft.fabric.site import Site
from weft.model.errors import WeftError
from weft.plan.forgeries import Counts, Ledger, describe
from weft.plan.linknames import bridge_side_name, gateway_bridge_side_name

log = logging.getLogger(__name__)

LOOK = 10.0
"""Seconds between two looks at the counters of a room."""


async def watch_forgeries(site: Site, pins: Pins) -> None:
    """Look at what the ports of a room have dropped and publish what is new, for ever."""
    ledger = Ledger()
    while True:
        await asyncio.sleep(LOOK)
        if any(machine.state.is_live for machine in site.shelves.machines):
            try:
                news = ledger.take(await pins.count_forged(), site.clock())
            except WeftError as err:
                log.warning("nobody counts what ports drop: %s", err)
            else:
                publish_forgeries(site, news)


def publish_forgeries(site: Site, news: Mapping[str, Counts]) -> None:
    """An event for each port."""
    for machine in site.shelves.machines:
        for number in range(len(machine.nics)):
            if counts := news.get(bridge_side_name(machine.slot, number)):
                _publish(site, machine.name, machine.name, counts, nic=number)
    for network in site.shelves.networks:
        if counts := news.get(gateway_bridge_side_name(network.slot)):
            _publish(site, network.name, f"the gateway of {network.name}", counts, nic=None)


def _publish(site: Site, subject: str, who: str, counts: Counts, nic: int | None) -> None:
    forged = {kind.name.lower(): number for kind, number in counts.items()}
    site.events.publish("port.spoofed", subject, f"{who} sent {describe(counts)}: dropped", nic=nic, forged=forged)
