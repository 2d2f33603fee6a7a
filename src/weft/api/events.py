"""Events, as server-sent events."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from weft.api.deps import AllRooms, TheFabric, TheRoom
from weft.fabric.events import Event, EventLog, Filter

Moment = Annotated[float | None, Query(description="seconds since the epoch")]
router = APIRouter(tags=["events"])


@router.get("/events", response_class=StreamingResponse)
async def events(
    fabric: TheFabric,
    room: TheRoom,
    since: Annotated[int | None, Query(description="only events after the one with this id")] = None,
    follow: bool = False,
    after: Moment = None,
    until: Moment = None,
    kind: Annotated[list[str] | None, Query(description="like `machine.ready`, or `machine` for all of these")] = None,
    machine: Annotated[list[str] | None, Query(description="or insert or network: what it happened to")] = None,
    all_rooms: AllRooms = False,
) -> StreamingResponse:
    """Events that are kept, and with `follow` those to come until `until`; without a beginning only these."""
    of_room = None if all_rooms else room.site.room
    wanted = Filter(after, until, tuple(kind or ()), tuple(machine or ()), of_room)
    log = fabric.shared.events
    begin = 0 if since is None and (after is not None or not follow) else since
    stream = _follow(log, begin, wanted) if follow else _kept(log, begin or 0, wanted)
    return StreamingResponse(stream, media_type="text/event-stream")


async def _kept(log: EventLog, since: int, wanted: Filter) -> AsyncIterator[str]:
    for event in filter(wanted.takes, log.since(since)):
        yield _dump(event)


async def _follow(log: EventLog, since: int | None, wanted: Filter) -> AsyncIterator[str]:
    yield ": events\n\n"  # headers and a first byte now, not with the first event
    left = None if wanted.until is None else max(0.0, wanted.until - time.time())
    async for event in log.follow(since, seconds=left):
        if wanted.takes(event):
            yield _dump(event)


def _dump(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.as_dict())}\n\n"
