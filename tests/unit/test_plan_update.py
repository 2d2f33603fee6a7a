"""Changes of a machine's spec: what is live, what needs a start, and which NIC takes over which place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.elastic import ElasticPolicy, ElasticSpec, PolicyMode
from weft.model.errors import Invalid
from weft.model.foreign import ForeignSpec, Plan9Spec
from weft.model.image import NicRole
from weft.model.machine import MachineRestart, MachineSpec, NicSpec, Profile
from weft.plan.update import LIVE, SpecChange, change_spec, match_nics, name_parts, plan_update

SPEC = MachineSpec(name="web", image="base")
ELASTIC = MachineSpec(name="web", image="base", elastic=ElasticSpec(max_cpus=4, max_memory=1 << 30))
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


def change(spec: MachineSpec, **changes: Any) -> MachineSpec:
    return MachineSpec.model_validate(change_spec(spec, changes))


def test_how_far_it_grows_waits_for_a_start_and_by_which_policy_does_not() -> None:
    auto = change(ELASTIC, elastic={"policy": {"mode": "auto"}})
    assert auto.elastic == ElasticSpec(max_cpus=4, max_memory=1 << 30, policy=ElasticPolicy(mode=PolicyMode.AUTO))
    assert plan_update(ELASTIC, auto) == SpecChange(live=("elastic",))
    assert plan_update(auto, change(auto, elastic={"max_cpus": 2})) == SpecChange(restart=("elastic",))
    both = change(ELASTIC, elastic={"max_cpus": 2, "policy": {"mode": "auto"}})
    assert plan_update(ELASTIC, both) == SpecChange(restart=("elastic",))
    assert name_parts(("memory", "elastic")) == "memory, range"


def test_of_how_elastic_it_is_stays_what_is_not_named() -> None:
    auto = change(ELASTIC, elastic={"policy": {"mode": "auto"}})
    further = change(auto, elastic={"max_memory": 2 << 30})
    assert further.elastic == ElasticSpec(max_cpus=4, max_memory=2 << 30, policy=ElasticPolicy(mode=PolicyMode.AUTO))
    assert change(further, elastic={"max_cpus": None}).elastic == ElasticSpec(
        max_memory=2 << 30, policy=ElasticPolicy(mode=PolicyMode.AUTO)
    )


def test_a_machine_becomes_elastic_with_the_profile_that_can_and_fixed_again_without_another() -> None:
    elastic = change(SPEC, cpus=1, elastic={"max_cpus": 4})
    assert (elastic.profile, elastic.elastic) == (Profile.Q35, ElasticSpec(max_cpus=4))
    assert set(plan_update(SPEC, elastic).restart) == {"profile", "elastic"}
    assert change(SPEC, elastic={"max_cpus": 4}, profile="microvm").profile is Profile.MICROVM
    fixed = change(elastic, cpus=2, elastic={"max_cpus": None})
    assert (fixed.cpus, fixed.elastic, fixed.profile) == (2, None, Profile.Q35)
    assert change(elastic, elastic=None).elastic is None


def test_of_a_system_of_its_own_stays_what_is_not_named() -> None:
    foreign = ForeignSpec(cdroms=("/a.iso",), floppy_drive="/f.img", plan9=Plan9Spec(ini="a=1", options={"b": "2"}))
    cat = MachineSpec(name="cat", image="plan9", foreign=foreign)
    other = change(cat, foreign={"cdroms": [], "plan9": {"options": {"c": "3"}}})
    assert other.foreign == ForeignSpec(floppy_drive="/f.img", plan9=Plan9Spec(ini="a=1", options={"c": "3"}))
    assert plan_update(cat, other) == SpecChange(restart=("foreign",), system="CD, way to boot")
    assert name_parts(("cpus", "foreign"), system="CD, way to boot") == "cpus, CD, way to boot"


@pytest.mark.parametrize(
    ("after", "live"),
    [
        (ForeignSpec(cdroms=("/b.iso",), floppy_drive="/f.img"), True),
        (ForeignSpec(cdroms=("/b.iso",), floppy_drive="/g.img"), True),
        (ForeignSpec(cdroms=("/a.iso", "/b.iso"), floppy_drive="/f.img"), False),
        (ForeignSpec(cdroms=("/a.iso",)), False),
        (ForeignSpec(cdroms=("/b.iso",), floppy_drive="/f.img", end="halt"), False),
        (ForeignSpec(cdroms=("/a.iso",), floppy_drive="/f.img", disks=("/d.img",)), False),
        (None, False),
    ],
)
def test_what_is_in_a_drive_is_exchanged_and_drives_need_a_start(after: ForeignSpec | None, live: bool) -> None:
    before = MachineSpec(name="m", image="foreign", foreign=ForeignSpec(cdroms=("/a.iso",), floppy_drive="/f.img"))
    change = plan_update(before, before.model_copy(update={"foreign": after}))
    assert (change.live, change.restart) == ((("foreign",), ()) if live else ((), ("foreign",)))


def test_a_size_alone_leaves_a_fixed_machine_fixed() -> None:
    assert change(SPEC, cpus=2, elastic={"max_cpus": None}) == SPEC.model_copy(update={"cpus": 2})


def test_a_policy_without_room_to_grow_is_refused() -> None:
    for spec, elastic in (
        (SPEC, {"policy": {"mode": "auto"}}),
        (ELASTIC, {"max_cpus": None, "max_memory": None, "policy": {"mode": "auto"}}),
    ):
        with pytest.raises(Invalid, match="needs room to grow"):
            change(spec, elastic=elastic)


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
