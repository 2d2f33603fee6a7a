"""Relays: links that lead copies of what the gateways of one room send into another room's networks.

A relay is a pair of links with an end in each of two namespaces. It goes with either of them, and ports look which
relays are there: nothing has to be taken away.
"""

import os

from weft.fabric.records.network import NetworkRecord
from weft.fabric.room import Room
from weft.model.errors import Unavailable
from weft.model.wiring import BYPASS_SLOT, AddFilter, FilterKind
from weft.plan.linknames import relay_end_name, relay_name


def check_relays(room: Room) -> None:
    """Raises Unavailable where rooms cannot have links to each other."""
    if room.site.namespace.rootless:
        raise Unavailable(
            "rooms of an ordinary user cannot have links to each other", hint="the daemon has to be root's"
        )


async def open_relays(source: Room, target: Room) -> None:
    """From now on networks of `target` get copies of what comes from outside to those of `source`."""
    for network in source.site.shelves.networks:
        if network.has_gateway_port:
            await _open_relay(source, target, network)


async def _open_relay(source: Room, target: Room, network: NetworkRecord) -> None:
    near, far = relay_name(network.slot, target.site.block), relay_end_name(network.slot)
    alias = f"weft relay of {network.name} to room {target.site.room}"
    namespace = await target.site.namespace.open("/proc/self/ns/net")
    try:
        mtu = network.spec.mtu
        await source.site.links.create_relay(near, far, namespace=namespace, mtu=mtu, alias=alias)
    finally:
        os.close(namespace)
    await target.site.links.settle_relay(far, alias=alias)
    await target.site.links.apply_filters([AddFilter(far, BYPASS_SLOT, FilterKind.REDIRECT, network.ends.patch)])
    shelf = source.site.shelves.networks
    relays = (*(relay for relay in network.relays if relay != near), near)
    await source.ports.splice_gateway(await shelf.save(shelf.get(network.name).with_(relays=relays)))
