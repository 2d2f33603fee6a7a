"""Events, as server-sent events."""

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from weft.api.deps import TheFabric
from weft.fabric.events import Event, EventLog

router = APIRouter(tags=["events"])


@router.get("/events", response_class=StreamingResponse)
async def events(fabric: TheFabric, since: int | None = None, follow: bool = False) -> StreamingResponse:
    """Events after `since` (all that are kept: 0), and with `follow` those to come."""
    stream = _follow(fabric.site.events, since) if follow else _kept(fabric.site.events, since or 0)
    return StreamingResponse(stream, media_type="text/event-stream")


async def _kept(log: EventLog, since: int) -> AsyncIterator[str]:
    for event in log.since(since):
        yield _dump(event)


async def _follow(log: EventLog, since: int | None) -> AsyncIterator[str]:
    yield ": events\n\n"  # headers and a first byte now, not with the first event
    async for event in log.follow(since):
        yield _dump(event)


def _dump(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.as_dict())}\n\n"
