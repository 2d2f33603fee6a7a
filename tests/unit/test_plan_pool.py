"""What pools do next, on paper."""

from hypothesis import given
from hypothesis import strategies as st

from weft.plan.pool import LOOK, PATIENCE, RETRY, Copy, End, Fill, Times, Wait, Wanted, find_shortage, plan_pools

NOW = Times(100.0)
SNIFFER = Wanted("sniffer", 2, "v1")
FIREWALL = Wanted("firewall", 4, "v1")


def copies(image: str, count: int, *, fits: str = "v1", ready: bool = True) -> list[Copy]:
    return [Copy(f"{image}-{number}", image, fits, ready) for number in range(count)]


def test_an_empty_pool_is_filled_one_by_one() -> None:
    assert plan_pools([SNIFFER], [], most=16, times=NOW) == [Fill("sniffer")]
    assert plan_pools([SNIFFER], copies("sniffer", 1), most=16, times=NOW) == [Fill("sniffer")]
    (full,) = plan_pools([SNIFFER], copies("sniffer", 2), most=16, times=NOW)
    assert isinstance(full, Wait)
    assert full.seconds is None


def test_the_pool_that_lacks_most_comes_first() -> None:
    there = [*copies("sniffer", 1), *copies("firewall", 1)]
    assert plan_pools([SNIFFER, FIREWALL], there, most=16, times=NOW) == [Fill("firewall")]


def test_what_does_not_fit_any_more_ends_and_is_made_anew() -> None:
    plan = plan_pools([SNIFFER], copies("sniffer", 2, fits="v0"), most=16, times=NOW)
    assert [action.name for action in plan if isinstance(action, End)] == ["sniffer-0", "sniffer-1"]
    assert plan[-1] == Fill("sniffer")


def test_a_pool_that_is_gone_or_smaller_ends_its_copies() -> None:
    plan = plan_pools([], copies("sniffer", 1), most=16, times=NOW)
    assert plan[0] == End("sniffer-0", "no pool wants it any more")
    unready = [*copies("sniffer", 2, ready=False), Copy("sniffer-9", "sniffer", "v1", ready=True)]
    plan = plan_pools([Wanted("sniffer", 1, "v1")], unready, most=16, times=NOW)
    ended = {action.name for action in plan if isinstance(action, End)}
    assert ended == {"sniffer-0", "sniffer-1"}, "the one that is ready stays"


def test_there_are_never_more_than_the_limit() -> None:
    (wait,) = plan_pools([FIREWALL], copies("firewall", 3), most=3, times=NOW)
    assert isinstance(wait, Wait)
    assert "pool_limit" in find_shortage(FIREWALL, copies("firewall", 3), most=3)
    plan = plan_pools([FIREWALL], copies("firewall", 3), most=1, times=NOW)
    assert sum(isinstance(action, End) for action in plan) == 2, "the limit has become smaller"


def test_who_waits_for_a_machine_comes_first_for_a_while() -> None:
    busy = Times(100.0, busy_since=99.0)
    assert plan_pools([SNIFFER], [], most=16, times=busy) == [Wait(LOOK, "machines are being started")]
    long_busy = Times(100.0, busy_since=100.0 - PATIENCE)
    assert plan_pools([SNIFFER], [], most=16, times=long_busy) == [Fill("sniffer")]


def test_a_failure_is_tried_again_later_and_holds_up_no_other_pool() -> None:
    failed = Times(100.0, failed={"sniffer": 90.0})
    assert plan_pools([SNIFFER], [], most=16, times=failed) == [Wait(RETRY - 10.0, "a copy could not be started")]
    assert plan_pools([SNIFFER, FIREWALL], [], most=16, times=failed) == [Fill("firewall")]
    assert find_shortage(SNIFFER, [], most=16, failed="no template") == "no template"


def test_what_is_missing_is_told() -> None:
    assert find_shortage(SNIFFER, copies("sniffer", 2), most=16) == ""
    assert find_shortage(SNIFFER, copies("sniffer", 2, ready=False), most=16) == "being filled"
    assert find_shortage(SNIFFER, copies("sniffer", 2, fits="v0"), most=16) == "being filled"


IMAGES = st.sampled_from(["a", "b", "c"])


@given(
    st.dictionaries(IMAGES, st.integers(1, 4)),
    st.lists(st.tuples(IMAGES, st.sampled_from(["v0", "v1"]), st.booleans()), max_size=8),
    st.integers(0, 6),
)
def test_it_comes_to_rest_at_what_is_wanted(
    sizes: dict[str, int], there: list[tuple[str, str, bool]], most: int
) -> None:
    wanted = [Wanted(image, size, "v1") for image, size in sizes.items()]
    present = [Copy(f"c{number}", *copy) for number, copy in enumerate(there)]
    for step in range(40):
        plan = plan_pools(wanted, present, most=most, times=NOW)
        gone = {action.name for action in plan if isinstance(action, End)}
        present = [copy for copy in present if copy.name not in gone]
        if isinstance(plan[-1], Wait):
            break
        assert isinstance(plan[-1], Fill)
        present.append(Copy(f"n{step}", plan[-1].image, "v1", ready=True))
        assert len(present) <= most
    assert len(present) == min(most, sum(sizes.values()))
    assert all(sum(copy.image == image for copy in present) <= size for image, size in sizes.items())
