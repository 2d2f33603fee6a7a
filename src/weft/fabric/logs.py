"""Logs of machines, what they and their QEMU say: opened for a run, timed, rotated; their end."""

import asyncio
import itertools
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from weft.fabric.layout import MachineFiles
from weft.fabric.logtimes import LogTimes
from weft.fabric.site import Site

TAIL_LINES = 25
"""Lines that an error shows."""
_BLOCK = 1 << 16
LOOK = 0.25
"""Seconds between looks at the sizes of serial logs: times of what is in them are right to this."""
LOOKS_BEFORE_ROTATION = 20


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
    files.errors.unlink(missing_ok=True)
    return files.errors.open("ab")  # for appending, so that it can be cut too


def rotate_log(path: Path, limit: int) -> bool:
    """Copy a log that has grown beyond `limit` bytes aside and start it again; whether that was done.

    Of one that somebody floods the last `limit` bytes are copied. The file itself stays, since QEMU holds it open, for
    appending.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size <= limit:
                return False
            file.seek(max(0, size - max(limit, _BLOCK)))
            _old(path).write_bytes(file.read(max(limit, _BLOCK)))
    except FileNotFoundError:
        return False
    os.truncate(path, 0)
    return True


async def keep_logs(site: Site) -> None:
    """Note when the logs of machines that run grow, and keep them below the size that is set, for ever."""
    known: dict[str, LogTimes] = {}
    for count in itertools.count(1):
        await asyncio.sleep(LOOK)
        live = {machine.name for machine in site.shelves.machines if machine.state.is_live}
        for name in live | known.keys():  # also those that have ended since: their last words
            with suppress(OSError):  # a full disk costs times, and nothing else
                known.setdefault(name, LogTimes(site.layout.machine(name).log)).note()
        known = {name: times for name, times in known.items() if name in live}
        if count % LOOKS_BEFORE_ROTATION == 0:
            for name, times in known.items():
                await _rotate(site, name, times)


async def _rotate(site: Site, name: str, times: LogTimes) -> None:
    files = site.layout.machine(name)
    with suppress(OSError):
        if await asyncio.to_thread(rotate_log, files.log, site.settings.log_bytes):
            times.forget()
        await asyncio.to_thread(rotate_log, files.errors, site.settings.log_bytes)


def read_tail(path: Path, lines: int = TAIL_LINES) -> bytes:
    """The last lines of a log; nothing when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _BLOCK))
            return b"".join(file.read().splitlines(keepends=True)[-lines:] if lines else [])
    except FileNotFoundError:
        return b""


def _old(path: Path) -> Path:
    return path.with_name(path.name + ".1")
