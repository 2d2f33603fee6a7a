"""Sizes and ranges as people write them, and what of a spec they become."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.elastic import ElasticSpec, PolicyMode, Resource, ScaleRequest, ScaleState
from weft.model.errors import Invalid
from weft.model.machine import MachineSpec, Profile
from weft.model.ranges import (
    Range,
    Wish,
    change_sizes,
    dump_cpus,
    dump_memory,
    make_sizes,
    parse_cpus,
    parse_cpus_wish,
    parse_memory,
    parse_memory_wish,
)
from weft.plan.elastic.growth import find_target

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("64M", Range(64 * MIB)),
        ("128M..2G", Range(128 * MIB, 2048 * MIB)),
        (" 128m .. 2GiB ", Range(128 * MIB, 2048 * MIB)),
        ("..2G", Range(None, 2048 * MIB)),
        ("1G..1024M", Range(1024 * MIB)),
    ],
)
def test_memory_is_read(text: str, sizes: Range) -> None:
    assert parse_memory(text) == sizes


@pytest.mark.parametrize(("text", "cpus"), [("2", Range(2)), ("1..4", Range(1, 4)), ("..4", Range(None, 4))])
def test_numbers_of_cpus_are_read(text: str, cpus: Range) -> None:
    assert parse_cpus(text) == cpus
    assert dump_cpus(cpus) == text


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (parse_cpus, "0", r"'0' is not a number of CPUs \(write it like 2 or 1..4\)"),
        (parse_cpus, "", "'' is not a number"),
        (parse_cpus, "1.5", "'1.5' is not a number"),
        (parse_cpus, "-1", "'-1' is not a number"),
        (parse_cpus, "1..2..3", "'2..3' is not a number"),
        (parse_cpus, "1..x", "'x' is not a number"),
        (parse_cpus, "1..", r"range '1..' has no end \(write it like 1..4\)"),
        (parse_cpus, "4..1", r"range '4..1' ends below its beginning \(write it like 1..4\)"),
        (parse_memory, "..", r"range '..' has no end \(write it like 128M..2G\)"),
        (parse_memory, "1G..64M", "ends below its beginning"),
        (parse_memory, "1G..2X", "size '2X' is not a size"),
        (parse_memory, "1G...2G", "size '.2G' is not a size"),
    ],
)
def test_what_is_no_range_is_refused(parse: Any, text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.match(words) or words in str(caught.value)


@given(st.none() | st.integers(1, 1 << 41), st.integers(1, 1 << 41))
def test_a_range_comes_back_exactly(least: int | None, more: int) -> None:
    sizes = Range(least, (least or 0) + more)
    assert parse_memory(dump_memory(sizes)) == sizes
    assert parse_cpus(dump_cpus(sizes)) == sizes


@pytest.mark.parametrize(
    ("said", "spec"),
    [
        ((None, None, None), {}),
        ((Range(2), Range(64 * MIB), None), {"cpus": 2, "memory": 64 * MIB}),
        ((Range(2), None, False), {"cpus": 2}),
        ((Range(1, 4), None, None), {"cpus": 1, "elastic": {"max_cpus": 4}}),
        ((None, Range(None, 2048 * MIB), True),
         {"elastic": {"max_memory": 2048 * MIB, "policy": {"mode": "auto"}}}),
        ((Range(2), Range(64 * MIB, 128 * MIB), False),
         {"cpus": 2, "memory": 64 * MIB, "elastic": {"max_memory": 128 * MIB, "policy": {"mode": "manual"}}}),
    ],
)  # fmt: skip
def test_a_new_machine_is_as_large_as_was_said(said: tuple[Any, Any, Any], spec: dict[str, Any]) -> None:
    assert make_sizes(*said) == spec
    MachineSpec.model_validate({"name": "web", "image": "base", **spec})


@pytest.mark.parametrize("said", [(None, None, True), (Range(2), Range(64 * MIB), True)])
def test_what_is_to_grow_needs_room_for_it(said: tuple[Any, Any, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        make_sizes(*said)
    assert str(caught.value) == "an elastic machine needs room to grow (say how far: --cpus 1..4, or --memory ..2G)"


def test_a_change_names_what_changes() -> None:
    assert change_sizes(None, None, None) == {}
    assert change_sizes(Range(2), None, None) == {"cpus": 2, "elastic": {"max_cpus": None}}
    assert change_sizes(None, Range(None, MIB), None) == {"elastic": {"max_memory": MIB}}
    assert change_sizes(None, None, False) == {"elastic": {"policy": {"mode": "manual"}}}


def test_a_range_alone_leaves_a_size_to_those_who_ask_for_another() -> None:
    assert ElasticSpec(max_cpus=4).policy.mode is PolicyMode.MANUAL
    said = ElasticSpec.model_validate({"max_cpus": 4, "policy": {}})
    assert said.policy.mode is PolicyMode.AUTO


def test_what_may_grow_is_of_the_profile_that_can() -> None:
    machine = {"name": "web", "image": "base"}
    assert MachineSpec.model_validate(machine).profile is Profile.MICROVM
    assert MachineSpec.model_validate({**machine, "elastic": {"max_cpus": 4}}).profile is Profile.Q35
    chosen = {**machine, "elastic": {"max_cpus": 4}, "profile": "microvm"}
    assert MachineSpec.model_validate(chosen).profile is Profile.MICROVM


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"cpus": 5, "elastic": {"max_cpus": 4}}, "5 CPUs are more than the 4 it may grow to"),
        ({"memory": 128 * MIB, "elastic": {"max_memory": 64 * MIB}}, "it may grow to 64M of memory, and has 128M"),
        ({"elastic": {"max_memory": MIB}}, "it may grow to 1M of memory, and has 32M"),
        ({"elastic": {"max_memory": 1 << 41}}, "no machine has more memory than 1T"),
        ({"elastic": {}}, "an elastic machine needs room to grow"),
        ({"elastic": {"policy": {"mode": "auto"}}}, "an elastic machine needs room to grow"),
    ],
)
def test_a_range_that_no_machine_can_have_is_told_of(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        MachineSpec.model_validate({"name": "web", "image": "base", **spec})


def test_a_wish_is_a_size_or_a_change_of_it() -> None:
    assert (parse_cpus_wish("2"), parse_cpus_wish("+1")) == (Wish(2), Wish(1, True))
    assert (parse_memory_wish("1G"), parse_memory_wish("-512M")) == (Wish(1024 * MIB), Wish(-512 * MIB, True))


def test_a_change_counts_from_what_is_on_its_way() -> None:
    request = ScaleRequest(resource=Resource.CPUS, wanted=3, by="me", asked=1.0, deadline=2.0)
    assert find_target(2, None, 1) == 3
    assert find_target(2, request, 1) == 4
    assert find_target(2, request.model_copy(update={"state": ScaleState.REFUSED}), -1) == 1
