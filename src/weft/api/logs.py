"""The logs of all machines of a room."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from weft.api.deps import TheFabric, TheRoom
from weft.api.machines import WantedLines
from weft.fabric.roomlogs import Line, follow_logs, read_logs

router = APIRouter(tags=["machines"])


@router.get("/logs", response_class=StreamingResponse)
async def read_room_logs(
    fabric: TheFabric,
    room: TheRoom,
    wanted: WantedLines,
    follow: bool = False,
) -> StreamingResponse:
    """What all machines wrote to their serial lines: before each line the machine's name and a tab.

    By the order of their times; with `follow` each machine's from before, then lines as they are written. `tail` is of
    each machine.
    """
    name = room.site.room
    lines = follow_logs(room.site, wanted, lambda: name not in fabric.rooms) if follow else read_logs(room.site, wanted)
    return StreamingResponse(_dump(lines), media_type="text/plain")


async def _dump(lines: AsyncIterator[Line]) -> AsyncIterator[bytes]:
    async for name, line in lines:
        yield name.encode() + b"\t" + line + (b"" if line.endswith(b"\n") else b"\n")
