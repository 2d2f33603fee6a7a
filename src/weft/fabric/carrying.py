"""Carrying out steps that depend on each other: as many at once as may be, and on past those that fail."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TypeVar

from weft.model.errors import WeftError
from weft.model.steps import Progress

Key = TypeVar("Key")


Tell = Callable[[Key, Progress, WeftError | None], None]


async def carry_out(
    steps: Mapping[Key, Collection[Key]],
    act: Callable[[Key], Awaitable[None]],
    tell: Tell[Key],
    stop: asyncio.Event | None = None,
) -> None:
    """Do every step once all those are done that stand with it; the first named begin first.

    A step that fails with a WeftError takes those along that depend on it, the others go on. Once `stop` is set
    nothing more is begun, and what was begun is done to its end. Names that are no steps are no reason to wait.
    Any other error ends it after what was begun.
    """
    waiting = {key: {need for need in needs if need in steps} for key, needs in steps.items()}
    running: dict[asyncio.Task[WeftError | None], Key] = {}
    defect: BaseException | None = None
    while waiting or running:
        if defect is None and not (stop and stop.is_set()):
            for key in [key for key, needs in waiting.items() if not needs]:
                del waiting[key]
                tell(key, Progress.BEGUN, None)
                running[asyncio.create_task(_attempt(act, key))] = key
        if not running:
            break
        over, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in over:
            key = running.pop(task)
            defect = defect or task.exception()
            if task.exception() is not None:
                continue
            failure = task.result()
            tell(key, Progress.FAILED if failure else Progress.DONE, failure)
            if failure is None:
                for needs in waiting.values():
                    needs.discard(key)
            else:
                for gone in list(find_dependants(waiting, [key])):
                    del waiting[gone]
                    tell(gone, Progress.SKIPPED, None)
    for key in waiting:
        tell(key, Progress.SKIPPED, None)
    if defect is not None:
        raise defect


def find_dependants(steps: Mapping[Key, Collection[Key]], failed: Iterable[Key]) -> list[Key]:
    """All steps that cannot be done once these are not, in their order."""
    gone = set(failed)
    while more := [key for key, needs in steps.items() if key not in gone and gone & set(needs)]:
        gone.update(more)
    return [key for key in steps if key in gone]


async def _attempt(act: Callable[[Key], Awaitable[None]], key: Key) -> WeftError | None:
    try:
        await act(key)
    except WeftError as err:
        return err
    return None
