"""How much time machines may take of who reads from them; clocks are not real, and nobody waits."""

import asyncio

import pytest

from weft.guest.pace import LIGHT, Cost, Pace


class Hand:
    """A clock that goes on by hand, and a sleep that notes for how long."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def make_cost(hand: Hand) -> Cost:
    return Cost(Pace(hand.sleep), hand, hand)


async def work(cost: Cost, hand: Hand, seconds: float, *, after: float = 0.0) -> None:
    hand.now += after
    cost.begin()
    hand.now += seconds
    await cost.end()


async def test_who_costs_much_rests_as_long_as_he_worked() -> None:
    hand = Hand()
    cost = make_cost(hand)
    for _ in range(10):
        await work(cost, hand, 0.005)
    assert hand.slept == pytest.approx([0.005] * 10)


async def test_a_little_now_and_then_costs_nothing_and_much_of_it_does() -> None:
    hand = Hand()
    cost = make_cost(hand)
    for _ in range(100):
        await work(cost, hand, LIGHT * 0.3, after=LIGHT)
    assert hand.slept == []
    for _ in range(10):
        await work(cost, hand, LIGHT * 0.3)
    assert sum(hand.slept) == pytest.approx(2 * 1.2 * LIGHT)


async def test_several_have_half_of_the_time_together() -> None:
    slept: list[float] = []
    go_on = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            go_on.set()
        await go_on.wait()

    pace = Pace(sleep)
    await asyncio.gather(*(pace.rest(1.0) for _ in range(3)))
    await pace.rest(1.0)
    assert slept == [1.0, 3.0, 5.0, 1.0]
