"""Work on images that a thread does, and how it is stopped and tells how far it is."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from weft.image.flatten.limits import Budget
from weft.image.progress import Progress

T = TypeVar("T")


def tell_loop(progress: Progress) -> Progress:
    """What threads may call."""
    loop = asyncio.get_running_loop()

    def tell(text: str, fraction: float | None) -> None:
        loop.call_soon_threadsafe(progress, text, fraction)

    return tell


async def in_thread(budget: Budget, work: Callable[[], T]) -> T:
    """Work on a thread; when this is cancelled, the budget is stopped, and the thread waited for."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        budget.stop()
        await asyncio.wait([task])
        task.exception()  # most likely Stopped, which nobody needs to hear of
        raise
