"""Coroutines that mostly need not wait: begun by hand, and made a task only where they do.

A task costs a turn of the loop, which for a small file is more than all the rest of the answer.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """What a coroutine came to that did not wait."""

    value: T


def begin(act: Coroutine[Any, Any, T]) -> Ended[T] | Coroutine[Any, Any, T]:
    """Run it to its end or to its first wait; there, what is to go on as a task. Raises what it raises before."""
    try:
        waited = act.send(None)
    except StopIteration as done:
        return Ended(done.value)
    return _follow(act, waited)


async def finish(act: Coroutine[Any, Any, T]) -> T:
    """Carry it out to its end, whoever is cancelled meanwhile: a cancellation is forgotten."""
    begun = begin(act)
    if isinstance(begun, Ended):
        return begun.value
    task = asyncio.ensure_future(begun)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()


async def _follow(act: Coroutine[Any, Any, T], waited: object) -> T:
    return await _go_on(act, waited)


@types.coroutine
def _go_on(act: Coroutine[Any, Any, T], waited: object) -> Generator[Any, Any, T]:
    """Hand on what it waits for to the task around it, and to it what comes of that."""
    try:
        while True:
            try:
                came = yield waited
            except GeneratorExit:
                act.close()
                raise
            except BaseException as err:
                waited = act.throw(err)
            else:
                waited = act.send(came)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
