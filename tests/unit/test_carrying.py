"""Steps that depend on each other: none too early, none twice, none after a failure that it depends on."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.fabric.carrying import carry_out
from weft.model.errors import Unavailable, WeftError
from weft.model.steps import Progress

Steps = dict[int, set[int]]


@st.composite
def graphs(draw: st.DrawFn) -> Steps:
    """Steps by number, each depending on earlier ones; now and then on one that is no step."""
    count = draw(st.integers(0, 8))
    needs = [draw(st.sets(st.integers(0, number - 1))) if number else set[int]() for number in range(count)]
    order = draw(st.permutations(range(count)))
    return {number: needs[number] | draw(st.sets(st.just(99))) for number in order}


class Story:
    """What was told of each step; its act ends after as many turns of the loop as `slow` says."""

    def __init__(self, steps: Steps, failing: set[int], slow: Mapping[int, int]) -> None:
        self.steps, self.failing, self.slow = steps, failing, slow
        self.told: dict[int, list[Progress]] = {number: [] for number in steps}
        self.running: set[int] = set()

    async def act(self, number: int) -> None:
        done = {one for one, told in self.told.items() if Progress.DONE in told}
        assert self.steps[number] & set(self.steps) <= done
        self.running.add(number)
        for _ in range(self.slow.get(number, 0)):
            await asyncio.sleep(0)
        self.running.remove(number)
        if number in self.failing:
            raise Unavailable(f"{number} fails")

    def tell(self, number: int, progress: Progress, failure: WeftError | None) -> None:
        assert (failure is not None) == (progress is Progress.FAILED)
        self.told[number].append(progress)


def doomed(steps: Steps, failing: set[int]) -> set[int]:
    """Everything that depends on a failing step, directly or not."""
    gone: set[int] = set()
    for number in sorted(steps):
        if steps[number] & (gone | failing):
            gone.add(number)
    return gone


@given(graphs(), st.sets(st.integers(0, 8)), st.dictionaries(st.integers(0, 8), st.integers(0, 5)))
def test_what_can_be_done_is_done_and_nothing_else(steps: Steps, failing: set[int], slow: dict[int, int]) -> None:
    story = Story(steps, failing, slow)
    asyncio.run(carry_out(steps, story.act, story.tell))
    skipped = doomed(steps, failing)
    for number, told in story.told.items():
        if number in skipped:
            assert told == [Progress.SKIPPED]
        else:
            assert told == [Progress.BEGUN, Progress.FAILED if number in failing else Progress.DONE]


@given(graphs(), st.integers(0, 8))
def test_what_has_begun_when_it_is_to_stop_is_done_to_its_end(steps: Steps, last: int) -> None:
    stop, story = asyncio.Event(), Story(steps, set(), dict.fromkeys(steps, 3))

    def tell(number: int, progress: Progress, failure: WeftError | None) -> None:
        story.tell(number, progress, failure)
        if number == last and progress is Progress.DONE:
            stop.set()

    asyncio.run(carry_out(steps, story.act, tell, stop))
    assert not story.running
    for told in story.told.values():
        assert told in ([Progress.BEGUN, Progress.DONE], [Progress.SKIPPED])


def test_a_defect_ends_it_after_what_was_begun() -> None:
    done = []

    async def act(number: int) -> None:
        await asyncio.sleep(0)
        if number == 1:
            raise ZeroDivisionError
        await asyncio.sleep(0)
        done.append(number)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(carry_out({1: set(), 2: set(), 3: {2}}, act, lambda *_: None))
    assert done == [2]


def test_those_that_can_begin_at_once_do_in_their_order() -> None:
    begun: list[int] = []

    def tell(number: int, progress: Progress, _failure: WeftError | None) -> None:
        if progress is Progress.BEGUN:
            begun.append(number)

    async def act(_number: int) -> None:
        await asyncio.sleep(0)

    asyncio.run(carry_out({3: set(), 1: set(), 2: {3}, 4: {1}, 5: set()}, act, tell))
    assert begun[:3] == [3, 1, 5] and set(begun[3:]) == {2, 4}
