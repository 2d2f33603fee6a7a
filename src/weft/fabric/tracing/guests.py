"""Asking guests on the way of a packet what they have made of their NICs."""

import asyncio
from collections.abc import Iterable
from ipaddress import ip_interface

from weft.fabric.runs import Runs
from weft.guest.facts import NicFacts
from weft.model.errors import WeftError
from weft.plan.tracing.guests import SeenNic, SeenNics, find_guest_changes
from weft.plan.tracing.room import TracedRoom

_PATIENCE = 2.0
"""Seconds; a trace is not to wait for a guest that hangs."""


async def look_at_guests(runs: Runs, room: TracedRoom, names: Iterable[str]) -> list[str]:
    """What guests have made otherwise than they were given it. Those that do not answer say nothing."""
    machines = [room.machines[name] for name in names if name in room.machines]
    seen = await asyncio.gather(*(_ask(runs, machine.name) for machine in machines))
    told = zip(machines, seen, strict=True)
    return [change for machine, nics in told if nics is not None for change in find_guest_changes(machine, nics)]


async def _ask(runs: Runs, name: str) -> SeenNics | None:
    try:
        facts = await runs.agent(name).facts(timeout=_PATIENCE)
        return {nic.name: _see(nic) for nic in facts.nics.values()}
    except (WeftError, ValueError):  # a guest may call anything an address
        return None


def _see(nic: NicFacts) -> SeenNic:
    return SeenNic(nic.up, tuple(ip_interface(address).ip for address in nic.addresses))
