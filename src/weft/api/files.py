"""Files of machines."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from weft.api.deps import TheRoom
from weft.model.files import FileView

router = APIRouter(prefix="/machines", tags=["files"])
Path = Annotated[str, Query(description="in the machine, from its root on")]


@router.get("/{name}/file")
async def get_file(room: TheRoom, name: str, path: Path) -> FileView:
    """What a file in a machine is."""
    return await room.files.stat(name, path)


@router.get("/{name}/archive", response_class=StreamingResponse)
async def get_archive(room: TheRoom, name: str, path: Path) -> StreamingResponse:
    """A tar of a file or folder, under its own name; when the path ends with `/.`, of what is in a folder."""
    stream = room.files.read(name, path)
    first = await anext(stream)  # errors before the first byte become an error, not a broken stream
    return StreamingResponse(_chain(first, stream), media_type="application/x-tar")


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


@router.put("/{name}/archive", status_code=204)
async def put_archive(room: TheRoom, name: str, path: Path, request: Request) -> None:
    """Unpack the body, a tar, into a folder. Its owners are taken over; a connection that ends early ends this too."""
    await room.files.write(name, path, request.stream())
