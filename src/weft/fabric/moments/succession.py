"""Capturing a machine that has memory of its own: it goes on in a second QEMU, and what the first had is the moment.

Nothing is copied. The successor maps the same memory privately, so it writes nothing into the moment.
"""

import asyncio
import os
import signal
from contextlib import suppress

from weft.fabric.moments.receiver import Receiver, find_qemu
from weft.fabric.moments.sockets import Connection, move_sockets, open_connection, remove_next
from weft.fabric.moments.subject import Captured, Subject
from weft.fabric.moments.traffic import Traffic
from weft.fabric.records.machine import CaptureRecord
from weft.fabric.records.record import Stamp
from weft.host.disk_limits import limit_disks
from weft.host.memory import open_memory, seal_memory
from weft.host.migration import load_device, save_device
from weft.host.pids import stop_processes, watch_exit
from weft.host.qemu import Qmp
from weft.model.errors import Unavailable, WeftError


class Succession(Subject):
    """A machine that goes on in a successor, or stays where it stands if it is not to go on."""

    _qmp: Qmp | None = None
    _receiver: Receiver | None = None
    _connection: Connection | None = None
    _traffic: Traffic | None = None
    _former: Stamp | None = None
    _went_on = False
    _device = b""

    async def prepare(self, *, go_on: bool) -> None:
        if go_on:
            self._receiver = await self.start_receiver(hold=False)
            # Before the state is there: then the guest hears of no connection that went or came.
            self._connection = await open_connection(self.files.next.agent)
            self._traffic = Traffic(self.site, self.machine)
            await self._traffic.prepare()
        else:
            await self.note(CaptureRecord())
        self._qmp = await self.open_monitor()

    async def stand(self) -> None:
        assert self._qmp is not None
        if self._traffic is not None and self._receiver is not None:
            await self._traffic.hold(self._receiver.taps)
        await self._qmp.pause()

    async def take(self) -> None:
        assert self._qmp is not None
        if self._receiver is None:
            self._device = await save_device(self._qmp)
            return
        self._device, _ = await asyncio.gather(save_device(self._qmp), self._receiver.make_machine())
        await load_device(self._receiver.qmp, self._device)

    async def go_on(self) -> None:
        """First on record: from then on the successor is the machine, whatever happens to the daemon."""
        receiver, before = self._receiver, self.machine
        assert receiver is not None
        qemu = receiver.latched.process.children()
        if not qemu or before.monitor is None:
            raise Unavailable(f"machine {self.name!r} has ended")
        self._former = before.monitor
        successor = {"monitor": Stamp.of(receiver.latched.process), "qemu": Stamp.of(qemu[0])}
        await self.note(CaptureRecord(former=self._former), **successor)
        self.runs.follow(self.name, receiver.latched.watch)
        await self.runs.tell_moved(self.name)
        # Else it would read the first frame that is let through, and take it along.
        for process in self._former.id.children():
            process.send(signal.SIGSTOP)
        if before.spec.limits is not None and before.spec.limits.of_disks:
            await limit_disks(receiver.qmp, before.spec.limits)
        await receiver.qmp.resume()
        self._went_on = True
        if self._traffic is not None:
            await self._traffic.let_through()
        move_sockets(self.files)
        await self._keep_talking()
        self.note_going()

    async def undo(self) -> None:
        if self._went_on:
            (await self.finish()).moment.close()
            return
        if self._receiver is not None:
            await self._end_receiver(self._receiver)
        if self._former is not None:
            self.runs.follow(self.name, watch_exit(self._former.id))
            qemu = next(iter(self._former.id.children()), None)
            await self.note(CaptureRecord(), monitor=self._former, qemu=qemu and Stamp.of(qemu))
            await self.runs.tell_moved(self.name)
        if self._qmp is not None:
            with suppress(WeftError):  # it has ended, which others notice
                await self._qmp.resume()
            await self._qmp.close()
        await self._remove_traffic()
        await self.thaw()
        self.note_going()
        self._hang_up()
        remove_next(self.files)
        await self.note(None)

    async def _end_receiver(self, receiver: Receiver) -> None:
        """The machine is in its QEMU as before."""
        receiver.give_taps_back()
        await receiver.end()
        os.close(receiver.memory)
        for process in self._former.id.children() if self._former else ():
            process.send(signal.SIGCONT)

    async def finish(self) -> Captured:
        assert self._qmp is not None
        await self._qmp.close()
        if self._receiver is None:
            return self.captured(open_memory(find_qemu(self.machine).pid), self._device)
        assert self._former is not None
        await stop_processes([*self._former.id.children(), self._former.id], term_for=0)
        await self._receiver.qmp.close()
        await self._remove_traffic()
        if self._connection is not None:
            self._hang_up()
            self.runs.serve_anew(self.name)
        await self.note(None)
        self._receiver.close_taps()
        seal_memory(self._receiver.memory)
        return self.captured(self._receiver.memory, self._device)

    async def _keep_talking(self) -> None:
        """The agent's conversation goes on over the successor's socket, if it was brought to a point where it can."""
        if self.frozen is None or self._connection is None:
            return
        with suppress(WeftError):
            await self.frozen.move_to(*self._connection)
            self._connection = None
        if not await self.thaw() and self._connection is None:
            self.runs.serve_anew(self.name)

    async def _remove_traffic(self) -> None:
        if self._traffic is not None:
            await self._traffic.remove()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None
