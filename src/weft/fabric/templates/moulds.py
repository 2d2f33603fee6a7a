"""Moulds: machines that boot once, without being anybody, and end as a moment.

A mould is no machine of its room: it is on no shelf, its slot, its folder and its control group are no machine's.
What a daemon leaves of one when it dies is known by these, and removed by the next.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from weft.fabric.endings import remove_group, remove_sockets
from weft.fabric.launch import hold
from weft.fabric.layout import Layout
from weft.fabric.logs import read_tail
from weft.fabric.moments.moment import Moment, shape_of
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.guest.connecting import open_agent
from weft.host.memory import open_memory, seal_memory
from weft.host.migration import save_device
from weft.host.pids import ProcessId, stop_processes
from weft.host.process import Latched
from weft.host.qemu import open_qmp
from weft.host.records import find_record, write_record
from weft.image.floppy import create_floppy
from weft.model.errors import Unavailable, WeftError
from weft.model.image import NicRole
from weft.model.machine import MachineSpec
from weft.model.template import TemplateSpec
from weft.plan.linknames import tap_name

SLOT = 0
"""Machines have the numbers from 1 on."""
NAME = "template.mould"
"""As its control group and folder are called; no machine's name has a dot."""
UUID = str(uuid.UUID(int=0))
LEAST_MTU = 1500
ENDING = 10.0
"""Seconds for its QEMU to end by itself when all has been saved."""


def mould_record(spec: TemplateSpec) -> MachineRecord:
    """The machine that becomes a template, whoever is to go on from it. `spec` leaves nothing to the image."""
    assert spec.memory is not None and spec.nics is not None and spec.kernel is not None, "nothing is left open"
    plain = MachineSpec(name="template", image=spec.image, profile=spec.profile, cpus=spec.cpus, memory=spec.memory)
    nics = tuple(NicRecord(mac=f"52:57:00:00:00:{number:02x}", role=NicRole.LAN) for number in range(spec.nics))
    return MachineRecord(
        spec=plain.model_copy(update={"name": NAME}),
        slot=SLOT,
        uuid=UUID,
        created=0.0,
        kernel=spec.kernel,
        memory=spec.memory,
        nics=nics,
        shows_floppy=spec.floppy,
        template=True,
    )


class Moulds:
    """Makes the moments of a room's templates, one at a time."""

    def __init__(self, site: Site, volumes: Volumes) -> None:
        self._site = replace(site, layout=Layout(site.layout.home / "mould"))
        self._volumes = volumes
        self._files = self._site.layout.machine(NAME)
        self._record = self._files.folder / "process.json"
        self._lock = asyncio.Lock()

    async def cast(self, spec: TemplateSpec) -> Moment:
        """Boot such a machine until it would become somebody, and take it as it is then.

        Raises NotFound (image, kernel), NoRoom, Unavailable. Nothing is left behind.
        """
        machine = mould_record(spec)
        async with self._lock:
            await self.sweep()
            try:
                async with self._run(machine) as latched:
                    return await self._capture(machine, latched)
            finally:
                await asyncio.shield(self.sweep())

    async def stop(self) -> None:
        """End one that is being cast, which fails then, and wait until nothing is left of it."""
        await self.sweep()
        async with self._lock:
            await self.sweep()

    async def sweep(self) -> None:
        """End and remove what there is of a mould, whoever has made it."""
        group = self._site.cgroups.group(NAME)
        found = find_record(self._record)
        known = [*found[0].children(), found[0]] if found else []
        inside = [process for pid in group.pids() if (process := ProcessId.find(pid))]
        await stop_processes([*known, *inside], term_for=0)
        await remove_group(group)
        remove_sockets(self._files)
        self._record.unlink(missing_ok=True)
        await self._drop_taps()
        for path in (self._files.initrd, self._files.floppy):
            path.unlink(missing_ok=True)

    @asynccontextmanager
    async def _run(self, machine: MachineRecord) -> AsyncIterator[Latched]:
        self._files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(len(machine.nics)):
            await self._site.links.create_tap(tap_name(SLOT, number), mtu=LEAST_MTU, alias=f"weft {NAME} nic {number}")
        if machine.shows_floppy:
            await create_floppy(self._files.floppy)
        held = await hold(self._site, self._volumes, machine)
        write_record(self._record, held.latched.process)
        held.latched.release()
        yield held.latched

    async def _capture(self, machine: MachineRecord, latched: Latched) -> Moment:
        async with AsyncExitStack() as stack:
            await self._wait_held()
            qmp = await open_qmp(self._files.qmp)
            stack.push_async_callback(qmp.close)
            await qmp.pause()
            device = await save_device(qmp)
            memory = open_memory(_find_qemu(latched))
            moment = Moment(shape_of(self._site, machine, held=True), memory, device)
            stack.callback(moment.close)
            await qmp.quit()
            await _wait_end(latched)
            seal_memory(memory)  # now that nobody has it mapped for writing
            stack.pop_all()
            await qmp.close()
            return moment

    async def _wait_held(self) -> None:
        """Until its init says that it waits to become somebody."""
        try:
            async with open_agent(self._files.agent, timeout=self._site.settings.boot_timeout):
                return
        except WeftError as err:
            said = read_tail(self._files.log) + read_tail(self._files.errors)
            detail = said.decode(errors="replace") or None
            raise Unavailable(f"its machine did not boot: {err.message}", detail=detail) from err

    async def _drop_taps(self) -> None:
        present = await self._site.links.list_links()
        number = 0
        while (tap := tap_name(SLOT, number)) in present:
            with suppress(WeftError):
                await self._site.links.delete_link(tap)
            number += 1


async def _wait_end(latched: Latched) -> None:
    try:
        async with asyncio.timeout(ENDING):
            await latched.watch.wait()
    except TimeoutError as err:
        raise Unavailable(f"its QEMU did not end within {ENDING:g} s") from err


def _find_qemu(latched: Latched) -> int:
    """The QEMU within the walls, which has the memory."""
    children = latched.process.children()
    return children[0].pid if children else latched.pid
