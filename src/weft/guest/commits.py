"""Texts that a machine asks the host to keep: COMMIT and COMMITTED of the agent's protocol."""

import asyncio
from collections.abc import Awaitable, Callable

from weft.guest.frames import Frame, Kind
from weft.guest.protocol import MAX_COMMIT, dump_committed
from weft.model.errors import Invalid, WeftError

OnCommit = Callable[[str], Awaitable[None]]
"""Called with the text. It accepts by returning; it refuses by raising a WeftError, and the machine is told why."""

Send = Callable[[Kind, int, bytes], None]


class Commits:
    """Collects the text of one commit at a time and answers it. Without `on_commit` everything is refused."""

    def __init__(self, send: Send, on_commit: OnCommit | None) -> None:
        self._send = send
        self._on_commit = on_commit
        self._stream: int | None = None
        self._held = bytearray()
        self._answering: asyncio.Task[None] | None = None

    def take(self, frame: Frame) -> None:
        """A COMMIT frame. Raises Invalid when it breaks the protocol."""
        if self._stream not in (None, frame.stream) or len(self._held) + len(frame.payload) > MAX_COMMIT:
            raise Invalid("agent protocol: a commit that is too long, or two at once")
        self._stream = frame.stream
        self._held += frame.payload
        if not frame.payload:
            data, self._held, self._stream = bytes(self._held), bytearray(), None
            self._begin_answer(frame.stream, data)

    def _begin_answer(self, stream: int, data: bytes) -> None:
        if self._answering and not self._answering.done():
            self._send(Kind.COMMITTED, stream, dump_committed("another commit is being worked on"))
        else:
            self._answering = asyncio.create_task(self._answer(stream, data), name="commit")

    async def _answer(self, stream: int, data: bytes) -> None:
        refusal: str | None = None
        try:
            if not self._on_commit:
                raise Invalid("nothing of this machine is kept")
            await self._on_commit(data.decode())
        except UnicodeDecodeError:
            refusal = "not UTF-8 text"
        except WeftError as err:
            refusal = err.message
        self._send(Kind.COMMITTED, stream, dump_committed(refusal))

    def end(self) -> None:
        """The connection is gone: nobody waits for the answer any more."""
        if self._answering:
            self._answering.cancel()
