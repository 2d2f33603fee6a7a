"""What the policy remembers follows what became of its wishes; and what machines may ask for."""

from dataclasses import replace

import pytest

from weft.model.elastic import ElasticPolicy, Resource, ScaleRequest, ScaleState
from weft.model.errors import Invalid
from weft.plan.elastic.asking import parse_need
from weft.plan.elastic.following import NOTHING, Course, follow, may_act
from weft.plan.elastic.past import BY
from weft.plan.elastic.settling import Decision

POLICY = ElasticPolicy()


def request(wanted: int, state: ScaleState = ScaleState.APPLIED, by: str = BY, asked: float = 5.0) -> ScaleRequest:
    return ScaleRequest(
        resource=Resource.CPUS, wanted=wanted, by=by, asked=asked, deadline=9.0, state=state, reason="no more"
    )


def test_the_first_look_is_no_change() -> None:
    course = follow(Course(), None, 4, POLICY, 1.0)
    assert course.size == 4
    assert course.past.last is None


def test_a_change_has_the_reason_of_the_decision_that_led_to_it() -> None:
    course = Course(size=1, asked=5.0, intent=Decision(2, "it was busy", hidden=True))
    assert follow(course, request(2, ScaleState.CONVERGING), 2, POLICY, 6.0) == course, "it is on its way"
    course = follow(course, request(2), 2, POLICY, 6.0)
    assert course.past.last is not None
    assert (course.past.last.why, course.past.last.hidden, course.past.last.by) == ("it was busy", True, BY)
    assert course.asked is None


def test_a_change_by_somebody_else_has_not() -> None:
    course = Course(size=1, asked=None, intent=Decision(2, "it was busy"))
    course = follow(course, request(3, by="weft scale"), 3, POLICY, 6.0)
    assert course.past.last is not None
    assert (course.past.last.why, course.past.last.by) == ("", "weft scale")


@pytest.mark.parametrize("state", [ScaleState.REFUSED, ScaleState.FAILED])
def test_what_is_refused_is_remembered_once(state: ScaleState) -> None:
    course = follow(Course(size=1, asked=5.0), request(2, state), 1, POLICY, 6.0)
    assert course.past.refusal is not None
    assert (course.past.refusal.grow, course.past.refusal.reason) == (True, "no more")
    assert follow(course, request(2, state), 1, POLICY, 7.0).past.refusal == course.past.refusal


def test_a_shrink_that_was_asked_for_back_is_no_lesson() -> None:
    shrunk = follow(Course(size=4, asked=5.0, intent=Decision(1, "calm")), request(1), 1, POLICY, 6.0)
    asked = replace(shrunk, asked=8.0, intent=Decision(3, "it has asked for 3 CPUs", asked=True))
    assert follow(asked, request(3, asked=8.0), 3, POLICY, 9.0).past.find_bar(10.0) is None
    short = replace(shrunk, asked=8.0, intent=Decision(3, "it was busy"))
    bar = follow(short, request(3, asked=8.0), 3, POLICY, 9.0).past.find_bar(10.0)
    assert bar is not None
    assert bar.size == 3


def test_only_growth_cuts_in_on_what_is_on_its_way_and_only_on_a_shrink() -> None:
    down, up = request(1, ScaleState.CONVERGING), request(4, ScaleState.CONVERGING)
    assert not may_act(NOTHING, None, 2)
    assert may_act(Decision(1, ""), None, 2)
    assert may_act(Decision(1, ""), request(2), 2)
    assert may_act(Decision(3, ""), down, 2)
    assert not may_act(Decision(1, ""), down, 2)
    assert not may_act(Decision(5, ""), up, 4)


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("cpus 2", (Resource.CPUS, 2)),
        ("memory 512M", (Resource.MEMORY, 512 << 20)),
        (" memory  1G ", (Resource.MEMORY, 1 << 30)),
    ],
)
def test_a_need_is_a_resource_and_a_size(text: str, need: tuple[Resource, int]) -> None:
    assert parse_need(text) == need


@pytest.mark.parametrize(
    "text", ["", "cpus", "cpus 0", "cpus -1", "cpus ²", "cpus 2 3", "disk 1G", "memory 0", "memory x"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_need(text)
