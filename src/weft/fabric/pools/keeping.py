"""Keeping pools full: copies are started one at a time, watched, and ended when nobody wants them any more."""

import asyncio
import itertools
import logging
import shutil
import uuid
from collections.abc import Container
from contextlib import suppress
from typing import Protocol

from weft.fabric.machines import Checked, Machines
from weft.fabric.pools.fitting import describe_copy
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.records.pool import CopyRecord, PoolRecord
from weft.fabric.records.record import Stamp
from weft.fabric.site import MACHINE_SLOTS, Site, free_slot
from weft.fabric.templates.templates import Templates
from weft.host.pids import watch_exit
from weft.model.errors import WeftError
from weft.model.insert import InsertState
from weft.model.machine import MachineSpec, State
from weft.model.reference import find_stem
from weft.plan.linknames import tap_name
from weft.plan.pool import LOOK, Copy, End, Fill, Times, Wait, Wanted, plan_pools

log = logging.getLogger(__name__)

LOOK_AGAIN = 5.0
"""Seconds until it is looked whether an image or a kernel is another one now."""


class Maker(Protocol):
    """Starts and ends the processes of copies."""

    async def start(self, copy: CopyRecord) -> CopyRecord:
        """Start the processes of a copy, on record before they run; what is on record of it when it holds.

        Raises WeftError.
        """

    async def end(self, machine: MachineRecord) -> None:
        """End a copy's processes and remove its links and files, as far as they are there."""


class Keeping:
    """The copies of a room."""

    def __init__(self, site: Site, machines: Machines, maker: Maker, templates: Templates) -> None:
        self._site = site
        self._shelf = site.shelves.copies
        self._machines = machines
        self._maker = maker
        self._templates = templates
        self._changed = asyncio.Event()
        self._rests = asyncio.Event()
        self._acting = asyncio.Lock()
        self._failed: dict[str, tuple[float, str]] = {}
        self._busy_since: float | None = None
        self._ending = False
        self._clock = asyncio.get_running_loop().time

    def wake(self) -> None:
        """Something is otherwise: look at once."""
        self._rests.clear()
        self._changed.set()

    async def on_ready(self, _machine: MachineRecord) -> None:
        """A machine is there that may have been a copy: now there is time for another one."""
        if len(self._site.shelves.pools):
            self.wake()

    async def wait_rest(self) -> None:
        """Until all copies are ready that can be."""
        await self._rests.wait()

    async def keep(self) -> None:
        """Keep all pools full, until cancelled."""
        while True:
            self._changed.clear()
            async with self._acting:
                wait = await self._act_once()
            if wait is not None and not self._changed.is_set():
                if wait.seconds != LOOK:
                    self._rests.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait.seconds):
                        await self._changed.wait()

    async def adopt(self, *, same_boot: bool) -> None:
        """Go on with the copies of an earlier daemon that hold; what was half made or half taken is ended."""
        taken, links = self._site.shelves.copies_taken(), await self._site.links.list_links()
        for copy in self._shelf:
            if copy.name in taken:
                shutil.rmtree(self._site.layout.pool.machine(copy.name).folder, ignore_errors=True)
                await self._shelf.drop(copy.name)
            elif same_boot and self._is_whole(copy, links):
                self._watch(copy)
            else:
                await self._end(copy.name, "it was not whole when the daemon started")

    def _is_whole(self, copy: CopyRecord, links: Container[str]) -> bool:
        """Whether it holds, and its taps are in the namespace that the room has now."""
        machine, monitor = copy.machine, copy.machine.monitor
        taps = [tap_name(machine.slot, number) for number in range(len(machine.nics))]
        return copy.ready and monitor is not None and monitor.id.alive() and all(tap in links for tap in taps)

    async def end_all(self) -> None:
        """End every copy, also one that is being started; from now on none is started any more."""
        self._ending = True
        async with self._acting:
            for copy in self._shelf:
                await self._end(copy.name, "all are ended")

    def copies(self) -> list[Copy]:
        """Those that are nobody yet, the oldest first."""
        taken = self._site.shelves.copies_taken()
        found = sorted(self._shelf, key=lambda copy: copy.created)
        return [Copy(copy.name, copy.image, copy.fits, copy.ready) for copy in found if copy.name not in taken]

    def find_failure(self, image: str) -> str:
        """Why the last copy of a pool could not be started."""
        return self._failed[image][1] if image in self._failed else ""

    async def describe(self, record: PoolRecord) -> Wanted:
        """What a pool wants. Raises NotFound (image, kernel), Invalid."""
        checked = await self._check(record)
        return Wanted(record.name, record.spec.size, self.describe_copy(checked))

    def describe_copy(self, checked: Checked) -> str:
        """What a copy is that could become such a machine, in this room. Raises NotFound (image, kernel)."""
        return describe_copy(self._site, checked, self._templates.isolation)

    async def _check(self, record: PoolRecord) -> Checked:
        spec = record.spec
        return await self._machines.check(
            MachineSpec(name="pool", image=spec.image, memory=spec.memory, cpus=spec.cpus)
        )

    async def _act_once(self) -> Wait | None:
        """Do what is to be done now; when to look again, unless at once."""
        if self._ending:
            return Wait(None, "all are ended")
        plan = plan_pools(
            [wanted for record in self._site.shelves.pools if (wanted := await self._find_wanted(record))],
            self.copies(),
            most=self._site.settings.pool_limit,
            times=self._look_at_time(),
        )
        for action in plan:
            match action:
                case End(name, reason):
                    await self._end(name, reason)
                case Fill(image):
                    await self._fill(image)
                case Wait(seconds):
                    idle = LOOK_AGAIN if len(self._site.shelves.pools) else None
                    return Wait(min(filter(None, (seconds, idle)), default=None), action.reason)
        return None

    async def _find_wanted(self, record: PoolRecord) -> Wanted | None:
        """Nothing can be wanted of an image that is not there."""
        with suppress(WeftError):
            return await self.describe(record)
        return None

    def _look_at_time(self) -> Times:
        now, shelves = self._clock(), self._site.shelves
        busy = any(machine.state is State.STARTING or machine.held for machine in shelves.machines)
        busy = busy or any(insert.state is InsertState.STARTING for insert in shelves.inserts)
        self._busy_since = (self._busy_since or now) if busy else None
        return Times(now, self._busy_since, {image: when for image, (when, _) in self._failed.items()})

    async def _fill(self, image: str) -> None:
        record = self._site.shelves.pools.get(image)
        try:
            copy = await self._record(record)
            await self._start(copy)
        except WeftError as err:
            log.warning("a copy for the pool of %s could not be started: %s", image, err)
            self._failed[image] = self._clock(), err.message
        else:
            self._failed.pop(image, None)

    async def _record(self, record: PoolRecord) -> CopyRecord:
        """A copy on record, that is to be started."""
        checked = await self._check(record)
        self._site.ledger.check_available(checked.memory)
        fits = self.describe_copy(checked)
        name = self._choose_name(record.name)
        nics = tuple(nic.model_copy(update={"network": None}) for nic in checked.nics)
        machine = MachineRecord(
            spec=checked.spec.model_copy(update={"name": name, "nics": nics}),
            slot=free_slot(MACHINE_SLOTS, self._site.shelves.machine_slots(), "machines"),
            uuid=str(uuid.uuid4()),
            created=self._site.clock(),
            kernel=checked.kernel,
            memory=checked.memory,
            nics=tuple(NicRecord(mac=_blank_mac(number), role=nic.role) for number, nic in enumerate(nics)),
            group=f"pool.{name}",
        )
        copy = CopyRecord(machine=machine, image=record.name, fits=fits, created=machine.created)
        return await self._shelf.save(copy)

    def _choose_name(self, image: str) -> str:
        """A name that no copy has, nor the control group of a machine that was one."""
        stem = find_stem(image)
        groups = {machine.group for machine in self._site.shelves.machines}
        names = (f"{stem}-{number}" for number in itertools.count(1))
        return next(name for name in names if self._shelf.find(name) is None and f"pool.{name}" not in groups)

    async def _start(self, copy: CopyRecord) -> None:
        try:
            copy = await self._maker.start(copy)
        except BaseException:
            await asyncio.shield(self._end(copy.name, "it could not be started"))
            raise
        self._watch(await self._shelf.save(copy.with_(ready=True)))

    def _watch(self, copy: CopyRecord) -> None:
        monitor = copy.machine.monitor
        assert monitor is not None, "a copy that is ready runs"
        watch_exit(monitor.id).on_exit(lambda _: self._on_exit(copy.name, monitor))

    def _on_exit(self, name: str, monitor: Stamp) -> None:
        self._site.tasks.start(self._bury(name, monitor), f"pool-{name}")

    async def _bury(self, name: str, monitor: Stamp) -> None:
        """A copy that has ended by itself is of no use. Its name may be another one's by now."""
        async with self._acting:
            copy = self._shelf.find(name)
            if copy is not None and copy.machine.monitor == monitor:
                await self._end(name, "it has ended by itself")
        self.wake()

    async def _end(self, name: str, reason: str) -> None:
        """Unless it has become a machine, or is just becoming one."""
        copy = self._shelf.find(name)
        if copy is None or name in self._site.shelves.copies_taken():
            return
        await self._shelf.save(copy.with_(ready=False))  # from here on nobody takes it
        log.info("copy %s of %s ends: %s", copy.name, copy.image, reason)
        await self._maker.end(copy.machine)
        await self._shelf.drop(copy.name)


def _blank_mac(number: int) -> str:
    """Of a NIC that speaks to nobody."""
    return f"52:57:00:00:00:{number:02x}"
