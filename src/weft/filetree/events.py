"""What happens, as lines that are read while it happens."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from weft.client.events import parse_events
from weft.filetree.api import Api
from weft.filetree.nodes import Make
from weft.filetree.streams import stream
from weft.filetree.tasks import end_task, refuse
from weft.filetree.views import dump_event
from weft.ninep.words import NinepError

BEHIND = 1000
"""Events that one who listens may be behind; then he has lost some, and is told so."""


@dataclass(eq=False)
class _Listener:
    """Somebody who reads."""

    lines: "asyncio.Queue[bytes | None]" = field(default_factory=lambda: asyncio.Queue(BEHIND))
    lost: bool = False

    def tell(self, line: bytes) -> None:
        if not self.lost:
            try:
                self.lines.put_nowait(line)
            except asyncio.QueueFull:
                self.lost = True

    def end(self) -> None:
        """Nothing comes any more."""
        try:
            self.lines.put_nowait(None)
        except asyncio.QueueFull:
            self.lost = True

    async def hear(self) -> AsyncIterator[bytes]:
        while not (self.lost and self.lines.empty()) and (line := await self.lines.get()) is not None:
            yield line
        if self.lost:
            raise NinepError("unavailable: events were lost: they came faster than they were read")


class Events:
    """Events of a room, or of these machines or networks of it: asked for once, and told to all who listen."""

    def __init__(self, api: Api, subjects: Sequence[str] = ()) -> None:
        self._api = api
        self._subjects = subjects
        self._listeners: set[_Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Lines of events from now on."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            await self._begin()
            yield listener.hear()
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self._end()

    async def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._begun = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._begun), name=f"events-{self._api.room}")
        assert self._begun is not None
        await asyncio.shield(self._begun)

    async def _end(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None  # who listens meanwhile begins anew
            await end_task(task)

    async def _run(self, begun: "asyncio.Future[None]") -> None:
        try:
            async with self._api.open(lambda client: client.events(follow=True, machines=self._subjects)) as pieces:
                first = await anext(pieces, b"")  # a remark, sent when the daemon has begun to listen for us
                begun.set_result(None)
                async for event in _parse(first, pieces):
                    line = dump_event(event).encode()
                    for listener in self._listeners:
                        listener.tell(line)
        except NinepError as err:
            refuse(begun, err)
        for listener in self._listeners:
            listener.end()


def event_file(events: Events) -> Make:
    """Events from its opening on: a line each, a read gives whole lines."""
    return stream(events.listen, lines=True)


def log_file(api: Api) -> Make:
    """What the machines of a room write from its opening on: a machine's name, a tab, and the line."""
    return stream(lambda: api.open(lambda client: client.open_room_logs(follow=True, tail=0)), lines=True)


async def _parse(begun: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    rest = begun
    while True:
        *blocks, rest = rest.split(b"\n\n")
        for event in _parse_blocks(blocks):
            yield event
        if not (piece := await anext(pieces, b"")):
            return
        rest += piece


def _parse_blocks(blocks: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield from parse_events([*block.decode().split("\n"), ""])
