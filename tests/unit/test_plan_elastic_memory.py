"""Layouts, levers, floors and the way down, on paper."""

from hypothesis import given
from hypothesis import strategies as st

from weft.model.machine import MIN_MEMORY, Profile
from weft.plan.elastic.memory import (
    BLOCK,
    BOOKS,
    DESCRIBED,
    LEAST_HEADROOM,
    PIECE,
    REGION,
    STRIDE,
    MemoryLayout,
    find_floor,
    lay_out,
    plan_descent,
    plan_levers,
    plan_relief,
    round_up,
)

MIB, GIB = 1 << 20, 1 << 30
SIZES = st.integers(MIN_MEMORY, 64 * GIB)
PROFILES = st.sampled_from([Profile.MICROVM, Profile.Q35])


@given(PROFILES, SIZES, SIZES)
def test_a_layout_has_room_for_its_maximum_and_for_the_kernels_books(profile: Profile, one: int, two: int) -> None:
    minimum, maximum = sorted((one, two))
    layout = lay_out(profile, minimum, maximum)
    assert layout.boot >= minimum
    assert layout.boot + layout.region >= maximum
    assert layout.region % REGION == 0
    assert layout.region == 0 or layout.boot - minimum >= maximum // BOOKS
    assert layout.region == 0 or profile is Profile.Q35
    assert maximum == minimum or layout.boot + layout.region < round_up(maximum) + REGION


def test_what_does_not_grow_is_laid_out_as_ever() -> None:
    assert lay_out(Profile.Q35, 64 * MIB, 64 * MIB) == MemoryLayout(64 * MIB)
    assert lay_out(Profile.MICROVM, 64 * MIB, GIB) == MemoryLayout(GIB)
    assert lay_out(Profile.Q35, 64 * MIB, 4608 * MIB) == MemoryLayout(352 * MIB, 4352 * MIB)


@given(PROFILES, SIZES, SIZES, st.data())
def test_levers_make_exactly_the_size(profile: Profile, one: int, two: int, data: st.DataObject) -> None:
    minimum, maximum = sorted((one, two))
    layout = lay_out(profile, minimum, maximum)
    size = data.draw(st.integers(minimum, maximum))
    levers = plan_levers(layout, size)
    assert levers.size == (round_up(size) if maximum > minimum else min(round_up(size), layout.boot))
    assert levers.plugged % PIECE == 0
    assert levers.plugged <= layout.region
    assert 0 < levers.left <= layout.boot
    assert levers.plugged == 0 or levers.left > layout.boot - PIECE, "the books' memory is there when there are books"


def test_a_size_between_two_pieces_is_the_balloons_to_make() -> None:
    layout = MemoryLayout(352 * MIB, 4352 * MIB)
    levers = plan_levers(layout, 2342 * MIB)
    assert (levers.plugged, levers.left) == (1992 * MIB, 350 * MIB)


@given(st.integers(64, 4096), st.integers(0, 4096), st.data())
def test_a_floor_is_what_is_used_with_headroom(boot: int, plugged: int, data: st.DataObject) -> None:
    """Books of plugged memory are not among it: they go with that."""
    boot, plugged = boot * MIB, plugged * MIB
    ballooned = data.draw(st.integers(0, boot // 2))
    used = data.draw(st.integers(0, boot - ballooned))
    books, total = plugged // DESCRIBED, boot - boot // 50
    least, found = find_floor(
        boot=boot,
        total=total,
        now=total + plugged,
        available=boot + plugged - ballooned - used - books,
        ballooned=ballooned,
    )
    assert found == used
    assert least % BLOCK == 0
    assert least >= used + LEAST_HEADROOM


@given(st.integers(1, 4096), st.integers(0, 4096))
def test_the_way_down_ends_and_takes_no_more_than_half_of_the_way(goal: int, above: int) -> None:
    goal, steps = goal * BLOCK, 0
    now = goal + above * BLOCK
    while now > goal:
        following = plan_descent(now, goal)
        assert goal <= following < now
        assert now - following <= max(STRIDE, (now - goal) / 2)
        now, steps = following, steps + 1
    assert steps < 30


@given(st.integers(1, 4096), st.integers(0, 4096), st.integers(0, 64 * MIB))
def test_relief_never_takes_and_never_gives_more_than_there_was(now: int, above: int, available: int) -> None:
    now, before = now * BLOCK, (now + above) * BLOCK
    relief = plan_relief(now, before, available)
    assert now <= relief <= before
    assert relief == before or relief - now + available >= 2 * LEAST_HEADROOM
