"""The API that the file tree asks, without a daemon: it answers what a test says, and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from weft.client.telling import Call, tell_path, tell_request
from weft.client.transport import Request
from weft.filetree.api import translated
from weft.model.errors import NotFound, WeftError
from weft.ninep.words import NinepError


class FakeSession:
    """A session whose other end is the test."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.coming: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.closed = False

    async def send(self, message: str | bytes) -> None:
        self.sent.append(message)

    async def recv(self) -> str | bytes | None:
        return await self.coming.get()

    def tell(self, message: Any) -> None:
        """A message of the daemon: bytes, or an object."""
        self.coming.put_nowait(message if isinstance(message, bytes) or message is None else json.dumps(message))


class FakeApi:
    """Answers by method and path; an answer may be an error. Streams give pieces, until they are told None."""

    def __init__(self, room: str = "default", shared: "FakeApi | None" = None) -> None:
        self._room = room
        self.answers: dict[tuple[str, str], Any] = shared.answers if shared else {}
        self.asked: list[Request] = shared.asked if shared else []
        self.streams: dict[str, asyncio.Queue[bytes | None]] = shared.streams if shared else {}
        self.sessions: dict[str, FakeSession] = shared.sessions if shared else {}
        self.open_streams: list[str] = shared.open_streams if shared else []

    @property
    def room(self) -> str:
        return self._room

    def in_room(self, room: str) -> "FakeApi":
        return FakeApi(room, self)

    def on(self, method: str, path: str, answer: Any) -> None:
        self.answers[method, path] = answer

    def stream(self, path: str, *pieces: bytes) -> "asyncio.Queue[bytes | None]":
        """Announces a stream, with what it begins with."""
        queue = self.streams[path] = asyncio.Queue()
        for piece in pieces:
            queue.put_nowait(piece)
        return queue

    def orders(self) -> list[tuple[str, str, Any]]:
        """What was asked beside questions: method, target, body."""
        return [(one.method, one.target, one.body) for one in self.asked if one.method != "GET"]

    async def ask(self, call: Call) -> Any:
        with translated():
            request = tell_request(call, self._room)
            self.asked.append(request)
            return self._find(request)

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        with translated():
            request = tell_request(call, self._room)
            self.asked.append(request)
            path = request.target.partition("?")[0]
            if path not in self.streams:
                raise NotFound(f"no stream {path}")
            self.open_streams.append(path)
            try:
                yield _pieces(self.streams[path])
            finally:
                self.open_streams.remove(path)

    @asynccontextmanager
    async def open_session(self, path: str) -> AsyncIterator[FakeSession]:
        place = tell_path(path, self._room)
        if place not in self.sessions:
            raise NinepError(f"not-found: no session {place}")
        session = self.sessions[place]
        try:
            yield session
        finally:
            session.closed = True

    def _find(self, request: Request) -> Any:
        path = request.target.partition("?")[0]
        answer = self.answers.get((request.method, path))
        if answer is None:
            if request.method != "GET":
                return {}
            raise NotFound(f"nothing at {path}")
        if isinstance(answer, WeftError):
            raise answer
        return answer(request) if callable(answer) else answer


async def _pieces(queue: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    while (piece := await queue.get()) is not None:
        yield piece
