"""So often, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from weft.plan.allowance import Allowance


def test_a_burst_and_then_what_comes_back() -> None:
    allowance = Allowance(3, 2.0)
    assert [allowance.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.passed_over == 1
    assert not allowance.take(10.4)
    assert allowance.passed_over == 2
    assert allowance.take(10.5)
    assert allowance.passed_over == 0


def test_a_clock_that_jumps_back_gives_nothing_and_takes_nothing() -> None:
    allowance = Allowance(1, 1.0)
    assert allowance.take(100.0)
    assert not allowance.take(50.0)
    assert allowance.take(51.0)


@given(st.integers(1, 5), st.floats(0.1, 10), st.lists(st.floats(0, 5), max_size=50))
def test_never_more_than_the_burst_and_what_came_back(burst: int, rate: float, pauses: list[float]) -> None:
    allowance, now, taken = Allowance(burst, rate), 0.0, 0
    for pause in pauses:
        now += pause
        taken += allowance.take(now)
    assert taken <= burst + now * rate + 1e-6
