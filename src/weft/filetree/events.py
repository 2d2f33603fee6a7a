"""What happens, as lines that are read while it happens."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from weft.client.events import parse_events
from weft.filetree.api import Api
from weft.filetree.nodes import Make
from weft.filetree.streams import stream
from weft.filetree.words import join_words


def event_file(api: Api, machines: Sequence[str] = ()) -> Make:
    """Events of a room, or of these machines of it, from its opening on: a line each, a read gives whole lines."""

    @asynccontextmanager
    async def source() -> AsyncIterator[AsyncIterator[bytes]]:
        async with api.open(lambda client: client.events(follow=True, machines=machines)) as pieces:
            first = await anext(pieces, b"")  # a remark, sent when the daemon has begun to listen for us
            yield _dump_lines(first, pieces)

    return stream(source, lines=True)


def log_file(api: Api) -> Make:
    """What the machines of a room write from its opening on: a machine's name, a tab, and the line."""
    return stream(lambda: api.open(lambda client: client.open_room_logs(follow=True, tail=0)), lines=True)


def dump_event(event: dict[str, Any]) -> str:
    """An event's line: its number, when, kind, subject, text, and what else is known of it as KEY=VALUE."""
    words = [str(event["id"]), f"{event['time']:.3f}", event["kind"], event["subject"] or "-", event["text"]]
    return join_words([*words, *(f"{key}={value}" for key, value in (event.get("data") or {}).items())]) + "\n"


async def _dump_lines(begun: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = begun
    while True:
        *blocks, rest = rest.split(b"\n\n")
        for event in _parse_blocks(blocks):
            yield dump_event(event).encode()
        if not (piece := await anext(pieces, b"")):
            return
        rest += piece


def _parse_blocks(blocks: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield from parse_events([*block.decode().split("\n"), ""])
