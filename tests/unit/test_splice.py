"""The promise of the splice: after every single step each frame has exactly one complete path."""

from hypothesis import given, settings
from hypothesis import strategies as st

from weft.model.wiring import BYPASS_SLOT, AddFilter, DeleteFilter, Filter, FilterChange, FilterKind
from weft.plan.linknames import VOID
from weft.plan.splice import Appliance, Ears, Ends, plan_bypass, plan_retire, plan_splice, plan_void

ENDS = Ends("p1.0", "t1.0")
ECHO = "s1.7"


class Switchboard:
    """The kernel's filters, simulated: what arrives on a link follows its lowest redirect."""

    def __init__(self) -> None:
        self.filters: dict[str, list[Filter]] = {}

    def apply(self, change: FilterChange) -> None:
        seen = self.filters.setdefault(change.link, [])
        if isinstance(change, AddFilter):
            assert all(f.slot != change.slot for f in seen), "a slot holds one filter"
            seen.append(Filter(change.slot, change.kind, change.target))
            seen.sort()
        else:
            assert any(f.slot == change.slot for f in seen), "only what is there can be deleted"
            seen[:] = [f for f in seen if f.slot != change.slot]

    def target(self, link: str) -> str | None:
        return next((f.target for f in self.filters.get(link, ()) if f.kind is FilterKind.REDIRECT), None)

    def walk(self, start: str, end: str, crossing: dict[str, str]) -> list[str]:
        """The links a frame leaves by, from `start` to `end`; fails on a dead end or a loop."""
        link = start
        way: list[str] = []
        while True:
            target = self.target(link)
            assert target is not None, f"dead end at {link} after {way}"
            assert target not in way, f"loop at {target} in {way}"
            way.append(target)
            if target == end:
                return way
            link = crossing[target]

    def copies(self, link: str) -> set[str]:
        return {f.target for f in self.filters.get(link, ()) if f.kind is FilterKind.MIRROR}


def appliance(number: int, inline: bool = True) -> Appliance:
    return Appliance(f"t{number}.0", f"t{number}.1", inline)


def crossing_of(appliances: list[Appliance]) -> dict[str, str]:
    pairs = {a.network_side: a.machine_side for a in appliances}
    return pairs | {machine: network for network, machine in pairs.items()}


def fresh() -> Switchboard:
    board = Switchboard()
    for change in plan_bypass(ENDS, {}):
        board.apply(change)
    return board


def check_paths(board: Switchboard, crossing: dict[str, str]) -> None:
    board.walk(ENDS.patch, ENDS.tap, crossing)
    board.walk(ENDS.tap, ENDS.patch, crossing)


chains = st.lists(st.integers(2, 7), unique=True, max_size=5)


@given(st.lists(st.tuples(chains, st.sets(st.integers(2, 7))), min_size=1, max_size=6))
@settings(max_examples=400)
def test_every_step_leaves_one_complete_path(wishes: list[tuple[list[int], set[int]]]) -> None:
    board = fresh()
    crossing = crossing_of([appliance(n) for n in range(2, 8)])
    for numbers, listeners in wishes:
        chain = [appliance(n, n not in listeners) for n in numbers]
        for change in plan_splice(ENDS, chain, board.filters):
            board.apply(change)
            check_paths(board, crossing)
        for gone in set(range(2, 8)) - set(numbers):
            for change in plan_retire(appliance(gone), board.filters):
                board.apply(change)
                check_paths(board, crossing)
        inline = [a for a in chain if a.inline]
        assert board.walk(ENDS.patch, ENDS.tap, crossing) == [*(a.network_side for a in inline), ENDS.tap]
        assert board.walk(ENDS.tap, ENDS.patch, crossing) == [*(a.machine_side for a in reversed(inline)), ENDS.patch]
        assert plan_splice(ENDS, chain, board.filters) == []


def test_an_ejected_appliance_still_drains() -> None:
    board = fresh()
    one, two = appliance(2), appliance(3)
    crossing = crossing_of([one, two])
    for chain in ([one, two], []):
        for change in plan_splice(ENDS, chain, board.filters):
            board.apply(change)
    assert board.walk(one.machine_side, ENDS.tap, crossing) == [two.network_side, ENDS.tap]
    assert board.walk(two.network_side, ENDS.patch, crossing) == [one.machine_side, ENDS.patch]


def test_a_listener_gets_copies_of_both_directions() -> None:
    board = fresh()
    chain = [appliance(2), appliance(3, inline=False), appliance(4)]
    for change in plan_splice(ENDS, chain, board.filters):
        board.apply(change)
    assert board.copies("t2.1") == {"t3.0"}
    assert board.copies("t4.0") == {"t3.0"}
    for change in plan_splice(ENDS, [], board.filters):
        board.apply(change)
    for gone in chain:
        for change in plan_retire(gone, board.filters):
            board.apply(change)
    assert not any(board.copies(link) for link in board.filters)


def test_a_half_done_change_is_taken_up() -> None:
    """A daemon that died between two steps: the next plan starts from what is there."""
    changes = plan_splice(ENDS, [appliance(2)], fresh().filters)
    crossing = crossing_of([appliance(n) for n in (2, 3)])
    for steps in range(len(changes) + 1):
        board = fresh()
        for change in changes[:steps]:
            board.apply(change)
        for change in plan_splice(ENDS, [appliance(3)], board.filters):
            board.apply(change)
            check_paths(board, crossing)
        assert board.walk(ENDS.patch, ENDS.tap, crossing) == ["t3.0", ENDS.tap]


@given(chains, chains, chains, st.integers(min_value=0, max_value=40))
@settings(max_examples=200)
def test_a_change_that_broke_off_anywhere_is_no_obstacle(
    first: list[int], second: list[int], third: list[int], steps: int
) -> None:
    board, crossing = fresh(), crossing_of([appliance(n) for n in range(2, 8)])
    for numbers, limit in ((first, None), (second, steps), (third, None)):
        for change in plan_splice(ENDS, [appliance(n) for n in numbers], board.filters)[:limit]:
            board.apply(change)
            check_paths(board, crossing)
    assert board.walk(ENDS.patch, ENDS.tap, crossing) == [*(f"t{n}.0" for n in third), ENDS.tap]


def test_the_bypass_is_put_back_only_where_it_is_missing() -> None:
    board = fresh()
    assert plan_bypass(ENDS, board.filters) == []
    board.apply(DeleteFilter(ENDS.patch, BYPASS_SLOT))
    assert plan_bypass(ENDS, board.filters) == [AddFilter(ENDS.patch, BYPASS_SLOT, FilterKind.REDIRECT, ENDS.tap)]


def test_a_bypass_to_an_end_that_is_gone_is_renewed() -> None:
    board = fresh()
    board.filters[ENDS.tap] = [Filter(BYPASS_SLOT, FilterKind.REDIRECT, "")]
    for change in plan_bypass(ENDS, board.filters):
        board.apply(change)
    check_paths(board, {})


@given(st.lists(st.tuples(chains, st.sets(st.integers(2, 7)), st.sets(st.integers(20, 23)))))
@settings(max_examples=200)
def test_ears_hear_what_has_come_through_the_chain_and_nothing_else(
    wishes: list[tuple[list[int], set[int], set[int]]],
) -> None:
    board = fresh()
    for numbers, listeners, heard in wishes:
        chain = [appliance(n, n not in listeners) for n in numbers]
        shadows = {f"t{n}.0" for n in heard}
        for change in plan_splice(ENDS, chain, board.filters, Ears(tuple(sorted(shadows)), (ECHO,))):
            board.apply(change)
        assert plan_splice(ENDS, chain, board.filters, Ears(tuple(sorted(shadows)), (ECHO,))) == []
        for gone in set(range(2, 8)) - set(numbers):
            for change in plan_retire(appliance(gone), board.filters):
                board.apply(change)
        inline = [a for a in chain if a.inline]
        last = inline[-1].machine_side if inline else ENDS.patch
        hearing = {link for link in board.filters for target in board.copies(link) if target in shadows}
        assert hearing == ({last} if shadows else set())
        assert shadows <= board.copies(last)
        first = inline[0].network_side if inline else ENDS.tap
        assert [link for link in board.filters if ECHO in board.copies(link)] == [first]


def test_what_comes_out_of_a_muted_tap_is_gone_until_its_port_is_wired() -> None:
    board = Switchboard()
    for change in plan_void(ENDS.tap, board.filters):
        board.apply(change)
    assert board.target(ENDS.tap) == VOID
    assert plan_void(ENDS.tap, board.filters) == []
    for change in plan_bypass(ENDS, board.filters):
        board.apply(change)
    assert board.target(ENDS.tap) == ENDS.patch
