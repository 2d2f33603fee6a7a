"""Capturing moments: what machines are at one instant, while they go on (docs/decisions/0028-moments.md)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from weft.fabric.moments.holding import Holding
from weft.fabric.moments.receiver import read_running
from weft.fabric.moments.subject import Captured, Subject
from weft.fabric.moments.succession import Succession
from weft.fabric.moments.waking import rouse
from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.model.errors import WrongState
from weft.model.machine import State

Instant = Callable[[], Awaitable[None]]


class Capturing:
    """Captures machines of one room."""

    def __init__(self, site: Site, runs: Runs) -> None:
        self._site = site
        self._runs = runs

    async def capture(
        self, names: Sequence[str], *, go_on: bool = True, at_instant: Instant | None = None
    ) -> dict[str, Captured]:
        """Capture machines, all at one instant: each stands still before the first one goes on.

        `at_instant` is awaited while they all stand still, for what else has to be as it is then, such as disks. With
        `go_on=False` they are left standing, for the caller to end or to `release`; their moments are not sealed until
        they have ended. Who captures a machine that is being captured waits for that.

        Raises WrongState (it does not run, or is of a kind that cannot be captured), Unavailable. Whatever fails, and
        whoever is cancelled: the machines go on, and nothing is left behind.
        """
        capturing = self._capture(sorted(set(names)), go_on, at_instant)
        work = self._site.tasks.start(capturing, f"capture-{' '.join(names)}")
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_close_all)
            raise

    async def release(self, name: str) -> None:
        """Let a machine go on that was captured with `go_on=False`. Raises Unavailable when it has ended."""
        machine = self._site.shelves.machines.get(name)
        await rouse(self._site, machine)
        if agent := self._runs.find_agent(name):
            await agent.thaw()

    async def _capture(self, names: Sequence[str], go_on: bool, at_instant: Instant | None) -> dict[str, Captured]:
        async with AsyncExitStack() as stack:
            for name in names:  # in order, so that two captures cannot wait for each other
                await stack.enter_async_context(self._runs.kept_running(name))
            subjects = [self._find_subject(self._site.shelves.machines.get(name)) for name in names]
            try:
                await _take_all(subjects, go_on, at_instant)
            except BaseException:
                await _each(subject.undo() for subject in subjects)
                raise
            captured = await _each(subject.finish() for subject in subjects)
            return {subject.name: each for subject, each in zip(subjects, captured, strict=True)}

    def _find_subject(self, machine: MachineRecord) -> Subject:
        if machine.state is not State.RUNNING or machine.removing:
            raise WrongState(f"machine {machine.name!r} is {machine.state}, not running")
        if machine.spec.is_foreign:
            raise WrongState(f"machine {machine.name!r} brings its own system, which cannot become another machine")
        if machine.spec.pxe:
            raise WrongState(f"machine {machine.name!r} has booted from its network, and is nowhere but in its memory")
        if machine.elastic is not None:
            raise WrongState(f"machine {machine.name!r} is elastic: what comes and goes cannot be captured")
        running = read_running(self._site, machine)
        kind = Succession if running.shared else Holding
        return kind(self._site, self._runs, machine, running)


async def _take_all(subjects: Sequence[Subject], go_on: bool, at_instant: Instant | None) -> None:
    await _each(subject.prepare(go_on=go_on) for subject in subjects)
    await _each(subject.freeze() for subject in subjects)
    for slow in (True, False):
        await _each(subject.stand() for subject in subjects if subject.slow_to_stand is slow)
    if at_instant is not None:
        await at_instant()
    await _each(subject.take() for subject in subjects)
    if go_on:
        await _each(subject.go_on() for subject in subjects)


async def _each(steps: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All at once, each to its end; then the first failure counts."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _close_all(work: "asyncio.Task[dict[str, Captured]]") -> None:
    """Nobody takes what was captured."""
    if not work.cancelled() and work.exception() is None:
        for captured in work.result().values():
            captured.moment.close()
