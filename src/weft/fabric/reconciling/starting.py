"""How many machines are started at once: a boot is work for one CPU, and what waits for a slow one is slow itself."""

import asyncio

from weft.host.facts import HostFacts

PER_CPU = 3
"""Boots at once for each CPU of the host. Each waits now and then, for its disk or for us, so one CPU has work for more
than one. Far more of them take no less time in all, and each takes longer, until some take longer than they may."""


def limit_boots(facts: HostFacts) -> asyncio.Semaphore:
    """What every boot of the fabric holds until its machine is ready."""
    return asyncio.Semaphore(PER_CPU * facts.cpus)
