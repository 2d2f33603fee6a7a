"""Driving a guest's memory, on paper: it follows, stands still, refuses, runs short, or is gone."""

import asyncio
import time
from dataclasses import replace

import pytest
from tests.unit.paper_guest import MIB, RECORD, PaperGuest, turn_until

from weft.fabric.elastic.driving import Drive, Pace, count
from weft.fabric.elastic.levers import APPLIED, Outcome
from weft.guest.facts import Facts
from weft.model.elastic import ScaleState
from weft.model.errors import Unavailable
from weft.plan.elastic.memory import ALARM

QUICK = Pace(look=0, glance=0, still=0.05, settle=5, turn=0)


def drive(guest: PaperGuest, seconds: float = 10, pace: Pace = QUICK) -> Drive:
    return Drive(RECORD, guest.open_monitor, guest.facts, time.monotonic() + seconds, pace)


async def go(guest: PaperGuest, size: int, seconds: float = 10) -> Outcome:
    outcome = await drive(guest, seconds).to(size)
    assert not guest.open, "the monitor is free for others"
    return outcome


@pytest.mark.parametrize("size", [64 * MIB, 350 * MIB, 354 * MIB, 1024 * MIB, 3070 * MIB, 4608 * MIB])
@pytest.mark.parametrize("start", [64 * MIB, 352 * MIB, 4608 * MIB])
async def test_it_comes_to_a_size_exactly(start: int, size: int) -> None:
    guest = PaperGuest(used=20 * MIB)
    assert await go(guest, start) == APPLIED
    assert await go(guest, size) == APPLIED
    assert guest.size == size
    assert (guest.asked_plugged, guest.asked_left) == (guest.plugged, guest.left)
    assert count(RECORD.boot, RECORD.total or 0, await guest.facts()) == size


async def test_on_the_way_up_the_balloon_comes_first() -> None:
    guest = PaperGuest(left=64 * MIB, asked_left=64 * MIB, pace=32 * MIB)
    await go(guest, 1024 * MIB)
    plugged = next(size for size in guest.sizes if size > 352 * MIB)
    assert plugged - 352 * MIB <= guest.pace, "all boot memory was there when the first was plugged"


async def test_a_guest_that_does_nothing_is_asked_no_more() -> None:
    guest = PaperGuest(deaf=True)
    outcome = await go(guest, 1024 * MIB)
    assert outcome == Outcome(ScaleState.REFUSED, "its kernel has stopped at 352 MiB")
    assert (guest.asked_plugged, guest.asked_left) == (0, 352 * MIB)


async def test_what_cannot_be_moved_stays_and_is_not_asked_for() -> None:
    guest = PaperGuest()
    await go(guest, 4608 * MIB)
    guest.unmovable = 600 * MIB
    outcome = await go(guest, 128 * MIB)
    assert outcome == Outcome(ScaleState.REFUSED, "its kernel has stopped at 952 MiB")
    assert (guest.plugged, guest.asked_plugged) == (600 * MIB, 600 * MIB)
    assert guest.left == 352 * MIB, "what is plugged goes first"


async def test_time_is_up() -> None:
    guest = PaperGuest(pace=MIB)
    outcome = await go(guest, 4608 * MIB, seconds=0.0)
    assert outcome.state is ScaleState.FAILED
    assert "in time" in outcome.reason
    assert abs(guest.asked_plugged - guest.plugged) < 4 * MIB


async def test_a_guest_that_uses_more_while_it_shrinks_keeps_what_it_needs() -> None:
    guest = PaperGuest(used=100 * MIB)
    await go(guest, 2048 * MIB)
    guest.pace, guest.growth = 16 * MIB, 2 * MIB
    outcome = await go(guest, 128 * MIB)
    assert outcome == Outcome(ScaleState.REFUSED, "its programs have taken memory while it shrank")
    assert guest.least_available > ALARM, "and nothing would have been killed"
    assert guest.size == 2048 * MIB, "all of it was given back"


async def test_one_that_suddenly_uses_much_more_gets_some_back() -> None:
    guest = PaperGuest(used=20 * MIB, pace=4 * MIB)
    await go(guest, 2048 * MIB)
    task = asyncio.create_task(go(guest, 64 * MIB))
    await turn_until(lambda: guest.size < 1200 * MIB)
    guest.used, least = guest.size - ALARM, guest.size  # more than there was to be left of it
    assert await task == Outcome(ScaleState.REFUSED, "its programs have taken memory while it shrank")
    assert guest.size > least, "it was given some back"
    assert guest.size - guest.used > 100 * MIB
    assert guest.asked_plugged == guest.plugged


async def test_one_that_says_nothing_for_a_while_loses_nothing_meanwhile() -> None:
    guest = PaperGuest(used=20 * MIB, pace=4 * MIB)
    await go(guest, 2048 * MIB)
    ask, speaks, silent = guest.facts, asyncio.Event(), asyncio.Event()

    async def ask_late() -> Facts:
        if guest.size < 1600 * MIB and not speaks.is_set():
            silent.set()
            await speaks.wait()
        return await ask()

    guest.facts = ask_late  # type: ignore[method-assign]
    quick = replace(QUICK, word=0.01, still=1)
    task = asyncio.create_task(drive(guest, pace=quick).to(64 * MIB))
    await silent.wait()
    await asyncio.sleep(0.05)
    kept = guest.size
    assert (guest.asked_plugged, guest.asked_left) == (guest.plugged, guest.left)
    speaks.set()
    assert await task == APPLIED
    assert guest.size == 64 * MIB < kept


async def test_a_kernel_that_does_not_use_what_it_has_got_is_told_of() -> None:
    guest = PaperGuest()
    ask = guest.facts

    async def ask_little() -> Facts:
        facts = await ask()
        facts.memory_total = 330 * MIB
        return facts

    guest.facts = ask_little  # type: ignore[method-assign]
    outcome = await go(guest, 1024 * MIB)
    assert outcome == Outcome(ScaleState.REFUSED, "its kernel uses 352 MiB only")


async def test_who_is_cancelled_leaves_the_guest_where_it_is() -> None:
    guest = PaperGuest(pace=MIB)
    task = asyncio.create_task(drive(guest).to(4608 * MIB))
    await turn_until(lambda: guest.plugged >= 20 * MIB)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert guest.asked_plugged < 600 * MIB
    assert not guest.open


async def test_a_qemu_that_goes_is_no_more_than_an_error() -> None:
    guest = PaperGuest(pace=MIB)
    task = asyncio.create_task(drive(guest).to(4608 * MIB))
    await turn_until(lambda: guest.plugged >= 20 * MIB)
    guest.gone = True
    with pytest.raises(Unavailable, match="gone"):
        await task
    assert not guest.open
