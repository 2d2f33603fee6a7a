"""When machines grow and shrink by themselves, with a clock that is only counted."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.elastic_models import MIB, Load, PaperMachine

from weft.model.elastic import ElasticPolicy, Resource
from weft.model.errors import Invalid
from weft.plan.elastic.past import FIRST_PAUSE, LONGEST_PAUSE, Change, Past, note_ask, note_change, note_refusal
from weft.plan.elastic.policy import decide
from weft.plan.elastic.samples import Sample
from weft.plan.elastic.settling import Extent

CPUS, MEMORY = Resource.CPUS, Resource.MEMORY
HOUR = 3600.0
POLICY = ElasticPolicy()


def threads(count: int, duty: float = 1.0, memory: int = 20 * MIB) -> Load:
    return Load(cpus=count * duty, threads=count, memory=memory)


def idle_then(load: Load, at: float) -> PaperMachine:
    return PaperMachine(lambda now, _cpus: load if now > at else Load())


# A load that comes and goes.


def test_busy_programs_get_processors_within_ten_seconds() -> None:
    machine = idle_then(threads(4), 30).run(40)
    assert machine.sizes(CPUS) == [4]
    assert machine.last[CPUS].target is None


def test_one_busy_program_needs_no_second_processor() -> None:
    machine = PaperMachine(lambda _now, _cpus: threads(1)).run(HOUR)
    assert machine.changes == []


def test_programs_that_wait_in_a_machine_with_idle_processors_get_no_more() -> None:
    pinned = PaperMachine(lambda _now, _cpus: Load(cpus=1, threads=8), cpus=Extent(1, 8, 4)).run(60)
    assert pinned.sizes(CPUS) == []


def test_a_machine_is_small_again_after_some_minutes() -> None:
    machine = PaperMachine(lambda now, _cpus: threads(4) if now < 60 else Load(cpus=0.1)).run(
        60 + POLICY.down_after + 10
    )
    assert machine.sizes(CPUS) == [4, 1]
    assert "0.1 CPUs were busy" in machine.changes[-1][1].why


def test_a_guest_that_seldom_runs_is_busy_all_the_same() -> None:
    """A kernel that the host lets run half of the time counts half of the ticks; it is not idle for that."""
    samples = [Sample(float(at), 1, 128 * MIB, 0.5 * at, 3.0, 2, 1.0 * at) for at in range(5)]
    assert decide(POLICY, CPUS, Extent(1, 4, 1), samples, Past(), 4.0).target == 2
    idle = [replace(sample, idle=0.5 * sample.at) for sample in samples]
    assert decide(POLICY, CPUS, Extent(1, 4, 1), idle, Past(), 4.0).target is None


def test_a_fork_storm_gets_no_more_than_a_step_at_once() -> None:
    machine = PaperMachine(lambda _now, _cpus: threads(300), cpus=Extent(1, 64, 1)).run(30)
    assert machine.sizes(CPUS)[:2] == [4, 16]
    assert machine.cpus.now == 64


def test_a_program_that_takes_memory_gets_it_before_it_runs_out() -> None:
    """40 MiB a second, up to 2 GiB."""
    machine = PaperMachine(lambda now, _cpus: Load(memory=int(min(60 + 40 * max(0, now - 10), 2048) * MIB)))
    for _ in range(100 * 4):
        machine.run(0.25, step=0.25)
        sample = machine.samples[-1]
        assert sample.available is not None
        assert sample.available > 0, f"out of memory at {machine.now}"
    assert machine.memory.now > 2048 * MIB


def test_memory_that_is_short_is_given_at_the_first_look() -> None:
    machine = idle_then(Load(memory=122 * MIB), 30).run(31)
    assert machine.sizes(MEMORY) == [192 * MIB]


def test_a_kernel_that_has_killed_for_want_of_memory_gets_more() -> None:
    before = Sample(0.0, 1, 128 * MIB, available=50 * MIB)
    after = Sample(0.5, 1, 128 * MIB, available=50 * MIB, oom_kills=1)
    decision = decide(POLICY, MEMORY, Extent(128 * MIB, 512 * MIB, 128 * MIB), [before, after], Past(), 0.5)
    assert decision.target == 192 * MIB
    roomy = [Sample(at, 1, 128 * MIB, available=100 * MIB, oom_kills=kills) for at, kills in ((0.0, 0), (0.5, 1))]
    still = decide(POLICY, MEMORY, Extent(128 * MIB, 512 * MIB, 128 * MIB), roomy, Past(), 0.5)
    assert still.target is None, "a limit of its own"


def test_programs_that_wait_for_memory_get_more_within_two_seconds() -> None:
    machine = PaperMachine(
        lambda now, _cpus: Load(memory=80 * MIB, stalls=lambda size: 0.5 if now > 30 and size < 190 * MIB else 0)
    )
    machine.run(32)
    assert machine.memory.now == 192 * MIB


def test_a_size_that_was_too_small_for_a_hidden_want_is_avoided_for_an_hour() -> None:
    """Cache that is read again and again fits into 400 MiB, and does not count as used."""
    machine = PaperMachine(
        lambda _now, _cpus: Load(memory=70 * MIB, stalls=lambda size: 0.0 if size >= 400 * MIB else 0.6)
    )
    machine.run(60)
    climbed = machine.sizes(MEMORY)
    assert climbed == sorted(climbed)
    assert machine.memory.now >= 400 * MIB
    machine.run(0.9 * HOUR)
    assert machine.sizes(MEMORY) == climbed
    machine.run(HOUR)
    assert machine.count(MEMORY) <= len(climbed) + 2, "it tries once, and avoids it for longer then"
    assert machine.pasts[MEMORY].bar_span == 2 * POLICY.remember


def test_cache_that_fills_memory_is_no_need() -> None:
    machine = PaperMachine(lambda _now, _cpus: Load(memory=60 * MIB)).run(HOUR)
    assert machine.changes == []


def test_the_kernel_has_back_what_it_needs_to_keep_account() -> None:
    """72 MiB of 4.5 GiB: with it a machine could not go back to 64 MiB."""
    size = 4608 * MIB
    samples = [Sample(float(at), 1, size, available=size - 30 * MIB - size // 64) for at in range(400)]
    extent = Extent(64 * MIB, size, size, books=1 / 64)
    assert decide(POLICY, MEMORY, extent, samples, Past(), 399.0).target == 64 * MIB
    assert decide(POLICY, MEMORY, Extent(64 * MIB, size, size), samples, Past(), 399.0).target == 158 * MIB


def test_seen_from_outside_a_load_has_to_last_longer() -> None:
    machine = PaperMachine(lambda now, _cpus: threads(3) if now > 30 else Load(), seen_from="outside")
    machine.run(35)
    assert machine.cpus.now == 1
    machine.run(30)
    assert machine.cpus.now == 4
    assert "from outside" in machine.changes[0][1].why
    machine.run(HOUR)
    assert machine.cpus.now == 4


# Who asks, and who refuses.


def test_what_the_guest_asks_for_comes_at_once_and_stays_for_a_while() -> None:
    machine = PaperMachine(lambda _now, _cpus: Load()).run(10)
    machine.pasts[CPUS] = note_ask(Past(), 3, machine.now, POLICY)
    machine.pasts[MEMORY] = note_ask(Past(), 1 << 40, machine.now, POLICY)
    machine.run(1)
    assert machine.cpus.now == 3
    assert machine.memory.now == machine.memory.maximum
    assert machine.changes[0][1].why == "it has asked for 3 CPUs"
    machine.run(POLICY.ask_holds - 10)
    assert machine.cpus.now == 3
    assert "it has asked for it" in machine.last[CPUS].waits_for
    machine.run(20)
    assert machine.cpus.now == 1


def test_who_asks_for_less_than_it_has_gives_up_what_it_asked_for_before() -> None:
    machine = PaperMachine(lambda _now, _cpus: Load(), cpus=Extent(1, 8, 3)).run(350)
    assert machine.cpus.now == 1
    past = note_ask(note_ask(Past(), 3, 0.0, POLICY), 1, 1.0, POLICY)
    assert past.find_bar(2.0) is not None
    decision = decide(POLICY, CPUS, Extent(1, 8, 3), machine.samples, past, machine.now)
    assert decision.target == 1


def test_a_refusal_is_waited_out_for_longer_each_time() -> None:
    tries: list[float] = []
    machine = idle_then(threads(4), 10)

    def refuse(resource: Resource, _size: int) -> str:
        if resource is CPUS:
            tries.append(machine.now)
        return "the host has no more"

    machine.refuses = refuse
    machine.run(HOUR)
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert machine.last[CPUS].waits_for.endswith("to pass: the host has no more")


def test_a_guest_that_does_not_let_go_is_asked_again_later() -> None:
    machine = PaperMachine(lambda _now, _cpus: Load(), cpus=Extent(1, 8, 4), refuses=lambda *_: "pinned").run(400)
    assert "then 1 CPU: pinned" in machine.last[CPUS].waits_for
    assert note_refusal(machine.pasts[CPUS], "short", machine.now, grow=True).refusal.pause == FIRST_PAUSE  # type: ignore[union-attr]


def test_a_change_by_hand_is_left_alone_for_some_minutes() -> None:
    machine = PaperMachine(lambda _now, _cpus: Load()).run(HOUR)
    machine.set(CPUS, 4)
    machine.pasts[CPUS] = note_change(Past(), Change(machine.now, 1, 4, "weft scale"), POLICY)
    machine.run(POLICY.down_after - 5)
    assert machine.cpus.now == 4
    assert machine.last[CPUS].waits_for == "5s to pass since its last change, then 1 CPU"
    machine.run(10)
    assert machine.cpus.now == 1


# What it says.


def test_a_machine_at_its_limits_says_so() -> None:
    machine = PaperMachine(lambda _now, _cpus: threads(4), cpus=Extent(1, 2, 1)).run(30)
    assert machine.last[CPUS].waits_for == "nothing: 2 CPUs is all that it may have"
    assert machine.last[CPUS].why == "it was 100% busy for 3s, and programs waited 100% of that"
    assert machine.last[MEMORY].why == "it has its minimum"
    assert machine.last[MEMORY].waits_for == "less than 10% available, or programs that wait for memory"


def test_a_machine_that_nobody_has_seen_for_long_enough_stays() -> None:
    machine = PaperMachine(lambda _now, _cpus: Load(), cpus=Extent(1, 8, 4)).run(100)
    assert machine.last[CPUS].why == "it has not been seen for 5m yet"
    machine.now += 60
    machine.run(POLICY.down_after - 20)
    assert machine.cpus.now == 4, "what was seen before the gap does not count"


def test_nothing_is_decided_without_samples() -> None:
    for resource in Resource:
        assert decide(POLICY, resource, Extent(1, 4, 2), [], Past(), 0.0).target is None


@pytest.mark.parametrize("wrong", [{"cpu_comfort": 0.9}, {"memory_comfort": 0.9}, {"memory_step": 1.0}, {"mode": "on"}])
def test_a_policy_that_would_flap_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises((Invalid, ValueError)):
        ElasticPolicy.model_validate(wrong)


# Any load.

EXTENTS = st.tuples(st.integers(1, 16), st.integers(1, 64)).map(lambda pair: (min(pair), max(pair)))


@settings(max_examples=6)
@given(
    bounds=EXTENTS,
    count=st.integers(0, 24),
    duty=st.floats(0.46, 1.0),
    noise=st.sampled_from([0.0, 0.03, 0.08]),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_a_steady_load_of_processors_makes_one_change_an_hour_at_most(
    bounds: tuple[int, int], count: int, duty: float, noise: float, seed: int, data: st.DataObject
) -> None:
    least, most = bounds
    now = data.draw(st.integers(least, most))
    machine = PaperMachine(
        lambda _now, _cpus: threads(count, duty),
        cpus=Extent(least, most, now),
        noise=noise,
        random=Random(seed),
        policy=ElasticPolicy(cpu_step=64),
    )
    machine.run(HOUR)
    assert machine.count(CPUS) <= 1, machine.changes


@settings(max_examples=6)
@given(
    used=st.integers(20 * MIB, 1800 * MIB),
    now=st.integers(64, 1024).map(lambda blocks: 2 * blocks * MIB),
    noise=st.sampled_from([0.0, 0.01, 0.03]),
    seed=st.integers(0, 1000),
)
def test_a_steady_use_of_memory_makes_one_change_an_hour_at_most(used: int, now: int, noise: float, seed: int) -> None:
    now = max(now, used + 2 * MIB)
    machine = PaperMachine(
        lambda _now, _cpus: Load(memory=used),
        memory=Extent(128 * MIB, 4096 * MIB, now),
        noise=noise,
        random=Random(seed),
    )
    machine.run(HOUR)
    assert machine.count(MEMORY) <= 1, machine.changes
    assert machine.memory.now >= used


@settings(max_examples=6)
@given(
    share=st.floats(0.3, 3.0), most=st.integers(1, 32), noise=st.sampled_from([0.0, 0.05]), seed=st.integers(0, 1000)
)
def test_a_load_that_grows_with_the_machine_only_ever_grows_it(
    share: float, most: int, noise: float, seed: int
) -> None:
    """As programs do that start a thread for each processor, or two."""
    machine = PaperMachine(
        lambda _now, cpus: Load(cpus=share * cpus, threads=round(share * cpus + 0.5)),
        cpus=Extent(1, most, 1),
        noise=noise,
        random=Random(seed),
    )
    machine.run(HOUR)
    assert machine.sizes(CPUS) == sorted(machine.sizes(CPUS))
    assert machine.count(CPUS, since=60) == 0


@settings(max_examples=3)
@given(
    period=st.floats(10, 1200),
    peak=st.integers(2, 8),
    low=st.floats(0.0, 0.5),
    memory=st.integers(200, 2000),
)
def test_a_sawtooth_does_not_flap(period: float, peak: int, low: float, memory: int) -> None:
    def program(now: float, _cpus: int) -> Load:
        high = now % period >= period / 2
        return Load(cpus=peak if high else low, threads=peak if high else 1, memory=(memory if high else 40) * MIB)

    machine = PaperMachine(program, memory=Extent(128 * MIB, 4096 * MIB, 128 * MIB)).run(HOUR)
    for resource in Resource:
        shrinks = [change for kind, change in machine.changes if kind is resource and not change.grew]
        assert len(shrinks) <= 2, machine.sizes(resource)


@settings(max_examples=3)
@given(
    loads=st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1), st.integers(10, 3000)), min_size=1, max_size=12),
    length=st.floats(5, 700),
)
def test_nothing_leads_outside_the_range_or_below_what_is_used(
    loads: list[tuple[int, float, int]], length: float
) -> None:
    def program(now: float, _cpus: int) -> Load:
        count, duty, memory = loads[int(now / length) % len(loads)]
        return Load(cpus=count * duty, threads=count, memory=memory * MIB)

    machine = PaperMachine(program, cpus=Extent(2, 6, 2), memory=Extent(256 * MIB, 2048 * MIB, 256 * MIB))
    while machine.now < HOUR:
        seen = len(machine.changes)
        machine.run(1)
        for resource, change in machine.changes[seen:]:
            if resource is MEMORY and not change.grew:
                used = machine.samples[-1].used
                assert used is not None
                assert change.after >= used + POLICY.memory_headroom


def test_what_the_host_counts_is_not_compared_with_what_the_guest_counts() -> None:
    """An agent that is late for a moment: the host's total of busy processors is another one, and no load."""
    guest = [Sample(at=float(second), cpus=1, memory=128 * MIB, busy=0.0, cpu_stalled=0.0) for second in range(60)]
    host = [Sample(at=60.0 + second, cpus=1, memory=128 * MIB, busy=500.0, outside=True) for second in range(12)]
    later = [Sample(at=72.0 + second, cpus=1, memory=128 * MIB, busy=0.1, cpu_stalled=0.0) for second in range(12)]
    samples = guest + host + later
    for end in range(1, len(samples) + 1):
        seen = samples[:end]
        assert decide(POLICY, CPUS, Extent(1, 4, 1), seen, Past(), seen[-1].at).target is None
