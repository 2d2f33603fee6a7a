"""What is kept of what a machine used: nothing is lost or counted twice, and it takes no more memory than it may."""

import math
import struct
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.model.elastic import Resource
from weft.model.history import HistoryPoint
from weft.plan.history import FLOWS, LEVELS, ROW_SIZE, SHAPES, History, Ring, find_size_changes

START = 1_800_000_000.0
"""The beginning of a minute."""

looks = st.lists(st.tuples(st.floats(0.01, 500), st.integers(0, 1000)), min_size=1, max_size=30)


def follow(steps: Sequence[tuple[float, int]]) -> tuple[History, float, int]:
    """A machine that was looked at after these times, and had used so many seconds more each time."""
    history, at, used = History(), START, 0
    history.count(at, 1, {"cpu": used})
    for seconds, more in steps:
        at, used = at + seconds, used + more
        history.count(at, 1, {"cpu": used})
    return history, at, used


def total(points: Sequence[HistoryPoint], begin: float, end: float) -> float:
    """What flowed in all, of a time that was counted without a gap."""
    return sum((point.cpu or 0.0) * (min(point.time + point.seconds, end) - max(point.time, begin)) for point in points)


@given(steps=looks)
def test_all_that_was_counted_is_in_the_steps(steps: list[tuple[float, int]]) -> None:
    history, end, used = follow(steps)
    if end - START < 80_000:
        assert total(list(history.lasting.points(START, end)), START, end) == pytest.approx(used, rel=1e-4, abs=1e-3)


@given(steps=looks, since=st.floats(0, 10_000), seconds=st.floats(1, 10_000))
def test_steps_are_in_order_within_the_time_and_do_not_overlap(
    steps: list[tuple[float, int]], since: float, seconds: float
) -> None:
    history, _, _ = follow(steps)
    points = history.points(START + since, START + since + seconds)
    for before, after in pairwise(points):
        assert before.time + before.seconds <= after.time
    for point in points:
        assert point.time < START + since + seconds
        assert point.time + point.seconds > START + since


@given(jumps=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_a_clock_that_jumps_breaks_nothing(jumps: list[float]) -> None:
    history, at = History(), START
    for number, jump in enumerate(jumps):
        at += jump
        history.count(at, 1, {"cpu": number})
        history.note(at, {"resident": 1})
    points = history.points(at - 600, at + 1)
    (now,) = [point for point in points if point.time <= at < point.time + point.seconds]
    assert now.resident == 1
    assert all(point.cpu is None or point.cpu >= 0 for point in points)


@settings(max_examples=20)
@given(steps=st.lists(st.floats(1, 100_000), min_size=1, max_size=50))
def test_it_takes_no_more_memory_whatever_comes(steps: list[float]) -> None:
    ring, at = Ring(10, 6), START
    for step in steps:
        ring.add_flow(0, at, at + step, 1.0)
        at += step
    pieces = ring.take_finished(at + 100)
    assert len(pieces) <= 6
    assert all(piece.place + ROW_SIZE <= 6 * ROW_SIZE for piece in pieces)
    assert len(list(ring.points(0, at))) <= 6


@given(steps=looks)
def test_what_was_taken_and_loaded_is_the_same(steps: list[tuple[float, int]]) -> None:
    history, end, _ = follow(steps)
    kept = bytearray(SHAPES[-1][1] * ROW_SIZE)
    for piece in history.lasting.take_finished(end + 60):
        kept[piece.place : piece.place + ROW_SIZE] = piece.data
    again = Ring(*SHAPES[-1])
    again.load(bytes(kept))
    assert list(again.points(START, end)) == list(history.lasting.points(START, end))
    assert again.take_finished(end) == []


@given(values=st.lists(st.floats(width=32), min_size=18, max_size=18), rest=st.binary(max_size=2 * ROW_SIZE))
def test_whatever_was_kept_can_be_loaded(values: list[float], rest: bytes) -> None:
    ring = Ring(60, 10)
    number = int(START // 60)
    ring.load(bytes(number % 10 * ROW_SIZE) + struct.pack("=q18f", number, *values) + rest)
    for point in ring.points(START, START + 600):
        assert point.seconds == 60
        assert all(value is None or math.isfinite(value) for value in point.model_dump().values())


def test_the_step_that_goes_on_is_not_finished() -> None:
    ring = Ring(60, 10)
    ring.add_levels(START + 30, {"cpus": 1})
    assert ring.take_finished(START + 59) == []
    assert [piece.place for piece in ring.take_finished(START + 60)] == [int(START // 60) % 10 * ROW_SIZE]
    assert ring.take_finished(START + 61) == []


def test_flows_are_means_and_levels_the_highest() -> None:
    history = History()
    for second, used in enumerate((0.0, 1.0, 1.0, 1.5)):
        history.count(START + second, 1, {"cpu": used, "received": 1000 * used})
        history.note(START + second, {"memory_used": 100 + 10 * (second % 2), "cpu_pressure": 2.5})
    (point,) = history.points(START, START + 10)
    assert (point.time, point.seconds, point.cpu, point.received) == (START, 10, 0.5, 500)
    assert (point.memory_used, point.cpu_pressure, point.cpus, point.read) == (110, 2.5, None, None)


def test_a_counter_that_falls_or_is_of_another_run_begins_anew() -> None:
    history = History()
    history.count(START, 1, {"cpu": 50.0, "read": 10})
    history.count(START + 10, 1, {"cpu": 1.0, "read": 20})
    history.count(START + 20, 2, {"cpu": 9.0, "read": 30})
    history.count(START + 30, 2, {"cpu": 9.5})
    history.count(START + 40, 2, {"cpu": 10.0, "read": 50})
    points = {int(point.time - START): point for point in history.points(START, START + 40)}
    assert {second: point.cpu for second, point in points.items()} == {0: None, 20: 0.05, 30: 0.05}
    assert {second: point.read for second, point in points.items()} == {0: 1, 20: 1, 30: 1}


def test_before_the_short_steps_come_the_long_ones() -> None:
    history = History()
    for second in range(0, 7200, 10):
        history.note(START + second, {"cpus": 1})
    seconds = [point.seconds for point in history.points(START, START + 7200)]
    assert seconds == [60] * 60 + [10] * 360


def test_changes_of_size() -> None:
    sizes = [(1, 64), (1, 64), (2, 64), (2, None), (2, 128), (1, 128)]
    points = [HistoryPoint(time=10 * n, seconds=10, cpus=cpus, memory_granted=memory)
              for n, (cpus, memory) in enumerate(sizes)]  # fmt: skip
    found = [(change.time, change.resource, change.before, change.after) for change in find_size_changes(points)]
    assert found == [(20, Resource.CPUS, 1, 2), (40, Resource.MEMORY, 64, 128), (50, Resource.CPUS, 2, 1)]


def test_every_flow_and_level_is_shown() -> None:
    shown = set(HistoryPoint.model_fields) - {"time", "seconds"}
    assert shown == {*FLOWS, *LEVELS}
