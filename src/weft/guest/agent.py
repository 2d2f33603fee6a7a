"""The host end of a machine's agent: one connection to the unix socket behind its virtio-serial port.

    async with await agent.exec(["uname", "-r"]) as process:
        status, out, err = await process.collect()

One reader task never waits for anybody: what a slow user of one stream has not taken is bounded by its window.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from weft.guest.becoming import Become, dump_become
from weft.guest.commits import Commits, OnCommit
from weft.guest.facts import Facts, parse_facts
from weft.guest.frames import PADDING, Frame, FrameParser, Kind, dump_frame
from weft.guest.link import Link
from weft.guest.opening import ReadyFinder
from weft.guest.pace import PIECE, SHARED, Cost
from weft.guest.protocol import (
    MAJOR,
    MAX_STREAMS,
    MINOR,
    NONCE_BYTES,
    EntryStatus,
    ExecRequest,
    Hello,
    MachineEvent,
    Ready,
    ShutdownKind,
    dump_exec,
    dump_hello,
    dump_resize,
    dump_shutdown,
    dump_signal,
    dump_time,
    parse_entry,
    parse_error,
    parse_event,
    parse_ready,
    parse_reason,
    parse_u32,
)
from weft.guest.streams import ExecStream, Send, error_from_agent
from weft.model.errors import Invalid, NoRoom, Unavailable, WeftError

CLOCK_TOLERANCE_NS = 5_000_000

FREEZING_MINOR = 3
"""The first version whose init can freeze a machine's programs."""

_FIRST_REPEAT_SECONDS = 0.1
_FIRST_BECOME_REPEAT_SECONDS = 1.0
_LONGEST_REPEAT_SECONDS = 1.0

_ANSWERS = frozenset({Kind.FACTS, Kind.PONG, Kind.FREEZE, Kind.THAW, Kind.REHEARSE})

OnEntry = Callable[[EntryStatus], None]
OnEvent = Callable[[MachineEvent], None]


class Agent:
    """An open connection. `ready` is what the machine said first; `entry` follows its entry point.

    With `become`, the machine is told who it is to be, and is ready when it is that.
    `closed` is done when the connection has ended, from whichever side; calls then raise Unavailable.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_entry: OnEntry | None,
        on_commit: OnCommit | None = None,
        on_event: OnEvent | None = None,
        become: Become | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._ready: asyncio.Future[Ready] = loop.create_future()
        self._ready.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._link = Link(reader, writer)
        self._on_entry = on_entry
        self._on_event = on_event
        self._become = become
        self._nonce = os.urandom(NONCE_BYTES)
        self._streams: dict[int, ExecStream] = {}
        self._answers: dict[tuple[Kind, int], asyncio.Future[bytes]] = {}
        self._last_number = 0
        self._commits = Commits(self._send, on_commit)
        self._reason: str | None = None
        self.entry = EntryStatus("none")

    @property
    def ready(self) -> Ready:
        return self._ready.result()

    # Opening.

    async def open(self, wall_clock: Callable[[], int]) -> None:
        """Says HELLO, and whom to become, until READY comes. Raises Unavailable when the other end is of another kind,
        goes away, or cannot become that.

        A copy goes on from a moment in which nothing was half sent, so it is spared the padding, unless it is silent.
        """
        pause = _FIRST_BECOME_REPEAT_SECONDS if self._become else _FIRST_REPEAT_SECONDS
        padding = b"" if self._become else PADDING
        while not self._ready.done():
            self._link.write(padding + b"".join(self._greet(wall_clock())))
            await asyncio.wait([self._ready], timeout=pause)
            pause = min(pause * 2, _LONGEST_REPEAT_SECONDS)
            padding = PADDING if self._become else b""
        ready = self.ready
        if ready.major != MAJOR:
            hint = "start the machine again with this version's init"
            raise Unavailable(f"the agent speaks protocol {ready.major}, this is {MAJOR}", hint=hint)
        now = wall_clock()
        if abs(now - ready.wall_ns) > CLOCK_TOLERANCE_NS:
            self.set_time(now)

    def _greet(self, wall_ns: int) -> Iterator[bytes]:
        hello = Hello(self._nonce, MAJOR, MINOR, wall_ns, becomes=self._become is not None)
        yield dump_frame(Kind.HELLO, 0, dump_hello(hello))
        for piece in dump_become(self._become, wall_ns) if self._become else ():
            yield dump_frame(Kind.BECOME, 0, piece)

    # The reader task.

    async def run(self) -> None:
        """Reads until the connection ends, then fails everything that waits."""
        error = Unavailable("the agent's connection has ended")
        try:
            await self._read_frames()
            if not self._ready.done():
                error = Unavailable("the machine ended before its agent was ready", hint="its log says why")
        except OSError as err:
            error = Unavailable(f"the agent's connection: {err.strerror}")
        except Invalid as err:
            error = Unavailable(err.message, hint="the machine's agent is broken or hostile")
        finally:
            self._end(error)

    async def _read_frames(self) -> None:
        opener, parser, cost = ReadyFinder(self._nonce), FrameParser(), Cost(SHARED)
        while data := await self._link.read():
            for at in range(0, len(data), PIECE):
                cost.begin()
                piece = data[at : at + PIECE]
                for frame in parser.feed(piece if self._ready.done() else opener.feed(piece)):
                    self._dispatch(frame)
                await cost.end()

    def _dispatch(self, frame: Frame) -> None:
        if frame.kind == Kind.READY:
            self._take_ready(frame)
        elif not self._ready.done():
            self._take_failure(frame)
        elif frame.kind == Kind.ENTRY:
            self._take_entry(parse_entry(frame.payload))
        elif frame.kind == Kind.OOM:
            self._set_entry(replace(self.entry, oom_kills=parse_u32(Kind.OOM, frame.payload)))
        elif frame.kind == Kind.REASON:
            self._reason = parse_reason(frame.payload)
        elif frame.kind == Kind.COMMIT:
            self._commits.take(frame)
        elif frame.kind == Kind.EVENT:
            self._take_event(parse_event(frame.payload))
        elif frame.kind in _ANSWERS:
            self._answer(Kind(frame.kind), frame)
        elif stream := self._streams.get(frame.stream):
            stream.take(frame)
            if stream.is_over:
                del self._streams[frame.stream]

    def _take_ready(self, frame: Frame) -> None:
        ready = parse_ready(frame.payload)
        if ready.nonce != self._nonce or self._ready.done() or (self._become and ready.held):
            return
        self.entry = ready.entry
        self._ready.set_result(ready)

    def _take_failure(self, frame: Frame) -> None:
        """Behind a READY that says that the machine is held still: why it cannot become whom it was told to be."""
        if frame.kind == Kind.ERROR and frame.stream == 0:
            self._ready.set_exception(error_from_agent(parse_error(frame.payload)))

    def _take_entry(self, entry: EntryStatus) -> None:
        """A REASON came just before; the number of OOM stays as it is until another comes."""
        reason, self._reason = self._reason, None
        self._set_entry(replace(entry, reason=reason, oom_kills=self.entry.oom_kills))

    def _set_entry(self, entry: EntryStatus) -> None:
        self.entry = entry
        if self._on_entry:
            self._on_entry(entry)

    def _take_event(self, event: MachineEvent) -> None:
        if self._on_event:
            self._on_event(event)

    def _answer(self, kind: Kind, frame: Frame) -> None:
        waiting = self._answers.get((kind, frame.stream))
        if waiting and not waiting.done():
            waiting.set_result(frame.payload)

    def _end(self, error: WeftError) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
        self._commits.end()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
        for stream in self._streams.values():
            stream.fail(error)
        self._streams.clear()
        if not self.closed.done():
            self.closed.set_result(None)
        self._link.close()

    async def hang_up(self, reading: "asyncio.Task[None]") -> None:
        """Ends the connection and its reader task."""
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await self._link.wait_closed()

    # What its user calls.

    def _send(self, kind: Kind, stream: int, payload: bytes) -> None:
        """The transport's buffer stays small: data is bounded by windows, and all else is tiny."""
        self._link.write(dump_frame(kind, stream, payload))

    def _send_last(self, kind: Kind, stream: int, payload: bytes) -> None:
        """All that comes behind it waits."""
        self._send(kind, stream, payload)
        self._link.hold()

    def _send_first(self, kind: Kind, stream: int, payload: bytes) -> None:
        """And behind it what has waited."""
        self._link.release(before=dump_frame(kind, stream, payload))

    def _require_open(self) -> None:
        if self.closed.done():
            raise Unavailable("the agent's connection has ended")

    def _new_number(self) -> int:
        if len(self._streams) + len(self._answers) >= MAX_STREAMS:
            raise NoRoom(f"{MAX_STREAMS} processes and questions are open already in this machine")
        busy = self._streams.keys() | {number for _, number in self._answers}
        while True:
            self._last_number = self._last_number % 0xFFFF + 1
            if self._last_number not in busy:
                return self._last_number

    async def exec(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
        tty: tuple[int, int] | None = None,
        stdin: bool = False,
        builtin: bool = False,
        detached: bool = False,
        timeout: float = 10.0,
    ) -> ExecStream:
        """Starts a program in the machine and returns when it runs; `timeout` (seconds) is for that only.

        `env` goes over the machine's own environment; `tty` is the (rows, columns) of a terminal, which then is input,
        output and error in one. `builtin`: the program is one of those inside the machine's init, which are there in
        every image (docs/agent-protocol.md). A `detached` one has no input or output, counts as ended when it runs, and
        outlives this connection. Raises NotFound or Invalid (no such program, directory or user), NoRoom (too many),
        Unavailable (no answer).
        """
        payload = dump_exec(ExecRequest(argv, env or {}, cwd, user, tty, stdin, builtin, detached))
        self._require_open()
        stream = ExecStream(self._new_number(), self._send, detached=detached)
        self._streams[stream.number] = stream
        self._send(Kind.EXEC, stream.number, payload)
        try:
            async with asyncio.timeout(timeout):
                await stream.started()
        except TimeoutError as err:
            stream.abandon()
            raise Unavailable(f"{argv[0]}: the machine did not start it within {timeout:g} s") from err
        except asyncio.CancelledError:
            stream.abandon()
            raise
        return stream

    async def _ask(self, kind: Kind, answer: Kind, payload: bytes, timeout: float, send: Send | None = None) -> bytes:
        self._require_open()
        key = (answer, self._new_number())
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[key] = waiting
        (send or self._send)(kind, key[1], payload)
        try:
            async with asyncio.timeout(timeout):
                return await waiting
        except TimeoutError as err:
            raise Unavailable(f"the machine's agent did not answer within {timeout:g} s") from err
        finally:
            del self._answers[key]

    async def ping(self, *, timeout: float = 5.0) -> float:
        """The round trip in seconds."""
        begin = time.monotonic()
        await self._ask(Kind.PING, Kind.PONG, b"", timeout)
        return time.monotonic() - begin

    async def facts(self, *, timeout: float = 5.0) -> Facts:
        """Load, memory, pressure, addresses: as they are now."""
        answer = await self._ask(Kind.FACTS, Kind.FACTS, b"", timeout)
        try:
            return parse_facts(answer)
        except Invalid as err:
            raise Unavailable(err.message, hint="the machine's agent is broken or hostile") from err

    async def freeze(self, *, timeout: float = 5.0) -> None:
        """Stops everything in the machine but its init, and returns when it stands still.

        Until `thaw` nothing more is sent, so that nothing is on its way when the machine is captured. When it cannot be
        done all goes on as before. Raises Unavailable.
        """
        self._require_open()
        if self.ready.minor < FREEZING_MINOR:
            raise Unavailable(
                "the machine's init cannot freeze programs", hint="start it again with this version's init"
            )
        try:
            answer = await self._ask(Kind.FREEZE, Kind.FREEZE, b"", timeout, self._send_last)
            if error := parse_u32(Kind.FREEZE, answer):
                raise Unavailable(f"the machine's programs cannot be frozen: {os.strerror(error)}")
        except BaseException:
            self._send_first(Kind.THAW, 0, b"")
            raise

    async def thaw(self, *, timeout: float = 5.0) -> None:
        """Lets the machine's programs go on, and sends what has waited. Raises Unavailable."""
        self._require_open()
        await self._ask(Kind.THAW, Kind.THAW, b"", timeout, self._send_first)

    async def rehearse(self, *, timeout: float = 10.0) -> None:
        """Has a held machine do what becoming somebody takes, and undo it. Raises Unavailable.

        Under emulation it becomes somebody much sooner then: its QEMU has translated that code.
        """
        answer = await self._ask(Kind.REHEARSE, Kind.REHEARSE, b"", timeout)
        if error := parse_u32(Kind.REHEARSE, answer):
            raise Unavailable(f"the machine cannot rehearse: {os.strerror(error)}")

    async def move_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Goes on over another socket, at whose other end the same guest goes on in the same state.

        The machine must be frozen, and who served the old socket be gone or have stopped: what it has sent is read to
        its end first. Its user notices nothing. Raises WrongState, and Unavailable when the connection has ended.
        """
        self._require_open()
        await self._link.move_to(reader, writer)
        self._require_open()

    def resize_console(self, rows: int, cols: int) -> None:
        """The size of the entry point's terminal; NO_TERMINAL rows: there is none, and nothing is echoed."""
        self._send(Kind.RESIZE, 0, dump_resize(rows, cols))

    def signal_entry(self, number: int) -> None:
        """A signal (1 to 64) to the entry point alone, if it runs."""
        self._send(Kind.SIGNAL, 0, dump_signal(number))

    def set_time(self, wall_ns: int) -> None:
        """Sets the machine's clock, unless it is right to 5 ms."""
        self._send(Kind.TIME, 0, dump_time(wall_ns))

    def shutdown(self, kind: ShutdownKind = "poweroff", *, grace: float = 2.0) -> None:
        """Asks for the end: processes get SIGTERM, and SIGKILL after `grace` seconds (60 at most).

        Returns at once; the connection ends when QEMU does, so wait for `closed` or for the process.
        """
        self._require_open()
        self._send(Kind.SHUTDOWN, 0, dump_shutdown(kind, round(min(grace, 60.0) * 1000)))
