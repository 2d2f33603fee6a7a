"""Long work as a stream of JSON lines: its progress, then its result or its error."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from weft.api.shield import start
from weft.fabric.reconciling.applying import Watch
from weft.model.errors import WeftError
from weft.model.steps import ApplyReport, StepReport

Progress = Callable[[str, float | None], None]
Work = Callable[[Progress], Awaitable[BaseModel]]
Lines = asyncio.Queue[dict[str, Any] | None]


def answer_with_progress(work: Work) -> StreamingResponse:
    """Do `work`, which is cancelled when the client hangs up."""
    return StreamingResponse(_lines(work), media_type="application/x-ndjson")


def answer_with_steps(work: Callable[[Watch], Awaitable[ApplyReport]]) -> StreamingResponse:
    """Do `work`, which is told to begin nothing more when the client hangs up."""
    return StreamingResponse(_step_lines(work), media_type="application/x-ndjson")


async def _lines(work: Work) -> AsyncIterator[str]:
    queue = Lines()

    def progress(text: str, fraction: float | None) -> None:
        queue.put_nowait({"progress": text, "fraction": fraction})

    task = asyncio.create_task(_fill(queue, work(progress)))
    try:
        async for line in _drain(queue):
            yield line
        await task
    finally:
        task.cancel()


async def _step_lines(work: Callable[[Watch], Awaitable[ApplyReport]]) -> AsyncIterator[str]:
    queue = Lines()

    def tell(report: StepReport) -> None:
        queue.put_nowait({"step": report.model_dump(mode="json")})

    def murmur(key: str, text: str, fraction: float | None) -> None:
        queue.put_nowait({"key": key, "progress": text, "fraction": fraction})

    watch = Watch(tell, murmur)
    task = start(_fill(queue, work(watch)))
    try:
        async for line in _drain(queue):
            yield line
        await task
    finally:
        watch.stop.set()


async def _fill(queue: Lines, work: Awaitable[BaseModel]) -> None:
    """The result or the error goes last."""
    try:
        queue.put_nowait({"result": (await work).model_dump(mode="json")})
    except WeftError as err:
        queue.put_nowait({"error": err.as_dict()})
    finally:
        queue.put_nowait(None)


async def _drain(queue: Lines) -> AsyncIterator[str]:
    while (line := await queue.get()) is not None:
        yield json.dumps(line) + "\n"
