"""Servers that come back, and how soon: without any process, and without waiting."""

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from weft.fabric.reviving import Reviving
from weft.fabric.site import Tasks
from weft.host.pids import ProcessId
from weft.host.records import write_record
from weft.host.servants import Servant
from weft.model.errors import Unavailable


class Place:
    """Where a server is to be that ends at once, `left` times; then nobody cares any more."""

    def __init__(self, record: Path) -> None:
        self.record, self.left, self.refusals = record, 0, 0
        self.pauses: list[float] = []
        self.done = asyncio.Event()
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.tasks = Tasks()
        self.reviving = Reviving(self.tasks, "servers", self.locks, self.settle, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def settle(self, name: str) -> None:
        async with self.locks[name]:
            if self.refusals:
                self.refusals -= 1
                self.record.unlink(missing_ok=True)
                self.reviving.revive(name)  # as whoever starts it for another reason says it
                raise Unavailable("not now")
            if not self.left:
                self.record.unlink(missing_ok=True)
                self.done.set()
                return
            self.left -= 1
            self.start(name)

    def start(self, name: str) -> None:
        process = ProcessId(1, -1 - self.left)  # of an earlier boot: it has ended
        write_record(self.record, process)
        self.reviving.watch(name, [Servant(process, self.record)])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "server.json")


async def wait_quiet(place: Place) -> None:
    async with asyncio.timeout(10):
        await place.done.wait()
        await asyncio.gather(*place.tasks.running)


async def test_one_that_does_not_stay_is_started_later_and_later(place: Place) -> None:
    place.left = 3
    place.start("lan")
    await wait_quiet(place)
    assert place.pauses == [0.0, 1.0, 2.0, 4.0]


async def test_one_that_cannot_be_started_is_tried_again_by_one_alone(place: Place) -> None:
    place.refusals = 2
    place.start("lan")
    await wait_quiet(place)
    assert place.pauses == [0.0, 1.0, 2.0]


async def test_one_that_was_ended_on_purpose_stays_away(place: Place) -> None:
    async with place.locks["lan"]:
        place.start("lan")
        await asyncio.sleep(0)
        place.record.unlink()
    await asyncio.gather(*place.tasks.running)
    assert place.pauses == []


async def test_nobody_comes_back_to_a_place_that_is_left(place: Place) -> None:
    place.refusals = 1000
    place.reviving.revive("lan")
    place.reviving.leave("lan")
    await asyncio.gather(*place.tasks.running, return_exceptions=True)
    assert not place.tasks.running
    assert place.refusals == 1000
