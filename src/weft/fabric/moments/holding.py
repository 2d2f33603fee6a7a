"""Capturing a machine that goes on from a moment already: its memory is sent to a holder, and it stays where it is."""

import os
from contextlib import suppress

from weft.fabric.moments.receiver import Receiver
from weft.fabric.moments.sockets import remove_next
from weft.fabric.moments.subject import Captured, Subject
from weft.fabric.records.machine import CaptureRecord
from weft.host.accelerator import TCG
from weft.host.memory import seal_memory
from weft.host.migration import finish_sending, save_device, send_memory, stop_sending, wait_nearly_sent
from weft.host.qemu import Qmp
from weft.model.errors import WeftError


class Holding(Subject):
    """A machine whose memory is copied while it runs."""

    slow_to_stand = True
    _qmp: Qmp | None = None
    _receiver: Receiver | None = None
    _sending = False
    _go_on = True

    async def prepare(self, *, go_on: bool) -> None:
        self._go_on = go_on
        self._receiver = await self.start_receiver(hold=True)
        self._qmp = await self.open_monitor()

    async def stand(self) -> None:
        assert self._qmp is not None and self._receiver is not None
        if self.site.facts.accel == TCG:
            # Emulating, QEMU before 9.0 misses writes of a machine that runs while its memory is sent.
            await self._qmp.pause()
        self._sending = True
        await send_memory(self._qmp, self._receiver.qmp)
        await wait_nearly_sent(self._qmp)

    async def take(self) -> None:
        assert self._qmp is not None and self._receiver is not None
        await finish_sending(self._qmp, self._receiver.qmp)
        self._sending = False

    async def go_on(self) -> None:
        assert self._qmp is not None
        await self._qmp.resume()
        if not await self.thaw():
            self.runs.serve_anew(self.name)
        self.note_going()

    async def undo(self) -> None:
        if self._qmp is not None:
            with suppress(WeftError):  # it has ended, which others notice
                if self._sending:
                    await stop_sending(self._qmp)
                await self._qmp.resume()
            await self._qmp.close()
        await self.thaw()
        self.note_going()
        if self._receiver is not None:
            await self._receiver.end()
            os.close(self._receiver.memory)
        remove_next(self.files)
        await self.note(None)

    async def finish(self) -> Captured:
        assert self._qmp is not None and self._receiver is not None
        await self._qmp.close()
        device = await save_device(self._receiver.qmp)
        await self._receiver.end()
        remove_next(self.files)
        await self.note(None if self._go_on else CaptureRecord())
        seal_memory(self._receiver.memory)
        return self.captured(self._receiver.memory, device)
