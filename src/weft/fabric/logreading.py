"""Reading a serial log: all of it, its end, what is of a span of time, and what is still to come."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.logtimes import LogTimes

_BLOCK = 1 << 16
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a log: its last `tail` lines, written between two times (seconds since the epoch), with times."""

    tail: int | None = None
    since: float | None = None
    until: float | None = None
    timestamps: bool = False


async def follow_log(path: Path, wanted: Wanted, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """What is wanted of a log, until `ended` and all of it was read."""
    times = LogTimes(path)
    position = await asyncio.to_thread(_find_start, path, times, wanted)
    stamp = _Stamp(times) if wanted.timestamps else None
    while True:
        last_round = ended() or (wanted.until is not None and time.time() > wanted.until)
        size = await asyncio.to_thread(_find_end, path, times, wanted)
        if size < position and _size_of(path) < position:  # it was rotated
            position = 0
        while position < size:
            chunk = await asyncio.to_thread(_read_at, path, position, min(_BLOCK, size - position))
            if not chunk:
                break
            yield stamp.put(chunk, position) if stamp else chunk
            position += len(chunk)
        if last_round:
            return
        await asyncio.sleep(_POLL)


class _Stamp:
    """Puts before each line when its first byte was written."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times
        self._in_line = False

    def put(self, chunk: bytes, position: int) -> bytes:
        parts = []
        for line in _split(chunk):
            if not self._in_line:
                parts.append(_dump_time(self._find_time(position)))
            parts.append(line)
            position += len(line)
            self._in_line = not line.endswith(b"\n")
        return b"".join(parts)

    def _find_time(self, position: int) -> float:
        found = self._times.time_of(position)
        if found is None:
            self._times.look()
            found = self._times.time_of(position)
        return time.time() if found is None else found  # it was written just now


def _split(chunk: bytes) -> list[bytes]:
    """Lines end with line feeds alone: a carriage return is an affair of the line."""
    return [line + b"\n" for line in chunk.split(b"\n")[:-1]] + ([rest] if (rest := chunk.rpartition(b"\n")[2]) else [])


def _dump_time(moment: float) -> bytes:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    return f"{whole}.{int(moment * 1000) % 1000:03d}Z ".encode()


def _find_start(path: Path, times: LogTimes, wanted: Wanted) -> int:
    times.look()
    start = 0
    if wanted.since is not None:
        start = _after_line(path, times.start_of(wanted.since))
    if wanted.tail is not None:
        start = max(start, find_tail(path, wanted.tail, _find_end(path, times, wanted)))
    return start


def _find_end(path: Path, times: LogTimes, wanted: Wanted) -> int:
    """Where to stop for now: at the end of the line that was begun before `until`."""
    size = _size_of(path)
    if wanted.until is None:
        return size
    times.look()
    end = times.end_of(wanted.until)
    return size if end is None else min(size, _after_line(path, end))


def _after_line(path: Path, offset: int) -> int:
    """The beginning of the first line at or behind an offset: a line belongs to the time of its first byte."""
    if offset == 0 or _read_at(path, offset - 1, 1) == b"\n":
        return offset
    while block := _read_at(path, offset, _BLOCK):
        if (found := block.find(b"\n")) >= 0:
            return offset + found + 1
        offset += len(block)
    return offset


def find_tail(path: Path, lines: int, end: int) -> int:
    """Where the last lines before `end` begin. The last one need not be complete."""
    if not lines or not end:
        return end
    missing = lines + (_read_at(path, end - 1, 1) == b"\n")  # line feeds back to the one before the first line
    while end > 0:
        start = max(0, end - _BLOCK)
        block = _read_at(path, start, end - start)
        if (found := block.count(b"\n")) >= missing:
            at = len(block)
            for _ in range(missing):
                at = block.rfind(b"\n", 0, at)
            return start + at + 1
        missing, end = missing - found, start
    return 0


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read_at(path: Path, position: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(size)
    except FileNotFoundError:
        return b""
