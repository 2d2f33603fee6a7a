"""When a machine is started again."""

import pytest

from weft.model.machine import MachineRestart
from weft.plan.restart import FIRST_PAUSE, LONGEST_PAUSE, Again, End, plan_comeback, plan_restart, want_start

DIED = End(asked=False, finished=False, failed=True, seen=True, lasted=1.0)
OFF = End(asked=False, finished=False, failed=False, seen=True, lasted=1.0)
NEVER, ON_FAILURE = MachineRestart.NEVER, MachineRestart.ON_FAILURE
ALWAYS, UNLESS_STOPPED = MachineRestart.ALWAYS, MachineRestart.UNLESS_STOPPED


@pytest.mark.parametrize(
    ("policy", "end", "again"),
    [
        (None, DIED, False),
        (NEVER, DIED, False),
        (ON_FAILURE, DIED, True),
        (ON_FAILURE, OFF, False),
        (ON_FAILURE, End(asked=False, finished=False, failed=True, seen=False, lasted=1.0), False),
        (ALWAYS, DIED, True),
        (ALWAYS, OFF, True),
        (UNLESS_STOPPED, OFF, True),
        (ALWAYS, End(asked=True, finished=False, failed=False, seen=True, lasted=1.0), False),
        (ALWAYS, End(asked=False, finished=True, failed=False, seen=True, lasted=1.0), False),
        (ALWAYS, End(asked=False, finished=False, failed=True, seen=False, lasted=1.0), True),
    ],
)
def test_who_is_started_again(policy: MachineRestart | None, end: End, again: bool) -> None:
    plan = plan_restart(policy, None, end, tries=0, now=100.0)
    assert plan == (Again(100.0 + FIRST_PAUSE, 1) if again else None)


def test_pauses_grow_and_have_a_bound() -> None:
    pauses = []
    for tries in range(12):
        plan = plan_restart(ALWAYS, None, DIED, tries=tries, now=0.0)
        assert plan is not None and plan.tries == tries + 1
        pauses.append(plan.at)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_server_of_the_fabric_comes_back_at_once_and_then_later_and_later() -> None:
    pauses = list(map(plan_comeback, range(12)))
    assert pauses[:4] == [0.0, 1.0, 2.0, 4.0]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_run_that_went_well_begins_anew() -> None:
    well = End(asked=False, finished=False, failed=True, seen=True, lasted=3600.0)
    assert plan_restart(ON_FAILURE, 2, well, tries=2, now=0.0) == Again(FIRST_PAUSE, 1)


def test_so_many_times_and_no_more() -> None:
    assert plan_restart(ON_FAILURE, 2, DIED, tries=1, now=0.0) is not None
    assert plan_restart(ON_FAILURE, 2, DIED, tries=2, now=0.0) is None


@pytest.mark.parametrize(
    ("policy", "wanted", "same_boot", "start"),
    [
        (None, True, False, False),
        (ON_FAILURE, True, False, False),
        (ALWAYS, True, True, True),
        (ALWAYS, False, True, False),
        (ALWAYS, False, False, True),
        (UNLESS_STOPPED, True, False, True),
        (UNLESS_STOPPED, False, False, False),
    ],
)
def test_who_is_started_with_the_daemon(
    policy: MachineRestart | None, wanted: bool, same_boot: bool, start: bool
) -> None:
    assert want_start(policy, wanted=wanted, same_boot=same_boot) is start
