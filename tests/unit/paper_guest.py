"""A guest on paper whose memory comes and goes: QEMU's monitor and the agent's facts, without either."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from weft.fabric.records.machine import ElasticRecord
from weft.guest.facts import Facts
from weft.host.qemu import Qmp
from weft.model.elastic import CpuMode
from weft.model.errors import Unavailable
from weft.plan.elastic.memory import DESCRIBED

MIB = 1 << 20
RECORD = ElasticRecord(boot=352 * MIB, region=4352 * MIB, mode=CpuMode.FIXED, memory=64 * MIB, cpus=1, total=330 * MIB)


@dataclass
class PaperGuest:
    """With every look it does `pace` bytes of what it was asked, if it does that at all.

    `unmovable` bytes of what is plugged stay. `used` grows by `growth` with every look.
    """

    plugged: int = 0
    left: int = 352 * MIB
    used: int = 40 * MIB
    pace: int = 512 * MIB
    unmovable: int = 0
    growth: int = 0
    deaf: bool = False
    asked_plugged: int = 0
    asked_left: int = 352 * MIB
    least_available: int = 1 << 60
    sizes: list[int] = field(default_factory=list)
    open: int = 0
    gone: bool = False

    @property
    def size(self) -> int:
        return self.plugged + self.left

    @property
    def available(self) -> int:
        """Its kernel keeps books of what is plugged."""
        return self.size - self.used - self.plugged // DESCRIBED

    def work(self) -> None:
        if self.gone:
            raise Unavailable("QEMU is gone")
        self.used += self.growth
        if not self.deaf:
            wanted = max(self.asked_plugged, min(self.unmovable, self.plugged))
            self.plugged = _approach(self.plugged, wanted, self.pace)
            self.left = _approach(self.left, self.asked_left, self.pace)
        self.least_available = min(self.least_available, self.available)
        self.sizes.append(self.size)

    async def facts(self) -> Facts:
        """The agent's."""
        self.work()
        return Facts(
            memory_total=330 * MIB + self.plugged,
            memory_available=max(0, self.available),
            memory_ballooned=352 * MIB - self.left,
        )

    async def open_monitor(self) -> Qmp:
        """QEMU's, which serves one at a time."""
        assert not self.open, "somebody else has the monitor"
        self.open += 1
        return cast(Qmp, self)

    # What QEMU's monitor knows.

    async def plugged_memory(self) -> int:
        self.work()
        return self.plugged

    async def balloon(self) -> int:
        return self.left

    async def request_memory(self, device: str, size: int) -> None:
        self.asked_plugged = size

    async def set_balloon(self, size: int) -> None:
        self.asked_left = size

    async def close(self) -> None:
        self.open -= 1


async def turn_until(condition: Callable[[], bool]) -> None:
    """Let others have their turns until something is so."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come to that")


def _approach(now: int, wanted: int, pace: int) -> int:
    return max(wanted, now - pace) if wanted < now else min(wanted, now + pace)
