"""What is done when a machine's run is over: the host is tidied, the end is put on record, and others are told."""

import asyncio

from weft.fabric.endings import end_of_run, leftovers, remove_group, remove_moment, remove_sockets
from weft.fabric.hooks import Hooks
from weft.fabric.moments.waking import mend
from weft.fabric.published import Publishing
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.pids import stop_processes
from weft.model.machine import Exit, State


class Settling:
    """Settles runs of machines that are over."""

    def __init__(self, site: Site, publishing: Publishing, hooks: Hooks) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._publishing = publishing
        self._hooks = hooks

    async def settle(self, machine: MachineRecord, exit: Exit) -> MachineRecord:
        """A run is over, or never came to be: tidy up what it had on the host, and say so."""
        machine = await self.tidy(machine)
        machine = self._shelf.find(machine.name) or machine  # its spec may have been changed meanwhile
        machine = await self._shelf.save(end_of_run(machine, exit))
        what = "suspended" if machine.state is State.SUSPENDED else "ended"
        text = f"machine {machine.name} {what}: {machine.reason}".removesuffix(": ")
        self._site.events.publish(f"machine.{what}", machine.name, text)
        return machine

    async def tidy(self, machine: MachineRecord) -> MachineRecord:
        """Take away what a run had on the host."""
        await self._publishing.close(machine)
        group = self._site.cgroups.group(machine.group_name)
        await stop_processes(leftovers(machine, group.pids()), term_for=0)
        await remove_group(group)
        for hook in self._hooks.on_tidy:
            await hook(machine)
        machine = await mend(self._site, machine)
        remove_sockets(self._site.layout.machine(machine.name))
        return machine

    async def forget_moment(self, name: str) -> None:
        """What a machine was suspended with is void."""
        await asyncio.to_thread(remove_moment, self._site.layout.machine(name))

    async def tell_end(self, machine: MachineRecord) -> None:
        """Tell whoever waits for the ends of runs."""
        for hook in self._hooks.on_end:
            await hook(machine)
