"""Suspended machines: on disk with their memory, and gone on from as whom they were.

A moment in a machine's folder counts only while the machine is on record as suspended. It is on record as to be
suspended before its process ends, and no more as resuming before it goes on: what it was is gone on from once.
"""

from contextlib import suppress

from weft.fabric.lifecycle import Lifecycle
from weft.fabric.moments.capturing import Capturing
from weft.fabric.moments.folders import load_moment, save_moment
from weft.fabric.moments.moment import Moment
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.fabric.snapshots.fitting import check_no_insert, check_shape
from weft.fabric.snapshots.progress import meter
from weft.image.progress import Progress
from weft.model.errors import WeftError, WrongState
from weft.model.machine import State


class Suspending:
    """Suspends machines and lets them go on."""

    def __init__(self, site: Site, lifecycle: Lifecycle, capturing: Capturing) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._lifecycle = lifecycle
        self._capturing = capturing
        lifecycle.hooks.load_suspended = self._load

    async def suspend(self, name: str, progress: Progress) -> None:
        """Put a machine on disk and end it. Raises NotFound, WrongState, Invalid, NoRoom: it goes on then."""
        machine = self._shelf.get(name)
        check_no_insert(self._site, name)
        progress("capturing", None)
        moment = (await self._capturing.capture([name], go_on=False))[name].moment
        try:
            tell = meter(progress, "saving", machine.memory)
            await save_moment(moment, self._site.layout.machine(name).moment, tell=tell)
            await self._lifecycle.put_away(name)
        except BaseException:
            with suppress(WeftError):  # it has ended meanwhile
                await self._capturing.release(name)
            raise
        finally:
            moment.close()

    async def resume(self, name: str, *, wait: bool = True) -> None:
        """Let a suspended machine go on. Raises NotFound, WrongState, Unavailable (damaged, another host): it stays
        suspended then."""
        machine = self._shelf.get(name)
        if machine.state is not State.SUSPENDED:
            raise WrongState(f"machine {name!r} is {machine.state}, not suspended")
        await self._lifecycle.start(name, failsafe=machine.failsafe)
        if wait:
            await self._lifecycle.wait_ready(name)

    async def _load(self, machine: MachineRecord) -> Moment:
        moment = await load_moment(self._site.layout.machine(machine.name).moment)
        try:
            check_shape(self._site, machine, moment.shape, f"machine {machine.name!r}")
        except BaseException:
            moment.close()
            raise
        return moment
