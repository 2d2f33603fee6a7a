"""The host's ledger: sums agree, minima and guarantees hold, whatever is asked in whatever order."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.elastic import MemoryMode, Resource
from weft.plan.elastic.memory import BLOCK
from weft.plan.ledger.accounts import HEADROOM, HostAccount, Ledger, MachineAccount, RoomAccount
from weft.plan.ledger.admission import admit, grow, guarantee
from weft.plan.ledger.lending import Loan, find_loans
from weft.plan.ledger.reclaiming import give_back, reclaim
from weft.plan.ledger.shares import divide, plan_weights
from weft.plan.ledger.tension import CALM, Tension, judge

MIB, GIB = 1 << 20, 1 << 30
HOST = HostAccount(memory=9 * GIB, cpus=4, available=9 * GIB, reserve=GIB)
ROOMS = ("a", "b", "c")
BALLOON, PLUG = MemoryMode.BALLOON, MemoryMode.VIRTIO_MEM

sizes = st.integers(16, 2048).map(lambda number: number * BLOCK)


@st.composite
def accounts(draw: st.DrawFn) -> list[MachineAccount]:
    """Machines of three rooms, of all kinds."""
    machines = []
    for number in range(draw(st.integers(0, 8))):
        minimum, lent = draw(sizes), draw(st.integers(0, 1024)) * BLOCK
        mode = draw(st.sampled_from(MemoryMode))
        granted = minimum if mode is MemoryMode.FIXED else minimum + lent
        used = draw(st.none() | st.integers(0, granted))
        gave = draw(st.integers(0, 512)) * BLOCK if mode is not MemoryMode.FIXED else 0
        machines.append(
            MachineAccount(
                room=draw(st.sampled_from(ROOMS)),
                name=f"m{number}",
                minimum=minimum,
                granted=granted,
                used=used,
                idle=draw(st.booleans()),
                mode=mode,
                before=granted + gave if gave else 0,
            )
        )
    return machines


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Ledgers as they come about: everything in them was admitted, granted or guaranteed."""
    rooms = {name: RoomAccount(name) for name in ROOMS}
    host = replace(HOST, memory_overcommit=draw(st.sampled_from([0.5, 1.0, 1.5])))
    ledger = Ledger(host, (), rooms)
    for name in ROOMS:
        limit = draw(st.none() | sizes)
        most = 1 << 40 if limit is None else limit
        room = RoomAccount(name, memory=min(most, draw(st.just(0) | sizes)), max_memory=limit)
        ledger = ledger if guarantee(ledger, room) else ledger.with_room(room)
    for machine in draw(accounts()):
        start = replace(machine, granted=machine.minimum)
        if admit(ledger, start) is None:
            ledger = ledger.with_machine(start)
            if grow(ledger, start, Resource.MEMORY, machine.lent) is None:
                ledger = ledger.with_machine(machine)
    return ledger


def machine(name: str, minimum: int, granted: int | None = None, room: str = "a", **rest: Any) -> MachineAccount:
    """An account in MiB."""
    granted = minimum if granted is None else granted
    return replace(MachineAccount(room, name, minimum * MIB, granted * MIB), **rest)


@given(ledgers())
def test_sums_agree(ledger: Ledger) -> None:
    assert ledger.granted == sum(map(ledger.granted_to, ledger.names))
    assert ledger.promised == sum(max(ledger.room(name).memory, ledger.minima_of(name)) for name in ledger.names)
    assert ledger.free + ledger.granted == max(ledger.host.capacity, ledger.granted)


@given(ledgers())
def test_no_order_of_requests_promises_more_than_there_is(ledger: Ledger) -> None:
    assert ledger.promised <= ledger.host.capacity
    for name, room in ledger.rooms.items():
        assert room.max_memory is None or ledger.granted_to(name) <= room.max_memory


@given(ledgers(), st.sampled_from(ROOMS), st.data())
def test_a_guarantee_can_always_be_claimed(ledger: Ledger, room: str, data: st.DataObject) -> None:
    """However much of it is lent: the ledger has no word against a start within it."""
    account = ledger.room(room)
    unused = account.memory - ledger.minima_of(room)
    if unused < BLOCK:
        return
    start = machine("new", 0, room=room)
    start = replace(start, minimum=unused, granted=unused)
    if ledger.granted_to(room) + unused <= (account.max_memory or 1 << 40):
        assert admit(ledger, start) is None
        grown = data.draw(st.integers(0, unused // BLOCK)) * BLOCK
        if (mine := ledger.machines_of(room)) and ledger.granted_to(room) + grown <= account.memory:
            assert grow(ledger, mine[0], Resource.MEMORY, grown) is None


@given(ledgers(), st.integers(0, 8192))
def test_a_reclaim_takes_what_it_can_and_nobody_goes_below_minimum_or_need(ledger: Ledger, blocks: int) -> None:
    shortage, changes = blocks * BLOCK, reclaim(ledger, blocks * BLOCK)
    gained = sum(change.gives for change in changes)
    for change in changes:
        giver = ledger.find(change.room, change.name)
        assert giver is not None and giver.mode is not MemoryMode.FIXED
        assert max(giver.minimum, giver.needs) <= change.after < change.before == giver.granted
        assert change.gives % BLOCK == 0
    possible = sum((one.granted - one.needs) // BLOCK * BLOCK for one in ledger.machines)
    assert gained == min(shortage, possible)


@given(ledgers(), st.integers(1, 8192))
def test_busy_machines_give_only_what_idle_ones_of_the_same_standing_do_not_have(ledger: Ledger, blocks: int) -> None:
    plain = Ledger(ledger.host, ledger.machines, {})  # without guarantees all stand alike
    changes = {(change.room, change.name): change for change in reclaim(plain, blocks * BLOCK)}
    busy = [key for key in changes if not (giver := plain.find(*key)) or not giver.idle]
    if busy:
        for idle in (one for one in plain.machines if one.idle and one.mode is not MemoryMode.FIXED):
            left = changes[idle.key].after if idle.key in changes else idle.granted
            assert left - idle.needs < BLOCK


@given(ledgers(), st.integers(0, 4096))
def test_what_was_given_comes_back_and_no_more(ledger: Ledger, blocks: int) -> None:
    changes = give_back(ledger, blocks * BLOCK)
    assert sum(-change.gives for change in changes) <= min(blocks * BLOCK, ledger.free)
    after = ledger
    for change in changes:
        giver = ledger.find(change.room, change.name)
        assert giver is not None and giver.granted < change.after <= giver.before
        after = after.with_machine(replace(giver, granted=change.after))
    for name, room in ledger.rooms.items():
        assert room.max_memory is None or after.granted_to(name) <= room.max_memory


@given(ledgers())
def test_loans_come_from_what_is_not_used_and_go_to_who_has_more_than_promised(ledger: Ledger) -> None:
    loans = find_loans(ledger)
    for name in ledger.names:
        lent = sum(loan.memory for loan in loans if loan.lender == name)
        borrowed = sum(loan.memory for loan in loans if loan.borrower == name)
        assert lent <= max(0, ledger.promised_to(name) - ledger.granted_to(name))
        assert borrowed <= max(0, ledger.granted_to(name) - ledger.promised_to(name))
        assert not (lent and borrowed)
    over = sum(max(0, ledger.granted_to(name) - ledger.promised_to(name)) for name in ledger.names)
    unpromised = ledger.host.capacity - ledger.promised
    idle = sum(max(0, ledger.promised_to(name) - ledger.granted_to(name)) for name in ledger.names)
    assert sum(loan.memory for loan in loans) == min(max(0, over - unpromised), idle)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**5), max_size=8))
def test_parts_are_in_proportion_and_add_up(amount: int, claims: list[int]) -> None:
    parts, total = divide(amount, claims), sum(claims)
    assert sum(parts) == min(amount, total)
    for part, claim in zip(parts, claims, strict=True):
        assert 0 <= part <= claim
        assert amount >= total or abs(part - amount * claim / total) < 1


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 0.7)),
)
def test_weights_give_each_room_what_it_is_guaranteed(weights: dict[str, int], guarantees: dict[str, float]) -> None:
    """Of four processors, when all want more."""
    found = plan_weights(4, guarantees, weights)
    total = sum(found.values())
    for name in weights:
        assert 1 <= found[name] <= 10_000
        share = 4 * found[name] / total
        assert share >= guarantees.get(name, 0.0) * 0.99 - 0.01 * len(weights) or found[name] == 1
    if not guarantees:
        assert found == weights


def test_guarantees_of_all_processors_leave_the_others_the_least_there_is() -> None:
    found = plan_weights(2, {"a": 2.0}, {"a": 100, "b": 100})
    assert found["a"] == 10_000 and found["b"] < 200
    assert plan_weights(2, {}, {}) == {}


def test_a_start_beyond_what_can_be_promised_is_refused_with_the_numbers() -> None:
    ledger = Ledger(replace(HOST, memory=GIB + 100 * MIB), (machine("one", 64),))
    refusal = admit(ledger, machine("two", 64))
    assert refusal is not None and not refusal.shortage
    assert refusal.reason == "the host has no memory to promise: 64 MiB are wanted, 64 MiB of 100 MiB are promised", (
        refusal
    )
    assert "memory_overcommit" in refusal.hint
    assert admit(replace_host(ledger, memory_overcommit=2.0), machine("two", 64)) is None


def test_a_host_that_is_short_refuses_whatever_the_ledger_says() -> None:
    ledger = Ledger(replace(HOST, available=GIB + 32 * MIB))
    refusal = admit(ledger, machine("one", 64))
    assert refusal is not None and refusal.shortage == 32 * MIB and "1056 MiB are left" in refusal.reason


def test_processors_can_be_bounded_too() -> None:
    ledger = Ledger(replace(HOST, cpu_overcommit=1.0), (machine("one", 64, cpus_minimum=3, cpus_granted=3),))
    refusal = admit(ledger, machine("two", 64, cpus_minimum=2))
    assert refusal is not None and "3 of 4 are promised" in refusal.reason
    assert admit(ledger, machine("two", 64)) is None
    grown = grow(ledger, ledger.machines[0], Resource.CPUS, 2)
    assert grown is not None and "no processors to grant" in grown.reason
    assert grow(ledger, ledger.machines[0], Resource.CPUS, 1) is None
    assert grow(replace_host(ledger, cpu_overcommit=None), ledger.machines[0], Resource.CPUS, 60) is None


def test_limits_of_a_room_bound_its_machines() -> None:
    room = RoomAccount("a", max_memory=256 * MIB, max_cpus=1.5)
    ledger = Ledger(HOST, (machine("one", 128),), {"a": room})
    refusal = admit(ledger, machine("two", 192))
    assert refusal is not None
    assert refusal.reason == "room 'a' may have 256 MiB: 192 MiB more are too much, its machines have 128 MiB"
    refusal = grow(ledger, ledger.machines[0], Resource.MEMORY, 192 * MIB)
    assert refusal is not None and "192 MiB more are too much" in refusal.reason
    assert grow(ledger, ledger.machines[0], Resource.CPUS, 1) is None
    refusal = grow(ledger, ledger.machines[0], Resource.CPUS, 2)
    assert refusal is not None and "1.5 processors" in refusal.reason


def test_guarantees_go_as_far_as_there_is_something() -> None:
    ledger = Ledger(HOST, (machine("one", 2048),), {"b": RoomAccount("b", memory=2 * GIB, cpus=3)})
    refusal = guarantee(ledger, RoomAccount("c", memory=5 * GIB))
    assert refusal is not None
    assert refusal.reason == "room 'c' cannot be guaranteed 5120 MiB: 4096 MiB of 8192 MiB are promised to others"
    assert guarantee(ledger, RoomAccount("c", memory=4 * GIB)) is None
    assert guarantee(ledger, RoomAccount("a", memory=2 * GIB)) is None
    refusal = guarantee(ledger, RoomAccount("c", cpus=1.5))
    assert refusal is not None and "the host has 4" in refusal.reason


def test_growth_within_a_guarantee_is_not_held_up_by_what_others_have_borrowed() -> None:
    lent = machine("big", 1024, 8192 - 128, room="b", mode=PLUG)
    mine = machine("small", 128, mode=PLUG)
    ledger = Ledger(HOST, (lent, mine), {"a": RoomAccount("a", memory=GIB)})
    assert grow(ledger, mine, Resource.MEMORY, 512 * MIB) is None
    refusal = grow(ledger, lent, Resource.MEMORY, 512 * MIB)
    assert refusal is not None and refusal.shortage == 512 * MIB
    assert find_loans(ledger) == [Loan("a", "b", (1024 - 128) * MIB)]
    (change,) = reclaim(ledger.with_machine(replace(lent, used=GIB)), 512 * MIB)
    assert (change.name, change.gives) == ("big", 512 * MIB)


def test_the_balloon_gives_before_virtio_mem_and_idle_machines_before_busy_ones() -> None:
    used: dict[str, Any] = {"used": 10 * MIB}
    ledger = Ledger(
        HOST,
        (
            machine("plug", 128, 512, mode=PLUG, idle=True, **used),
            machine("balloon", 128, 512, mode=BALLOON, idle=True, **used),
            machine("busy", 128, 512, mode=BALLOON, **used),
        ),
    )
    assert [change.name for change in reclaim(ledger, 300 * MIB)] == ["balloon"]
    assert [change.name for change in reclaim(ledger, 500 * MIB)] == ["plug", "balloon"]
    assert [change.name for change in reclaim(ledger, 900 * MIB)] == ["plug", "balloon", "busy"]


def test_gifts_are_in_proportion() -> None:
    used: dict[str, Any] = {"used": 10 * MIB, "mode": PLUG, "idle": True}
    ledger = Ledger(HOST, (machine("one", 128, 1128, **used), machine("two", 128, 428, **used)))
    assert {change.name: change.gives // MIB for change in reclaim(ledger, 260 * MIB)} == {"one": 200, "two": 60}


def test_who_uses_its_memory_keeps_it_and_some_headroom() -> None:
    (change,) = reclaim(Ledger(HOST, (machine("one", 128, 1024, used=100 * MIB, mode=PLUG),)), GIB)
    assert change.after == 100 * MIB + HEADROOM
    assert reclaim(Ledger(HOST, (machine("two", 128, 1024, mode=PLUG),)), GIB) == []


def test_a_room_within_its_guarantee_gives_last() -> None:
    used: dict[str, Any] = {"used": 10 * MIB, "mode": PLUG, "idle": True}
    rooms = {"a": RoomAccount("a", memory=GIB)}
    ledger = Ledger(HOST, (machine("mine", 128, 1024, **used), machine("theirs", 128, 512, room="b", **used)), rooms)
    assert [change.name for change in reclaim(ledger, 384 * MIB)] == ["theirs"]
    assert [change.name for change in reclaim(ledger, 400 * MIB)] == ["mine", "theirs"]


def test_a_host_is_short_below_its_reserve_and_has_plenty_after_a_while_above_twice_that() -> None:
    short = judge(Tension(), replace(HOST, available=GIB - 1), None, now=100.0)
    assert short.tension.tight and short.shortage == GIB + 1
    between = judge(short.tension, replace(HOST, available=GIB + MIB), None, now=200.0)
    assert between.tension == Tension(True, 200.0) and not between.shortage and not between.plenty
    soon = judge(between.tension, HOST, None, now=201.0)
    assert soon.tension.tight and not soon.plenty
    later = judge(soon.tension, HOST, 0.0, now=200.0 + CALM)
    assert not later.tension.tight and later.plenty == 7 * GIB


def test_a_host_where_programs_wait_for_memory_is_short_before_its_reserve_is_touched() -> None:
    verdict = judge(Tension(), replace(HOST, available=2 * GIB - MIB), 50.0, now=1.0)
    assert verdict.tension.tight and verdict.shortage == GIB // 2
    assert not judge(Tension(), HOST, 50.0, now=1.0).tension.tight, "somebody has a limit of his own"


@pytest.mark.parametrize("reserve", [0, GIB])
def test_a_host_that_was_never_short_changes_nothing(reserve: int) -> None:
    tension = Tension()
    for now in range(100):
        verdict = judge(tension, replace(HOST, reserve=reserve), 0.0, float(now))
        tension = verdict.tension
        assert not tension.tight and not verdict.shortage


def replace_host(ledger: Ledger, **changes: Any) -> Ledger:
    """With another host."""
    return replace(ledger, host=replace(ledger.host, **changes))
