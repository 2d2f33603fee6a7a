"""One process run in a machine: its streams with flow control, and how it ended."""

import asyncio
import errno
import signal as signals
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from weft.guest.frames import MAX_PAYLOAD, Frame, Kind
from weft.guest.protocol import (
    WINDOW,
    AgentError,
    ExitStatus,
    dump_resize,
    dump_signal,
    dump_u32,
    parse_error,
    parse_exit,
    parse_u32,
)
from weft.model.errors import Invalid, NoRoom, NotFound, Unavailable, WeftError, WrongState

OutputName = Literal["stdout", "stderr"]
Send = Callable[[Kind, int, bytes], None]

_WORTH_A_FRAME = WINDOW // 4
_CLOSE_SECONDS = 5.0

_ERRORS: dict[int, type[WeftError]] = {
    errno.ENOENT: NotFound,
    errno.ENOTDIR: NotFound,
    errno.EACCES: Invalid,
    errno.ENOEXEC: Invalid,
    errno.EBUSY: NoRoom,
    errno.EAGAIN: NoRoom,
    errno.ENOMEM: NoRoom,
    errno.ESHUTDOWN: WrongState,
}


def error_from_agent(error: AgentError) -> WeftError:
    """The agent's errno as an error of Weft; the text is the agent's."""
    return _ERRORS.get(error.code, Unavailable)(f"in the machine: {error.text}")


class ExecStream:
    """Made by `Agent.exec`. Iterate over it for the output, in the order it was written; then `wait()`.

    Output that nobody takes stops the process once 64 KiB of it wait here, like a full pipe. Leaving the context kills
    the process if it still runs.
    """

    def __init__(self, number: int, send: Send, *, detached: bool = False) -> None:
        self.number = number
        self.pid: int | None = None
        self._send = send
        self._detached = detached
        self._chunks: deque[tuple[OutputName, bytes]] = deque()
        self._held = 0
        self._taken = 0
        self._credit = WINDOW
        self._discard = False
        self._stdin_open = True
        self._changed = asyncio.Event()
        self._started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        for future in (self._started, self._ended):  # nobody may be waiting: then a failure is no news
            future.add_done_callback(lambda done: done.cancelled() or done.exception())

    # What the connection calls.

    def take(self, frame: Frame) -> None:
        """A frame of this stream. Raises Invalid when it breaks the protocol."""
        if frame.kind in (Kind.STDOUT, Kind.STDERR):
            self._take_output("stdout" if frame.kind == Kind.STDOUT else "stderr", frame.payload)
        elif frame.kind == Kind.WINDOW:
            self._credit += parse_u32(Kind.WINDOW, frame.payload)
        elif frame.kind == Kind.STARTED:
            self._take_started(parse_u32(Kind.STARTED, frame.payload))
        elif frame.kind == Kind.EXIT:
            self._finish(parse_exit(frame.payload))
        elif frame.kind == Kind.ERROR:
            self.fail(error_from_agent(parse_error(frame.payload)))
        self._changed.set()

    def _take_started(self, pid: int) -> None:
        self.pid = pid
        if not self._started.done():
            self._started.set_result(pid)
        if self._detached:
            self._finish(ExitStatus(code=0))

    def _take_output(self, name: OutputName, data: bytes) -> None:
        if self._held + len(data) > WINDOW:
            raise Invalid("agent protocol: more output than the window allows")
        self._held += len(data)
        if self._discard:
            self._give_credit(len(data))
        elif data:
            self._chunks.append((name, data))

    def _finish(self, status: ExitStatus) -> None:
        if not self._ended.done():
            self._ended.set_result(status)

    def fail(self, error: WeftError) -> None:
        """The process could not be started, or the connection is gone."""
        for future in (self._started, self._ended):
            if not future.done():
                future.set_exception(error)
        self._changed.set()

    @property
    def is_over(self) -> bool:
        return self._ended.done()

    async def started(self) -> None:
        """Returns when the program runs in the machine. Raises what kept it from that."""
        await asyncio.shield(self._started)

    # What its user calls.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[OutputName, bytes]:
        """Raises Unavailable when the connection ended first."""
        while not self._chunks:
            if self._ended.done():
                self._ended.result()
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        name, data = self._chunks.popleft()
        self._give_credit(len(data))
        return name, data

    def _give_credit(self, size: int) -> None:
        self._held -= size
        self._taken += size
        if self._taken >= _WORTH_A_FRAME and not self._ended.done():
            self._send(Kind.WINDOW, self.number, dump_u32(self._taken))
            self._taken = 0

    async def write(self, data: bytes) -> None:
        """To the standard input; waits while the process does not read. Raises WrongState after its end."""
        for at in range(0, len(data), MAX_PAYLOAD):
            await self._write_part(data[at : at + MAX_PAYLOAD])

    async def _write_part(self, part: bytes) -> None:
        while part:
            if self._ended.done() or not self._stdin_open:
                raise WrongState("standard input is closed: the process has ended or its input was")
            now, part = part[: self._credit], part[self._credit :]
            if now:
                self._credit -= len(now)
                self._send(Kind.STDIN, self.number, now)
            if part:
                self._changed.clear()
                await self._changed.wait()

    def close_stdin(self) -> None:
        """The process reads end of file after what was written; on a terminal it gets Ctrl-D."""
        if self._stdin_open and not self._ended.done():
            self._send(Kind.EOF, self.number, b"")
        self._stdin_open = False

    def resize(self, rows: int, cols: int) -> None:
        if not self._ended.done():
            self._send(Kind.RESIZE, self.number, dump_resize(rows, cols))

    def signal(self, number: int) -> None:
        """To the process and its group (1 to 64). Nothing happens after its end."""
        payload = dump_signal(number)
        if not self._ended.done():
            self._send(Kind.SIGNAL, self.number, payload)

    async def wait(self) -> ExitStatus:
        """How it ended. The output must be read meanwhile (or `discard`ed), else it may never end."""
        return await asyncio.shield(self._ended)

    def discard(self) -> None:
        """From now on output is thrown away."""
        self._discard = True
        while self._chunks:
            self._give_credit(len(self._chunks.popleft()[1]))

    async def collect(self) -> tuple[ExitStatus, bytes, bytes]:
        """Everything until the end: status, standard output, standard error. For output known to be small."""
        outputs: dict[OutputName, list[bytes]] = {"stdout": [], "stderr": []}
        async for name, data in self:
            outputs[name].append(data)
        return await self.wait(), b"".join(outputs["stdout"]), b"".join(outputs["stderr"])

    async def close(self, *, timeout: float = _CLOSE_SECONDS) -> None:
        """Kills it if it still runs, and waits `timeout` seconds at most for the agent to say that it is gone."""
        self.abandon()
        await asyncio.wait([self._ended], timeout=timeout)

    def abandon(self) -> None:
        """Kills it without waiting. The stream's number stays taken until the agent says that it is gone."""
        if not self._ended.done():
            self.discard()
            self.signal(signals.SIGKILL)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
