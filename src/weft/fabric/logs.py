"""Serial logs: opened for a run, read from the end, followed, rotated."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from weft.fabric.layout import MachineFiles
from weft.fabric.site import Site
from weft.model.machine import State

TAIL_LINES = 25
"""Lines that an error shows."""
_BLOCK = 1 << 16
_POLL = 0.05
LOG_CHECK = 5.0
"""Seconds between looks at the sizes of serial logs."""


def open_logs(files: MachineFiles, uid: int | None) -> BinaryIO:
    """Begin the logs of a new run: QEMU appends to the serial log as `uid`; the file returned is for its complaints."""
    if files.log.exists():
        files.log.replace(_old(files.log))
    fd = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if uid is not None:
            os.fchown(fd, uid, uid)
    finally:
        os.close(fd)
    return files.errors.open("wb")


def rotate_log(path: Path, limit: int) -> bool:
    """Copy a log that has grown beyond `limit` bytes aside and start it again; whether that was done.

    The file itself stays, since QEMU holds it open, for appending.
    """
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    _old(path).write_bytes(path.read_bytes())
    os.truncate(path, 0)
    return True


async def rotate_logs(site: Site) -> None:
    """Keep the serial logs of running machines below the size that is set, for ever."""
    while True:
        await asyncio.sleep(LOG_CHECK)
        for machine in site.shelves.machines:
            if machine.state is State.RUNNING:
                path = site.layout.machine(machine.name).log
                await asyncio.to_thread(rotate_log, path, site.settings.log_bytes)


def read_tail(path: Path, lines: int = TAIL_LINES) -> bytes:
    """The last lines of a log; nothing when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _BLOCK))
            return b"".join(file.read().splitlines(keepends=True)[-lines:] if lines else [])
    except FileNotFoundError:
        return b""


async def follow_log(path: Path, *, tail: int | None, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """A log from its last `tail` lines (None: from its beginning) on, until `ended` and all of it was read."""
    position = await _start_of(path, tail)
    while True:
        last_round = ended()
        size = path.stat().st_size if path.exists() else 0
        if size < position:  # it was rotated
            position = 0
        while position < size:
            chunk = await asyncio.to_thread(_read_at, path, position)
            if not chunk:
                break
            position += len(chunk)
            yield chunk
        if last_round:
            return
        await asyncio.sleep(_POLL)


async def _start_of(path: Path, tail: int | None) -> int:
    if tail is None or not path.exists():
        return 0
    return path.stat().st_size - len(await asyncio.to_thread(read_tail, path, tail))


def _read_at(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(_BLOCK)
    except FileNotFoundError:
        return b""


def _old(path: Path) -> Path:
    return path.with_name(path.name + ".1")
