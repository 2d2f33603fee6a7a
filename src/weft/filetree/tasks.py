"""Tasks behind files that are open: who opens is told when they have begun, and who closes ends them."""

import asyncio
from contextlib import suppress
from typing import Any

from weft.ninep.words import NinepError


def refuse(begun: "asyncio.Future[Any]", err: NinepError) -> None:
    """Nothing begins: whoever waits for it is told why. There may be nobody any more."""
    if not begun.done():
        begun.set_exception(err)
        begun.exception()


async def end_task(task: "asyncio.Task[None]") -> None:
    """Cancel it, and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
