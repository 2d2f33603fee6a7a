"""What a machine's policy did last, and what it waits for, in words."""

from weft.fabric.elastic.governing import Governing
from weft.fabric.elastic.granting import granted, range_of
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.model.elastic import (
    ElasticAccount,
    ElasticSpec,
    PolicyMode,
    Resource,
    ResourceAccount,
    ScaleRequest,
    ScaleState,
)
from weft.model.errors import WrongState
from weft.model.units import dump_duration
from weft.plan.elastic.following import Course
from weft.plan.elastic.settling import describe

_BECAME = {
    ScaleState.APPLIED: "got",
    ScaleState.CONVERGING: "is on its way to",
    ScaleState.REFUSED: "did not get",
    ScaleState.FAILED: "did not come to",
}


class Explaining:
    """Of machines of one room."""

    def __init__(self, site: Site, governing: Governing) -> None:
        self._site = site
        self._governing = governing

    def explain(self, name: str) -> ElasticAccount:
        """Raises NotFound, and WrongState for a machine whose size is fixed."""
        machine = self._site.shelves.machines.get(name)
        elastic = machine.spec.elastic
        if elastic is None:
            raise WrongState(f"the size of machine {name!r} is fixed", hint=f"weft update {name} --cpus 1..4")
        accounts = {resource: self._account(machine, elastic, resource) for resource in Resource}
        lines = [
            f"{resource}: {account.did}. {_say_next(account)}" for resource, account in accounts.items() if account
        ]
        cpus, memory = accounts[Resource.CPUS], accounts[Resource.MEMORY]
        return ElasticAccount(name=name, mode=elastic.policy.mode, cpus=cpus, memory=memory, text="\n".join(lines))

    def _account(self, machine: MachineRecord, elastic: ElasticSpec, resource: Resource) -> ResourceAccount | None:
        least, most = range_of(machine, resource)
        if least == most:
            return None
        did = _tell(machine, resource, machine.find_request(resource), self._site.clock())
        course = self._governing.find_courses(machine.name).get(resource)
        why, waits_for = _find_wait(machine, elastic, resource, course)
        return ResourceAccount(did=did, why=why, waits_for=waits_for)


def _find_wait(
    machine: MachineRecord, elastic: ElasticSpec, resource: Resource, course: Course | None
) -> tuple[str, str]:
    if not machine.state.is_live:
        return f"it is {machine.state}", "a start"
    if machine.elastic and (lost := machine.elastic.lost.get(resource)):
        return f"it cannot change any more: {lost}", "another start"
    if elastic.policy.mode is PolicyMode.MANUAL:
        return "its policy is manual", "weft scale, or the host"
    if course is None or not course.decision.why:
        return "it has not been looked at yet", "the first look"
    if course.asked is not None:
        return course.intent.why, "an end of the change that is on its way"
    return course.decision.why, course.decision.waits_for or "the next look"


def _tell(machine: MachineRecord, resource: Resource, request: ScaleRequest | None, now: float) -> str:
    size = describe(resource, granted(machine, resource))
    if request is None:
        return f"it has had {size} since its start"
    ago = dump_duration(max(1, round(now - (request.settled or request.asked))))
    wanted = describe(resource, request.wanted)
    text = f"it has {size}; {ago} ago it {_BECAME[request.state]} {wanted}"
    if request.state is ScaleState.APPLIED and wanted == size:
        text = f"it got {size} {ago} ago"
    reasons = [reason for reason in (request.why, request.reason) if reason]
    text = f"{text}, asked by {request.by}"
    return f"{text}: {'; '.join(reasons)}" if reasons else text


def _say_next(account: ResourceAccount) -> str:
    return f"Now {account.why}; it waits for {account.waits_for}"
