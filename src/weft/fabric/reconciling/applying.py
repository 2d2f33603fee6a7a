"""Carrying out plans: as many steps at once as depend on nothing that is still to be done, each told of as it goes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from weft.fabric.carrying import carry_out
from weft.image.progress import Progress as Report
from weft.model.errors import WeftError
from weft.model.steps import ApplyReport, Plan, Progress, Step, StepReport

Act = Callable[[Step, Report], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on. `tell`: a step has begun or is over. `murmur`: what one that takes long is doing: its key, words,
    and the part of it that is done, if that is known. Once `stop` is set nothing more is begun.
    """

    tell: Callable[[StepReport], None]
    murmur: Callable[[str, str, float | None], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Run:
    """One plan that is carried out."""

    def __init__(self, plan: Plan, act: Act, watch: Watch) -> None:
        self._plan = plan
        self._steps = {step.key: step for step in plan.steps}
        self._do = act
        self._watch = watch
        self._begun: dict[str, float] = {}
        self._reports: dict[str, StepReport] = {}

    async def carry_out(self) -> ApplyReport:
        """To its end, or to that of what was begun when it was stopped. Errors of steps are in the report."""
        begin = time.monotonic()
        needs = {key: step.after for key, step in self._steps.items()}
        await carry_out(needs, self._act, self._note, self._watch.stop)
        return ApplyReport(
            file=self._plan.file,
            steps=[self._reports[key] for key in self._steps],
            stopped=self._watch.stop.is_set() and any(self._is_open(step) for step in self._plan.steps),
            seconds=time.monotonic() - begin,
        )

    async def _act(self, key: str) -> None:
        await self._do(self._steps[key], partial(self._watch.murmur, key))

    def _note(self, key: str, progress: Progress, error: WeftError | None) -> None:
        begun = self._begun.setdefault(key, time.monotonic())
        over = progress in (Progress.DONE, Progress.FAILED)
        report = StepReport(
            step=self._steps[key],
            progress=progress,
            seconds=time.monotonic() - begun if over else None,
            error=error.as_dict() if error else None,
        )
        self._reports[key] = report
        self._watch.tell(report)

    def _is_open(self, step: Step) -> bool:
        return self._reports[step.key].progress is Progress.SKIPPED
