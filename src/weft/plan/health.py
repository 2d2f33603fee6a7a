"""What the results of a machine's health checks say of it, and when to check again. Times are on one clock."""

from dataclasses import dataclass, replace
from enum import StrEnum

from weft.model.image import Health

LONGEST_OUTPUT = 4096
START_INTERVAL = 5.0
"""Seconds between checks within the start period, so that a machine is known to be healthy soon after it is."""


class Status(StrEnum):
    """`starting` until the first success, or until it has failed too often."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of a machine that started at `since`: `failures` in a row, and what the last check printed."""

    since: float
    status: Status = Status.STARTING
    failures: int = 0
    checked: float | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One check: whether it passed, when it ended, what it printed or why it could not be run."""

    passed: bool
    at: float
    output: str = ""


def plan_check(health: Health, condition: Condition) -> float:
    """When the next check is due: an interval after the start, and after each check's end."""
    last = condition.since if condition.checked is None else condition.checked
    early = condition.status is Status.STARTING and last - condition.since < health.start_period
    return last + (min(health.interval, START_INTERVAL) if early else health.interval)


def take_result(health: Health, condition: Condition, result: Result) -> Condition:
    """The condition after a check. Within the start period a failure does not count, unless one has passed already."""
    output = result.output[-LONGEST_OUTPUT:]
    condition = replace(condition, checked=result.at, output=output)
    if result.passed:
        return replace(condition, status=Status.HEALTHY, failures=0)
    early = condition.status is Status.STARTING and result.at - condition.since < health.start_period
    failures = condition.failures + (0 if early else 1)
    status = Status.UNHEALTHY if failures >= health.retries else condition.status
    return replace(condition, failures=failures, status=status)
