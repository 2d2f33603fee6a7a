"""Long work as a stream of JSON lines: its progress, then its result or its error."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from weft.model.errors import WeftError

Progress = Callable[[str, float | None], None]
Work = Callable[[Progress], Awaitable[BaseModel]]


def answer_with_progress(work: Work) -> StreamingResponse:
    """Do `work`, which is cancelled when the client hangs up."""
    return StreamingResponse(_lines(work), media_type="application/x-ndjson")


async def _lines(work: Work) -> AsyncIterator[str]:
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def progress(text: str, fraction: float | None) -> None:
        queue.put_nowait({"progress": text, "fraction": fraction})

    async def carry_out() -> None:
        try:
            result = await work(progress)
            queue.put_nowait({"result": result.model_dump(mode="json")})
        except WeftError as err:
            queue.put_nowait({"error": err.as_dict()})
        finally:
            queue.put_nowait(None)

    task = asyncio.create_task(carry_out())
    try:
        while (line := await queue.get()) is not None:
            yield json.dumps(line) + "\n"
        await task
    finally:
        task.cancel()
