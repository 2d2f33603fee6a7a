"""Frames to a machine that stands still: they wait in taps of ours, and reach it in their order when it goes on.

A QEMU reads one frame even while its machine stands still. One that is about to end would take that frame along.
"""

from contextlib import suppress

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.held_frames import HeldFrames, open_held_frames, wait_drained
from weft.model.errors import NotFound, WeftError
from weft.model.wiring import HOLD_SLOT, AddFilter, DeleteFilter, Filter, FilterKind
from weft.plan.linknames import held_tap_name, tap_name

DRAIN_TIMEOUT = 0.05


class Traffic:
    """What is on its way to one machine. Nothing leads past it before `hold`."""

    def __init__(self, site: Site, machine: MachineRecord) -> None:
        self._site = site
        self._machine = machine
        self._frames: list[HeldFrames] = []
        self._senders: list[tuple[str, HeldFrames]] = []
        self._holding = False

    async def prepare(self) -> None:
        """Make the taps, and find out what leads to the machine's. Raises WeftErrors."""
        machine, links = self._machine, self._site.links
        for number in range(len(machine.nics)):
            keeper, target = held_tap_name(machine.slot, number), tap_name(machine.slot, number)
            alias = f"weft frames for {machine.name}"
            self._frames.append(await open_held_frames(links, self._site.namespace, keeper, target, alias))
        by_target = {frames.target: frames for frames in self._frames}
        for link in await links.list_links():
            filters = await _find_filters(self._site, link)
            targets = {found.target for found in filters if found.kind is FilterKind.REDIRECT}
            self._senders += [(link, by_target[target]) for target in targets & by_target.keys()]

    async def hold(self, taps: list[int]) -> None:
        """From now on frames wait; returns when the machine's QEMU has read what was there before, from `taps`."""
        self._holding = True
        await self._site.links.apply_filters(
            [AddFilter(link, HOLD_SLOT, FilterKind.REDIRECT, frames.keeper) for link, frames in self._senders]
        )
        await wait_drained(taps, DRAIN_TIMEOUT)

    async def let_through(self) -> None:
        """Those that have waited first. No effect when that is done."""
        self._hand_on()
        if self._holding:
            self._holding = False
            with suppress(WeftError):  # what is left goes with the links
                await self._site.links.apply_filters([DeleteFilter(link, HOLD_SLOT) for link, _ in self._senders])
        self._hand_on()

    async def remove(self) -> None:
        """Let them through, and remove the taps. No effect when that is done."""
        await self.let_through()
        frames, self._frames = self._frames, []
        for each in frames:
            each.close()
        if frames:
            await drop_held_links(self._site, self._machine)

    def _hand_on(self) -> None:
        for each in self._frames:
            each.hand_on()


async def drop_held_links(site: Site, machine: MachineRecord) -> None:
    """Remove what leads past a machine's taps, whoever made it."""
    present = await site.links.list_links()
    keepers = {name for number in range(len(machine.nics)) if (name := held_tap_name(machine.slot, number)) in present}
    if not keepers:
        return
    for link in present:
        for found in await _find_filters(site, link):
            if found.slot == HOLD_SLOT and found.target in keepers:
                await site.links.delete_filter(link, HOLD_SLOT)
    for keeper in keepers:
        await site.links.delete_link(keeper)


async def _find_filters(site: Site, link: str) -> list[Filter]:
    """Those of a link, which may be another machine's and gone by now."""
    with suppress(NotFound):
        return await site.links.list_filters(link)
    return []
