"""Images of CDs, floppies and disks that users have on the host.

One is opened by the daemon, looked at as it is open, and locked as long as anybody has it open: QEMU inherits the
descriptor, and the lock with it (flock(2)), so it holds for as long as that runs and whether or not there is a daemon.
"""

import fcntl
import os
import stat
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from weft.host.disk_formats import HEAD, parse_format
from weft.model.errors import Invalid, NotFound, Unavailable, WrongState
from weft.model.foreign import DiskFormat

FLOPPY_SIZES = (1474560, 737280)
"""Bytes of 3.5 inch floppies, of high and of double density."""

_LOCK = struct.Struct("@hhqqi4x")
"""The kernel's `struct flock`: kind, from where it counts, start, length, whose."""
_QEMU_LOCKS, _QEMU_WRITES = range(100, 300), 101
"""Bytes of an image that QEMU locks for what it does with it, and does not let others do (block/file-posix.c)."""


class Drive(StrEnum):
    """What an image is put into."""

    CDROM = "CD"
    FLOPPY = "floppy"
    DISK = "disk"

    @property
    def writes(self) -> bool:
        return self is not Drive.CDROM


@dataclass(frozen=True, slots=True)
class OpenMedium:
    """An image that is open and locked."""

    fd: int
    format: DiskFormat


def check_medium(path: Path, drive: Drive, home: Path) -> None:
    """Whether the image could be opened now, by whoever has it to himself.

    Raises NotFound, Unavailable (no permission), Invalid for what is no such image, or lies in the fabric's `home`.
    """
    try:
        fd = _open(path, drive)
    except FileNotFoundError as err:
        raise NotFound(f"there is no {path}") from err
    except OSError as err:
        raise Unavailable(f"cannot open {path}: {err.strerror}") from err
    try:
        _check(fd, path, drive, home)
    finally:
        os.close(fd)


def open_medium(stack: ExitStack, path: Path, drive: Drive, home: Path) -> OpenMedium:
    """The image, which is open here as long as `stack`, and locked as long as it is open anywhere: for one writer, or
    for any number of readers.

    Raises Unavailable, WrongState (somebody has it), Invalid as `check_medium` does.
    """
    try:
        fd = _open(path, drive)
    except OSError as err:
        raise Unavailable(f"cannot open {path}: {err.strerror}") from err
    stack.callback(os.close, fd)
    found = _check(fd, path, drive, home)
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if drive.writes else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise WrongState(f"{path} is in use") from err
    except OSError as err:
        raise Unavailable(f"cannot lock {path}: {err.strerror}") from err
    if _is_locked_by_qemu(fd, drive):
        raise WrongState(f"{path} is in use")
    return OpenMedium(fd, found)


def _open(path: Path, drive: Drive) -> int:
    """Nothing but a file is opened: a device or a pipe might do something when it is."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise Invalid(f"{path} is no file")
        return os.open(f"/proc/self/fd/{place}", (os.O_RDWR if drive.writes else os.O_RDONLY) | os.O_CLOEXEC)
    finally:
        os.close(place)


def _is_locked_by_qemu(fd: int, drive: Drive) -> bool:
    """Whether some QEMU that knows nothing of our locks has it; a reader minds those that write."""
    start, length = (_QEMU_LOCKS.start, len(_QEMU_LOCKS)) if drive.writes else (_QEMU_WRITES, 1)
    asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked)
    return bool(_LOCK.unpack(found)[0] != fcntl.F_UNLCK)


def _check(fd: int, path: Path, drive: Drive, home: Path) -> DiskFormat:
    """The format of what is open, whichever name led there. A CD and a floppy are what they are, byte by byte."""
    size = os.fstat(fd).st_size
    if Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(home.resolve()):
        raise Invalid(f"{path} is the fabric's own: no machine may have it")
    if not size:
        raise Invalid(f"{path} is empty")
    if drive is Drive.FLOPPY and size not in FLOPPY_SIZES:
        sizes = " or ".join(map(str, FLOPPY_SIZES))
        hint = f"truncate -s {FLOPPY_SIZES[0]} makes a copy of it one" if size < FLOPPY_SIZES[0] else None
        raise Invalid(f"{path} is no floppy: it has {size} bytes, and not {sizes}", hint=hint)
    if drive is not Drive.DISK:
        return "raw"
    try:
        return parse_format(os.pread(fd, HEAD, 0))
    except Invalid as err:
        raise Invalid(f"{path} {err.message}", hint=err.hint) from err
