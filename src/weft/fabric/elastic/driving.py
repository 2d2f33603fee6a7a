"""Driving the memory of one machine to a size: ask, look, and stop when its guest does not follow, or gets short."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from weft.fabric.elastic.levers import APPLIED, Outcome
from weft.fabric.records.machine import ElasticRecord
from weft.guest.facts import Facts
from weft.host.qemu import Qmp
from weft.model.elastic import ScaleState
from weft.model.errors import WeftError
from weft.plan.boot import PLUG
from weft.plan.elastic.memory import (
    ALARM,
    BLOCK,
    REGION,
    Levers,
    MemoryLayout,
    find_floor,
    find_headroom,
    plan_descent,
    plan_levers,
    plan_relief,
    round_up,
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between two looks at what has been done, and two at how much a guest has left that shrinks; for it to
    say that; without any change until a guest is asked again, and until it is said not to do what it was asked; for one
    to stop that was told to; and until somebody else may have QEMU's monitor, which serves one at a time.
    """

    look: float = 0.02
    glance: float = 0.1
    word: float = 0.5
    again: float = 1.0
    still: float = 5.0
    settle: float = 2.0
    turn: float = 1.0


PACE = Pace()
Open = Callable[[], Awaitable[Qmp]]
Ask = Callable[[], Awaitable[Facts]]


class Stuck(Exception):
    """The guest does not follow."""

    def __init__(self, reason: str, state: ScaleState = ScaleState.REFUSED) -> None:
        super().__init__(reason)
        self.outcome = Outcome(state, reason)


class Short(Exception):
    """The guest has little memory left. `growing`: its programs use more than when it began to shrink."""

    def __init__(self, available: int, *, growing: bool) -> None:
        super().__init__()
        self.available = available
        self.growing = growing


class Drive:
    """One drive. `until` is when it has to be over, by the monotonic clock."""

    def __init__(self, record: ElasticRecord, open_monitor: Open, ask: Ask, until: float, pace: Pace = PACE) -> None:
        self._layout = MemoryLayout(record.boot, record.region)
        self._total = record.total
        self._open = open_monitor
        self._ask = ask
        self._until = until
        self._pace = pace
        self._most = 0
        self._qmp: Qmp | None = None
        self._opened = 0.0

    async def to(self, size: int) -> Outcome:
        """Bring the machine there. Wherever that ends, the guest is asked for no more than it has come to."""
        try:
            now = (await self.read()).size
            return await (self._climb(size) if size >= now else self._descend(now, size))
        except Stuck as err:
            await self._hold()
            return err.outcome
        except (WeftError, asyncio.CancelledError):
            with suppress(WeftError, TimeoutError):
                async with asyncio.timeout(self._pace.settle):
                    await self._hold()
            raise
        finally:
            await self.close()

    async def read(self) -> Levers:
        """Where the levers are."""
        qmp = await self._monitor()
        return Levers(await qmp.plugged_memory() if self._layout.region else 0, await qmp.balloon())

    async def close(self) -> None:
        """Let others have the monitor."""
        qmp, self._qmp = self._qmp, None
        if qmp is not None:
            await qmp.close()

    async def _climb(self, size: int) -> Outcome:
        """The balloon first: the kernel needs its boot memory to describe more."""
        await self._inflate(size, self._until)
        await self._plug(size, self._until)
        if (has := await self._await_guest(size)) < size:
            raise Stuck(f"its kernel uses {has >> 20} MiB only")
        return APPLIED

    async def _descend(self, before: int, size: int) -> Outcome:
        """Bit by bit, with an eye on the guest. The balloon last: it takes any memory, also what is plugged."""
        now, used = before, self._find_used(await self._ask())
        self._most = used + find_headroom(used)
        try:
            while now > size:
                now = plan_descent(now, max(size, await self._find_floor(now)))
                await self._plug(now, self._until, watch=True)
                await self._inflate(now, self._until, watch=True)
                await self._await_guest(now)
        except Short as err:
            await self._relieve(before, err)
            return Outcome(ScaleState.REFUSED, "its programs have taken memory while it shrank")
        return APPLIED

    async def _find_floor(self, now: int) -> int:
        """The least that the guest can be left with. Raises Stuck when that is no less than it has, and Short."""
        facts = await self._ask()
        self._check(facts)
        used = self._find_used(facts)
        least = round_up(used + find_headroom(used))
        if least >= now:
            raise Stuck(f"the guest uses {used >> 20} MiB and needs some headroom")
        return least

    def _check(self, facts: Facts, ahead: int = 0, noise: int = 0) -> None:
        """See to it that a guest can do with so much less. Raises Short."""
        growing = self._find_used(facts) > self._most + noise
        if growing or facts.memory_available - ahead < ALARM:
            raise Short(facts.memory_available, growing=growing)

    def _find_used(self, facts: Facts) -> int:
        _, used = find_floor(
            boot=self._layout.boot,
            total=self._total or facts.memory_total,
            now=facts.memory_total,
            available=facts.memory_available,
            ballooned=facts.memory_ballooned,
        )
        return used

    async def _relieve(self, before: int, short: Short) -> None:
        """Give a guest back what it needs, all of it if it is at it; it had that a moment ago."""
        size = before if short.growing else plan_relief((await self.read()).size, before, short.available)
        with suppress(Stuck):
            await self._inflate(size, time.monotonic() + self._pace.still)
            await self._plug(size, time.monotonic() + self._pace.still)

    async def _plug(self, size: int, until: float, *, watch: bool = False) -> None:
        wanted = plan_levers(self._layout, size).plugged

        async def ask() -> None:
            await (await self._monitor()).request_memory(PLUG, wanted)

        if self._layout.region:
            await self._await(ask, lambda levers: levers.plugged, wanted, until, watch)

    async def _inflate(self, size: int, until: float, *, watch: bool = False) -> None:
        wanted = plan_levers(self._layout, size).left

        async def ask() -> None:
            await (await self._monitor()).set_balloon(wanted)

        await self._await(ask, lambda levers: levers.left, wanted, until, watch)

    async def _await(
        self, ask: Callable[[], Awaitable[None]], of: Callable[[Levers], int], wanted: int, until: float, watch: bool
    ) -> None:
        """Ask, until a lever is there. Raises Stuck, and Short if the guest is to be watched."""
        await ask()
        before, since = -1, time.monotonic()
        looked = asked = since
        while (now := of(levers := await self.read())) != wanted:
            clock = time.monotonic()
            if now != before:
                before, since = now, clock
            if clock > max(since, asked) + self._pace.again:
                await ask()  # a driver that could not move something tries that again after 50 seconds only
                asked = clock
            if clock > since + self._pace.still:
                raise Stuck(f"its kernel has stopped at {levers.size >> 20} MiB")
            if clock > until:
                raise Stuck(f"its kernel has come to {levers.size >> 20} MiB in time", ScaleState.FAILED)
            if watch and clock > looked + self._pace.glance:
                await self._watch(ask, of, wanted)
                looked = time.monotonic()
            await asyncio.sleep(self._pace.look)

    async def _watch(self, ask: Callable[[], Awaitable[None]], of: Callable[[Levers], int], wanted: int) -> None:
        """Check a guest that shrinks. One that does not say how it is loses nothing until it does.

        While Linux takes a region offline it counts all of it once more.
        """
        asking = asyncio.ensure_future(self._ask())
        try:
            if not (await asyncio.wait([asking], timeout=self._pace.word))[0]:
                await self._hold()
                await asyncio.wait([asking])
                await ask()
            facts = await asking
        finally:
            asking.cancel()
        self._check(facts, max(0, of(await self.read()) - wanted), REGION)

    async def _await_guest(self, size: int) -> int:
        """Until the guest's kernel counts what it has, or for some time. What it counts."""
        if self._total is None:
            return size
        until = min(self._until, time.monotonic() + self._pace.still)
        while True:
            has = count(self._layout.boot, self._total, await self._ask())
            if has == size or time.monotonic() > until:
                return has
            await asyncio.sleep(self._pace.look)

    async def _hold(self) -> Levers:
        """Have the guest stay where it is. Where that is, when it has stopped."""
        until = time.monotonic() + self._pace.settle
        while True:
            asked = await self.read()
            qmp = await self._monitor()
            if self._layout.region:
                await qmp.request_memory(PLUG, asked.plugged // BLOCK * BLOCK)
            await qmp.set_balloon(asked.left)
            await asyncio.sleep(self._pace.look)
            if await self.read() == asked or time.monotonic() > until:
                return asked

    async def _monitor(self) -> Qmp:
        if self._qmp is not None and time.monotonic() > self._opened + self._pace.turn:
            await self.close()
        if self._qmp is None:
            self._qmp, self._opened = await self._open(), time.monotonic()
        return self._qmp


def count(boot: int, total: int, facts: Facts) -> int:
    """What a guest has by its kernel's word, which said that it had `total` when it had booted with `boot`."""
    return boot + facts.memory_total - total - facts.memory_ballooned
