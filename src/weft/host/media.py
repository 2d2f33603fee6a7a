"""Images of CDs, floppies and disks that users have on the host."""

import os
import stat
from contextlib import ExitStack
from pathlib import Path

from weft.model.errors import Invalid, NotFound, Unavailable


def check_medium(path: Path) -> None:
    """Raises NotFound, or Invalid for what is no file."""
    try:
        mode = path.stat().st_mode
    except OSError as err:
        raise NotFound(f"cannot read {path}: {err.strerror}") from err
    if not stat.S_ISREG(mode):
        raise Invalid(f"{path} is no file")


def open_medium(stack: ExitStack, path: Path, *, read_only: bool) -> int:
    """The image in a descriptor, which is open as long as `stack`. Raises Unavailable, Invalid for what is no file."""
    try:
        fd = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as err:
        raise Unavailable(f"cannot open {path}: {err.strerror}") from err
    stack.callback(os.close, fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise Invalid(f"{path} is no file")
    return fd
