"""Packets at ports: a sniffer is inserted for as long as an answer is read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from weft.api.deps import TheRoom
from weft.fabric.room import Room
from weft.fabric.sniff import Capture
from weft.model.insert import Mode
from weft.model.names import GATEWAY

router = APIRouter()


@dataclass
class Wanted:
    """What a request says of a capture."""

    filter: Annotated[str | None, Query(description="as in pcap-filter(7)")] = None
    count: Annotated[int | None, Query(ge=1, description="end after so many packets")] = None
    seconds: Annotated[float | None, Query(gt=0, description="end after so long")] = None
    format: Annotated[Literal["pcapng", "text"], Query(description="text: lines as tcpdump prints them")] = "pcapng"
    mode: Annotated[Mode, Query()] = Mode.INLINE

    def at(self, port: str) -> Capture:
        return Capture(port, self.filter, self.count, self.seconds, self.format == "text", self.mode)


@router.get("/machines/{name}/sniff", response_class=StreamingResponse, tags=["machines"])
async def sniff(room: TheRoom, name: str, wanted: Annotated[Wanted, Depends()], nic: int = 0) -> StreamingResponse:
    """Packets at a port: a sniffer is inserted for as long as this answer is read."""
    return await _stream(room, wanted.at(f"{name}:{nic}"))


@router.get("/networks/{name}/sniff", response_class=StreamingResponse, tags=["networks"])
async def sniff_gateway(room: TheRoom, name: str, wanted: Annotated[Wanted, Depends()]) -> StreamingResponse:
    """The same at the port of a network's gateway."""
    return await _stream(room, wanted.at(f"{GATEWAY}:{name}"))


async def _stream(room: Room, capture: Capture) -> StreamingResponse:
    stream = _capture(room, capture)
    first = await anext(stream)  # errors before the first byte become an error, not a broken stream
    media_type = "text/plain" if capture.text else "application/x-pcapng"
    return StreamingResponse(_chain(first, stream), media_type=media_type)


async def _capture(room: Room, capture: Capture) -> AsyncIterator[bytes]:
    async with room.sniffers.open(capture) as pieces:
        async for piece in pieces:
            yield piece


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
