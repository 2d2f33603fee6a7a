"""Work that goes on when whoever asked for it hangs up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_running: set[asyncio.Task[Any]] = set()


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; when the caller is cancelled, because its client went away, it is still done to its end."""
    return await asyncio.shield(start(work))


def start(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Begin `work`, which goes on whoever waits for it or not."""
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # nobody may be left to look at it
