"""How much of a process's time machines may take by what they send.

One that sends many small frames costs a millisecond for each kilobyte: without a bound one hostile guest would have all
of a daemon's time, and everybody else's requests would wait for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

LIGHT = 0.001
"""Seconds of work that need no rest: conversations never come to it, and bulk data is cheap."""
PIECE = 8 << 10
"""Bytes that are worked on at once: nobody waits longer than for as many of the smallest frames."""


class Pace:
    """Rests of all who read from machines in one process: those who cost much have half of its time together."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._resting = 0

    async def rest(self, cost: float) -> None:
        """After work of so many seconds. Of several who rest each has to rest so much longer."""
        self._resting += 1
        try:
            await self._sleep(cost * (2 * self._resting - 1))
        finally:
            self._resting -= 1


SHARED = Pace()
"""That of this process: what is shared out is the time of its one event loop."""


class Cost:
    """What one machine has cost lately, in seconds of processor time; time in which it sends nothing pays for it."""

    def __init__(
        self,
        pace: Pace,
        work: Callable[[], float] = time.thread_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace, self._work, self._clock = pace, work, clock
        self._debt = 0.0
        self._ended = clock()
        self._began = work()

    def begin(self) -> None:
        """Something has come."""
        self._debt = max(0.0, self._debt - (self._clock() - self._ended))
        self._began = self._work()

    async def end(self) -> None:
        """It is worked off; rests if that is due."""
        self._debt += self._work() - self._began
        if self._debt > LIGHT:
            debt, self._debt = self._debt, 0.0
            await self._pace.rest(debt)
        self._ended = self._clock()
