"""Changes of a machine's spec: what is live, what needs a start, and which NIC takes over which place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Invalid
from weft.model.image import NicRole
from weft.model.machine import MachineRestart, MachineSpec, NicSpec
from weft.plan.update import LIVE, SpecChange, match_nics, plan_update

SPEC = MachineSpec(name="web", image="base")
nics = st.lists(
    st.builds(NicSpec, network=st.sampled_from(["lan", "dmz", "wan"]), role=st.just(NicRole.LAN)), max_size=4
)


def test_nothing_changes_when_nothing_differs() -> None:
    assert plan_update(SPEC, SPEC) == SpecChange()


def test_what_only_the_fabric_uses_is_live_and_the_rest_waits_for_a_start() -> None:
    after = SPEC.model_copy(
        update={"labels": {"tier": "front"}, "restart": MachineRestart.ALWAYS, "memory": 128 << 20, "cpus": 2}
    )
    change = plan_update(SPEC, after)
    assert set(change.live) == {"labels", "restart"}
    assert set(change.restart) == {"memory", "cpus"}
    assert set(change.parts) == {"labels", "restart", "memory", "cpus"}


def test_what_is_live_are_parts_of_a_spec() -> None:
    assert set(MachineSpec.model_fields) > LIVE


def test_a_name_stays() -> None:
    with pytest.raises(Invalid, match="cannot become 'db'"):
        plan_update(SPEC, SPEC.model_copy(update={"name": "db"}))


def test_a_nic_keeps_its_place_on_a_network_that_stays() -> None:
    lan, dmz, wan = (NicSpec(network=name) for name in ("lan", "dmz", "wan"))
    assert match_nics([lan, dmz], [lan, dmz]) == [0, 1]
    assert match_nics([lan, dmz], [dmz]) == [1]
    assert match_nics([lan, dmz], [dmz, wan, lan]) == [1, None, 0]
    assert match_nics([lan, lan], [dmz, lan, lan]) == [None, 1, 0]


@given(nics, nics)
def test_no_two_nics_take_over_one_place_and_each_that_can_does(before: list[NicSpec], after: list[NicSpec]) -> None:
    found = match_nics(before, after)
    taken = [old for old in found if old is not None]
    assert len(taken) == len(set(taken))
    for new, old in zip(after, found, strict=True):
        if old is not None:
            assert before[old].network == new.network
    for network in ("lan", "dmz", "wan"):
        had, wants = ([nic.network for nic in some].count(network) for some in (before, after))
        kept = [old for new, old in zip(after, found, strict=True) if new.network == network and old is not None]
        assert len(kept) == min(had, wants)
