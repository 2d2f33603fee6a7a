"""How many machines are started at once: a boot is work for one CPU, and what waits for a slow one is slow itself."""

import asyncio

from weft.host.facts import HostFacts

PER_CPU = 2
"""Boots at once for each CPU of the host. Each waits now and then, for its disk or for us, so one CPU has work for two.
Measured on two CPUs, 2, 3, 4 and 6 at once took the same time in all, as far as other work let one see; but the more of
them, the longer each takes, until some take longer than they may."""


def limit_boots(facts: HostFacts) -> asyncio.Semaphore:
    """What every boot of the fabric holds until its machine is ready."""
    return asyncio.Semaphore(PER_CPU * facts.cpus)
