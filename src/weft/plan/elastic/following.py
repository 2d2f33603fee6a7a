"""What becomes of decisions: what the policy remembers of a resource follows the requests of a machine. Pure."""

from dataclasses import dataclass, field, replace

from weft.model.elastic import ElasticPolicy, ScaleRequest, ScaleState
from weft.plan.elastic.past import BY, Change, Past, note_change, note_refusal
from weft.plan.elastic.settling import Decision

NOTHING = Decision(None, "", "")


@dataclass(frozen=True, slots=True)
class Course:
    """Of one resource of a machine: what was decided last, and what had come of it when it was looked at last.

    `intent`: the decision that led to the request that was `asked` for.
    """

    past: Past = field(default_factory=Past)
    size: int | None = None
    asked: float | None = None
    intent: Decision = NOTHING
    decision: Decision = NOTHING


def follow(course: Course, request: ScaleRequest | None, granted: int, policy: ElasticPolicy, now: float) -> Course:
    """What is remembered once nothing is on its way: whether it has another size, and what was refused."""
    if request is not None and not request.state.is_settled:
        return course
    before = granted if course.size is None else course.size
    past = course.past
    if granted != before:
        own = request is not None and request.by == BY and request.asked == course.asked
        by = request.by if request is not None and (own or request.by != BY) else "its kernel"
        intent = course.intent if own else NOTHING
        change = Change(now, before, granted, by, intent.why, intent.hidden, intent.asked)
        past = note_change(past, change, policy)
    if request is not None and request.by == BY and request.asked == course.asked:
        if request.state is not ScaleState.APPLIED:
            past = note_refusal(past, request.reason, now, grow=request.wanted > granted)
        course = replace(course, asked=None)
    return replace(course, past=past, size=granted)


def may_act(decision: Decision, request: ScaleRequest | None, granted: int) -> bool:
    """Whether what was decided can be asked for now. While something is on its way: growth, if that is a shrink."""
    if decision.target is None:
        return False
    if request is None or request.state.is_settled:
        return True
    return decision.target > granted and request.wanted < granted
