"""Descriptors of other processes: taken from them under the same open file, not opened anew."""

import ctypes
import os
from pathlib import Path

from weft.host.pids import ProcessId
from weft.model.errors import Unavailable

_PIDFD_GETFD = 438
"""The system call's number, the same on all architectures; Python has no name for it."""
_LIBC = ctypes.CDLL(None, use_errno=True)


def take_descriptor(process: ProcessId, number: int) -> int:
    """A descriptor of ours for what another process has open as `number`; the caller closes it.

    A tap stays attached, a file that has lost its name stays readable. Raises Unavailable: it is gone, or the kernel
    does not let us.
    """
    try:
        pidfd = os.pidfd_open(process.pid)
        try:
            taken = _LIBC.syscall(_PIDFD_GETFD, pidfd, number, 0)
            error = ctypes.get_errno()
        finally:
            os.close(pidfd)
    except ProcessLookupError as err:
        raise Unavailable(f"process {process.pid} is gone") from err
    if taken < 0:
        raise Unavailable(f"cannot take descriptor {number} of process {process.pid}: {os.strerror(error)}")
    os.set_inheritable(taken, False)
    return int(taken)


def find_taps(process: ProcessId) -> dict[str, int]:
    """The taps that a process has open: their descriptors by name. Raises Unavailable when it is gone."""
    found = {}
    try:
        for entry in Path(f"/proc/{process.pid}/fdinfo").iterdir():
            for line in entry.read_text().splitlines():
                key, _, value = line.partition(":")
                if key == "iff":
                    found[value.strip()] = int(entry.name)
    except OSError as err:
        raise Unavailable(f"process {process.pid} is gone") from err
    return found


def read_command(process: ProcessId) -> list[str]:
    """The words that a process was started with. Raises Unavailable when it is gone."""
    try:
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    except OSError as err:
        raise Unavailable(f"process {process.pid} is gone") from err
    if not words or not process.alive():
        raise Unavailable(f"process {process.pid} is gone")
    return words.rstrip(b"\0").decode(errors="surrogateescape").split("\0")
