"""Fuzzing of 9P, codec and server, with atheris: `make fuzz-9p SECONDS=60`.

An input is bytes for the codec, or the story of a connection: whole requests with likely numbers, requests of any
bytes, pieces of a stream, turns of the loop. Whatever it is, nothing is raised, every reply is one that was asked for
and fits, and in the end nothing of the tree is held.
"""

import asyncio
import contextlib
import logging
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import atheris

with atheris.instrument_imports(include=["weft.ninep"]):
    from tests.unit.ninep_memory import MemoryTree

    from weft.ninep import messages as m
    from weft.ninep.auth import SharedSecret
    from weft.ninep.codec import dump, parse
    from weft.ninep.connection import Connection
    from weft.ninep.cursor import Malformed
    from weft.ninep.frames import SMALLEST, Frames
    from weft.ninep.limits import Limits
    from weft.ninep.session import Session
    from weft.ninep.stats import UNTOUCHED, dump_stat, parse_stats
    from weft.ninep.words import NO_FID, NO_TAG, Mode

LIMITS = Limits(msize=4096, fids=6, pending=4)
NAMES = ["a", "d", "f", "never", "..", ".", "", "new", "x/y", "x" * 300]
LOOP = asyncio.new_event_loop()
TURNS = 200
"""Of the loop, within which everything ends that can."""
PROBLEMS: list[str] = []
"""What a server survives, and yet must not happen: exceptions of tasks and callbacks, and those it has logged."""


class Listener(asyncio.Transport):
    """Looks at each reply: it answers a request, and is no larger than a message may be."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[int] = Counter()
        self.in_step = True
        self._frames = Frames(LIMITS.msize)
        self._closing = False

    def write(self, data: Any) -> None:
        self._frames.feed(bytes(data))
        while (frame := self._frames.take()) is not None:
            tag, reply = parse(frame)
            assert reply.code % 2, reply
            self.asked[tag] -= 1
            assert self.asked[tag] >= 0 or not self.in_step, f"{reply} to nothing"
        assert not self._frames.held

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close

    def pause_reading(self) -> None:
        return

    resume_reading = pause_reading


def fuzz_codec(data: bytes) -> None:
    """Any bytes are a message, that has this one form, or malformed; and so is a directory."""
    with contextlib.suppress(Malformed):
        if len(data) >= SMALLEST:
            assert dump(*parse(data))[4:] == data[4:]
    with contextlib.suppress(Malformed):
        assert b"".join(map(dump_stat, parse_stats(data))) == data


def make_request(some: Any) -> m.Message:
    """A request with numbers that are likely to mean something."""
    fid, other = some.ConsumeIntInRange(0, 7), some.ConsumeIntInRange(0, 7)
    name, offset = some.PickValueInList(NAMES), some.PickValueInList([0, 1, 60, 4000, 1 << 20, (1 << 63) - 1, 1 << 63])
    mode = some.PickValueInList([0, 1, 2, 3, 0x10, 0x11, 0x40, 0x42, 0x80])
    make: Callable[[], m.Message] = some.PickValueInList(
        [
            lambda: m.Tversion(
                some.PickValueInList([0, 255, 256, 4096, 1 << 31]), some.PickValueInList(["9P2000", "x"])
            ),
            lambda: m.Tauth(fid, "bo", ""),
            lambda: m.Tattach(fid, some.PickValueInList([NO_FID, other]), "bo", ""),
            lambda: m.Tflush(some.ConsumeIntInRange(0, 7)),
            lambda: m.Twalk(
                fid, other, tuple(some.PickValueInList(NAMES) for _ in range(some.ConsumeIntInRange(0, 5)))
            ),
            lambda: m.Topen(fid, mode),
            lambda: m.Tcreate(fid, name, some.PickValueInList([0o644, Mode.DIR | 0o755, 0xFFFFFFFF]), mode),
            lambda: m.Tread(fid, offset, some.PickValueInList([0, 10, 80, 4000, 0xFFFFFFFF])),
            lambda: m.Twrite(fid, offset, some.ConsumeBytes(20)),
            lambda: m.Tclunk(fid),
            lambda: m.Tremove(fid),
            lambda: m.Tstat(fid),
            lambda: m.Twstat(fid, UNTOUCHED.named(name)),
        ]
    )
    return make()


class Story:
    """A connection, and what happens to it."""

    def __init__(self, some: Any) -> None:
        self._some = some
        self._tree = MemoryTree(some.ConsumeIntInRange(0, 2))
        folder = self._tree.add("d", mode=Mode.DIR | 0o755)
        self._tree.add("f", bytes(100), parent=folder)
        self._tree.add("a", b"text")
        self._never = self._tree.add("never")
        self._never.ready = asyncio.Event()
        auth = SharedSecret(b"x") if some.ConsumeIntInRange(0, 7) == 0 else None
        self._listener, self._buffer = Listener(), bytearray(4096)
        self._connection = Connection(Session(self._tree, auth, LIMITS), LIMITS, self._buffer)
        self._connection.connection_made(self._listener)

    async def tell(self) -> None:
        """All of it; then everybody lets go of everything, whatever is still waiting."""
        if self._some.ConsumeBool():
            self._ask(NO_TAG, m.Tversion(4096, m.VERSION))
            self._ask(1, m.Tattach(0, NO_FID, "bo", ""))
        while self._some.remaining_bytes() and not self._listener.is_closing():
            await self._go_on()
        if self._some.ConsumeBool() and self._never.ready is not None:
            self._never.ready.set()
            await self._turn(TURNS)
        self._connection.connection_lost(None)
        async with asyncio.timeout(10):
            await self._connection.clean()
        held = (self._tree.nodes, self._tree.files)
        assert held == (0, 0), f"{held} are held"

    async def _go_on(self) -> None:
        what = self._some.ConsumeIntInRange(0, 15)
        if what == 0:
            await self._turn(self._some.ConsumeIntInRange(1, 4))
        elif what == 1:
            self._listener.in_step = False  # what follows may be read as anything
            self._feed(self._some.ConsumeBytes(self._some.ConsumeIntInRange(0, 40)))
        elif what == 2:
            body = self._some.ConsumeBytes(self._some.ConsumeIntInRange(0, 60))
            code, tag = self._some.ConsumeIntInRange(98, 130), self._some.ConsumeIntInRange(0, 7)
            self._listener.asked[tag] += 1
            self._feed((7 + len(body)).to_bytes(4, "little") + bytes([code, tag, 0]) + body)
        elif what == 3:
            self._connection.pause_writing()
            await self._turn(1)
            self._connection.resume_writing()
        else:
            self._ask(self._some.ConsumeIntInRange(0, 7), make_request(self._some))

    def _ask(self, tag: int, request: m.Message) -> None:
        self._listener.asked[tag] += 1
        self._feed(dump(tag, request))

    def _feed(self, data: bytes) -> None:
        self._buffer[: len(data)] = data
        self._connection.buffer_updated(len(data))

    async def _turn(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)


class Noticing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        PROBLEMS.append(self.format(record))


def fuzz(data: bytes) -> None:
    """One input."""
    some = atheris.FuzzedDataProvider(data)
    if some.ConsumeIntInRange(0, 3) == 0:
        fuzz_codec(some.ConsumeBytes(some.remaining_bytes()))
    else:
        LOOP.run_until_complete(Story(some).tell())
    assert not PROBLEMS, PROBLEMS


def main() -> None:
    logging.getLogger().addHandler(Noticing(logging.ERROR))
    LOOP.set_exception_handler(lambda loop, context: PROBLEMS.append(repr(context)))
    atheris.Setup([*sys.argv, "-max_len=4096", "-timeout=20", "-rss_limit_mb=1024"], fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
