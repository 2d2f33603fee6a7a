"""Holding machines to what they may take of the host beside processors and memory.

Which limit is whose to hold, and why, is in docs/decisions/0038-isolation.md.
"""

import logging

from weft.fabric.net_limits import NetLimits
from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.host.disk_limits import limit_disks
from weft.host.qemu import open_qmp
from weft.model.errors import WeftError
from weft.model.limits import NO_LIMITS
from weft.model.mount import MountKind

log = logging.getLogger(__name__)


class Limiting:
    """Limits of machines that run. Those of the network hold as long as a machine has links."""

    def __init__(self, site: Site, runs: Runs, network: NetLimits) -> None:
        self._site = site
        self._runs = runs
        self._network = network
        self._failed: dict[str, str] = {}

    async def begin(self, machine: MachineRecord) -> None:
        """A machine's QEMU runs from now on, or has been adopted. What does not hold is for `describe` to say."""
        limits = machine.spec.limits
        if limits is None:
            return
        try:
            self._weigh(machine)
            if limits.of_disks:
                await self._limit_disks(machine)
        except WeftError as err:
            log.warning("limits of machine %s: %s", machine.name, err)

    async def change(self, machine: MachineRecord) -> None:
        """It is to have what its record says from now on. Raises Unavailable, Internal; its next run has them then."""
        await self._network.sync()
        if not machine.state.is_live:
            return
        async with self._runs.kept_running(machine.name):
            self._weigh(machine)
            await self._limit_disks(machine)

    def describe(self, machine: MachineRecord) -> str:
        """How its limits are enforced, and which are not."""
        limits, found = machine.spec.limits or NO_LIMITS, [machine.limits]
        if limits.of_network and self._network.reason:
            found.append(f"network not enforced: {self._network.reason}")
        if limits.of_disks and (reason := self._failed.get(machine.name)) and machine.state.is_live:
            found.append(f"disks not enforced: {reason}")
        if limits.of_disks and any(mount.kind is MountKind.HOST for mount in machine.spec.mounts):
            found.append("folders of the host are not limited")
        return "; ".join(filter(None, found))

    def _weigh(self, machine: MachineRecord) -> None:
        self._site.cgroups.group(machine.group_name).set_weight((machine.spec.limits or NO_LIMITS).weight)

    async def _limit_disks(self, machine: MachineRecord) -> None:
        self._failed.pop(machine.name, None)
        try:
            qmp = await open_qmp(self._site.layout.machine(machine.name).qmp)
            try:
                await limit_disks(qmp, machine.spec.limits or NO_LIMITS)
            finally:
                await qmp.close()
        except WeftError as err:
            self._failed[machine.name] = err.message
            raise
