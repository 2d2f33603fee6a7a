"""Taking over machines that an earlier daemon left behind in the middle of their lives."""

from weft.fabric.endings import UNSEEN, processes_of
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.moments.waking import mend, rouse
from weft.fabric.published import Publishing
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.pids import stop_processes, watch_exit
from weft.model.machine import Exit, State
from weft.model.template import ORIGIN


class Adopting:
    """Adopts machines that are on record as live, or as having a copy."""

    def __init__(self, site: Site, lifecycle: Lifecycle, publishing: Publishing) -> None:
        self._site = site
        self._lifecycle = lifecycle
        self._settling = lifecycle.settling
        self._publishing = publishing

    async def adopt(self, machine: MachineRecord, *, same_boot: bool) -> None:
        """Take over a machine that an earlier daemon left in a live state, or note that it has ended. A copy that it
        has not become is ended.
        """
        if machine.held is not None and not machine.state.is_live:
            await self._lifecycle.let_go(machine)
            return
        monitor = machine.monitor
        if not same_boot or monitor is None or not monitor.id.alive():
            await self._settling.tell_end(await self._settling.settle(machine, Exit(reason=UNSEEN)))
            return
        if machine.suspending:
            await stop_processes(processes_of(machine), term_for=0)
            await self._settling.tell_end(await self._settling.settle(machine, Exit(reason=UNSEEN)))
            return
        machine = await mend(self._site, machine)
        if machine.capture is not None:
            self._site.tasks.start(rouse(self._site, machine), f"rouse-{machine.name}")
        if machine.state is State.STARTING and (machine.origin or machine.resuming):
            await self._drop_half_woken(machine)
            return
        await self._settling.forget_moment(machine.name)  # it was not suspended after all, or has gone on
        self._lifecycle.runs.attend(machine, watch_exit(monitor.id))
        await self._publishing.adopt(machine)
        if machine.state is State.STOPPING:
            self._site.tasks.start(self._lifecycle.stop(machine.name), f"stop-{machine.name}")

    async def _drop_half_woken(self, machine: MachineRecord) -> None:
        """What it was to go on from has ended with the daemon that held it: a template's copy is started anew."""
        await stop_processes(processes_of(machine), term_for=0)
        reason = f"the daemon ended before it had gone on from {machine.origin}"
        machine = await self._settling.settle(machine, Exit(reason=reason))
        if machine.origin.startswith(ORIGIN) and not machine.removing:
            self._site.tasks.start(self._lifecycle.start(machine.name), f"start-{machine.name}")
        else:
            await self._settling.tell_end(machine)
