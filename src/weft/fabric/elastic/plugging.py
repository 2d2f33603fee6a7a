"""Processors that come and go by hot-plug: QEMU makes and removes them, the guest has to do its part of both."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from weft.fabric.elastic.levers import Outcome
from weft.fabric.elastic.switching import Switched
from weft.host.qemu import ProcessorSlot, Qmp
from weft.model.elastic import ScaleState

LOOK = 0.02
"""Seconds between two looks at what has been done."""
Monitor = Callable[[], AbstractAsyncContextManager[Qmp]]
Switch = Callable[[int | None], Awaitable[Switched]]


async def replug(monitor: Monitor, switch: Switch, wanted: int) -> Outcome:
    """Have a machine own and use so many processors, as far as its kernel can. To be bounded by a time-out."""
    now = await switch(None)
    if now.processors is None:
        return now.judge(wanted)
    goal = min(wanted, now.processors.possible)
    async with monitor() as qmp:
        have = await count_processors(qmp)
    if goal < have:
        refused = (await switch(goal)).judge(goal)
        if refused.state is not ScaleState.APPLIED:
            return refused
    async with monitor() as qmp:
        await (_remove(qmp, goal) if goal < have else _add(qmp, goal))
    return (await _settle(switch, goal)).judge(wanted)


async def count_processors(qmp: Qmp) -> int:
    """How many the machine has, whatever its kernel does with them."""
    return sum(slot.path is not None for slot in await qmp.processors())


async def _settle(switch: Switch, goal: int) -> Switched:
    """What was added appears in the guest a moment later; which of them it was that went, its kernel may number
    otherwise than QEMU."""
    while True:
        done = await switch(goal)
        if done.processors is None or done.processors.present >= goal:
            return done
        await asyncio.sleep(LOOK)


async def _add(qmp: Qmp, goal: int) -> None:
    slots = _in_order(await qmp.processors())
    names = {f"cpu{number}" for number in range(len(slots))} - {slot.name for slot in slots}
    free = [slot for slot in slots if slot.path is None]
    for slot, name in zip(free[: goal - len(slots) + len(free)], sorted(names), strict=False):
        await qmp.add_processor(slot, name)


async def _remove(qmp: Qmp, goal: int) -> None:
    """That it has gone is QEMU's to say: the event for it names no device, and another one says it too early."""
    slots = _in_order(await qmp.processors())
    surplus = sum(slot.path is not None for slot in slots) - goal
    for slot in [slot for slot in slots if slot.name][-surplus:]:
        await qmp.remove_processor(slot.name)
    while True:
        if await count_processors(qmp) <= goal:
            return
        await asyncio.sleep(LOOK)


def _in_order(slots: list[ProcessorSlot]) -> list[ProcessorSlot]:
    """As the guest numbers them at boot."""
    return sorted(slots, key=lambda slot: sorted(slot.place.items()))
