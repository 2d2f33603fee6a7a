"""What health checks say of a machine, and when they are due."""

from weft.model.image import Health
from weft.plan.health import LONGEST_OUTPUT, Condition, Result, Status, plan_check, take_result

HEALTH = Health(argv=("check",), interval=10.0, retries=3)
PATIENT = Health(argv=("check",), interval=10.0, retries=1, start_period=25.0)


def after(health: Health, *results: bool) -> Condition:
    """The condition of a machine that started at 100 after checks that each take no time."""
    condition = Condition(since=100.0)
    for passed in results:
        condition = take_result(health, condition, Result(passed, plan_check(health, condition)))
    return condition


def test_it_is_starting_until_the_first_success() -> None:
    assert after(HEALTH).status is Status.STARTING
    assert after(HEALTH, False, False).status is Status.STARTING
    assert after(HEALTH, False, False, True).status is Status.HEALTHY


def test_so_many_failures_in_a_row_make_it_unhealthy() -> None:
    assert after(HEALTH, False, False, False).status is Status.UNHEALTHY
    assert after(HEALTH, True, False, False).status is Status.HEALTHY
    assert after(HEALTH, True, False, False, True, False, False).status is Status.HEALTHY
    assert after(HEALTH, True, False, False, False).status is Status.UNHEALTHY
    assert after(HEALTH, False, False, False, True) == Condition(100.0, Status.HEALTHY, 0, 140.0)


def test_failures_in_the_start_period_do_not_count() -> None:
    assert after(PATIENT, False, False, False, False).status is Status.STARTING  # at 105, 110, 115 and 120
    assert after(PATIENT, False, False, False, False, False).status is Status.UNHEALTHY  # at 125
    assert after(PATIENT, True, False).status is Status.UNHEALTHY  # it was up before


def test_checks_come_after_each_other() -> None:
    assert plan_check(HEALTH, Condition(since=100.0)) == 110.0
    assert plan_check(HEALTH, take_result(HEALTH, Condition(since=100.0), Result(False, 137.0))) == 147.0
    assert plan_check(PATIENT, Condition(since=100.0)) == 105.0
    assert plan_check(PATIENT, take_result(PATIENT, Condition(since=100.0), Result(True, 105.0))) == 115.0


def test_the_last_output_is_kept_but_not_all_of_it() -> None:
    condition = take_result(HEALTH, Condition(since=0.0), Result(False, 1.0, "x" * 5000 + "end"))
    assert condition.output.endswith("end")
    assert len(condition.output) == LONGEST_OUTPUT
