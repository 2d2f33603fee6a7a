"""Memory of machines that outlives no process: memfds, and the seals that make them unchangeable.

A machine's memory is a memfd, so that a copy of the machine can map the same pages and keep to itself what it writes.
What others map is sealed first: QEMU must open it for writing even to read it, and is not trusted
(https://man7.org/linux/man-pages/man2/memfd_create.2.html).
"""

import fcntl
import os
from pathlib import Path

from weft.model.errors import Unavailable

NAME = "weft-memory"
_NO_RESIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_FUTURE_WRITE = 0x10
"""F_SEAL_FUTURE_WRITE, which the module does not name: nobody new may write."""


def create_memory(size: int) -> int:
    """Memory of `size` bytes, all zero and not there yet: a descriptor. Raises OSError."""
    fd = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


def seal_memory(fd: int) -> None:
    """From now on nobody can change it; who has it mapped for writing and shared still can, so that should be over.

    Raises OSError.
    """
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _NO_RESIZE | _FUTURE_WRITE)


def open_memory(pid: int) -> int:
    """The memory that a process has open, as a descriptor of our own. Raises Unavailable when it is not there."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        for entry in folder.iterdir():
            if str(entry.readlink()).startswith(f"/memfd:{NAME}"):
                return os.open(entry, os.O_RDWR | os.O_CLOEXEC)
    except OSError as err:
        raise Unavailable(f"the memory of process {pid} cannot be reached: {err.strerror}") from err
    raise Unavailable(f"process {pid} has no memory that could be shared")
