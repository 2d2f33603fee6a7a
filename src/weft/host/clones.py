"""Copies of files that nobody writes to meanwhile: blocks are shared where the file system can, holes stay holes."""

import errno
import fcntl
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from weft.model.errors import NoRoom, Unavailable

_FICLONE = 0x40049409
"""ioctl_ficlone(2): the target gets all blocks of the source, copy-on-write."""
_NOT_SHARED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)
_PIECE = 64 << 20


def clone_file(source: Path, target: Path) -> bool:
    """Make `target`, which is not there, what `source` is now, for its owner only; whether the two share their blocks.

    Raises NoRoom, Unavailable; there is no target then.
    """
    try:
        with source.open("rb", buffering=0) as whence, _create(target) as into:
            try:
                shared = _share_blocks(whence.fileno(), into.fileno())
                if not shared:
                    _copy_data(whence.fileno(), into.fileno())
            except BaseException:
                target.unlink(missing_ok=True)
                raise
    except OSError as err:
        full = err.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise (NoRoom if full else Unavailable)(f"{source} cannot be copied to {target}: {err.strerror}") from err
    return shared


def flush_file(path: Path) -> None:
    """Until what is in a file would survive the host's end."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _create(path: Path) -> FileIO:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return FileIO(fd, "r+")


def _share_blocks(whence: int, into: int) -> bool:
    try:
        fcntl.ioctl(into, _FICLONE, whence)
    except OSError as err:
        if err.errno in _NOT_SHARED:
            return False
        raise
    return True


def _copy_data(whence: int, into: int) -> None:
    """Everything but the holes, within the kernel."""
    size = os.fstat(whence).st_size
    os.truncate(into, size)
    for begin, end in _find_data(whence, size):
        at = begin
        while at < end:
            done = os.copy_file_range(whence, into, min(_PIECE, end - at), at, at)
            if not done:  # it has become shorter
                return
            at += done


def _find_data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file is not a hole."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        end = os.lseek(fd, begin, os.SEEK_HOLE)
        yield begin, end
