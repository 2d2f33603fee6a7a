"""When what is in a serial log was written: QEMU writes no times, so the daemon notes them beside the log.

The daemon looks at the size of every running machine's log a few times a second. When one has grown, it notes the end
of what is there now and when that was written last: the time of the file itself. A time is right to a look's distance,
and also for what was written in one go while no daemon ran.
"""

import os
import struct
from bisect import bisect_left, bisect_right
from pathlib import Path

_HEADER = struct.Struct("<8sQ")
_MAGIC = b"wefttim1"
_ENTRY = struct.Struct("<dQ")
MOST_ENTRIES = 1 << 16
"""One MiB; then every second one of the older half is given up, so the oldest times become less exact."""


class LogTimes:
    """The times of one log, in a file beside it. Bytes before `end` that no earlier entry covers are of its `time`."""

    def __init__(self, log: Path, *, most: int = MOST_ENTRIES) -> None:
        self._log = log
        self._most = most
        self._path = log.with_suffix(".times")
        self._inode = 0
        self._times: list[float] = []
        self._ends: list[int] = []

    def note(self) -> None:
        """Look at the log once. Another file under its name begins anew; so does one that was cut."""
        try:
            found = self._log.stat()
        except FileNotFoundError:
            return
        if found.st_ino != self._inode:
            self.load()
        end = self._ends[-1] if self._ends else 0
        if found.st_ino != self._inode or found.st_size < end:
            self._begin(found.st_ino)
            end = 0
        if found.st_size > end:
            self._append(max(found.st_mtime, self._times[-1] if self._times else 0.0), found.st_size)

    def load(self) -> None:
        """Read what was noted of the file that is the log now."""
        self._inode, self._times, self._ends = 0, [], []
        try:
            data, inode = self._path.read_bytes(), self._log.stat().st_ino
        except FileNotFoundError:
            return
        if len(data) < _HEADER.size or _HEADER.unpack_from(data) != (_MAGIC, inode):
            return
        self._inode = inode
        whole = len(data) - (len(data) - _HEADER.size) % _ENTRY.size
        for time, end in _ENTRY.iter_unpack(data[_HEADER.size : whole]):
            self._times.append(time)
            self._ends.append(end)

    def look(self) -> None:
        """For a reader: what was noted, and the rest of the log as of its last change; nothing is noted."""
        self.load()
        try:
            found = self._log.stat()
        except FileNotFoundError:
            return
        if found.st_size > (self._ends[-1] if self._ends else 0):
            self._times.append(max(found.st_mtime, self._times[-1] if self._times else 0.0))
            self._ends.append(found.st_size)

    def forget(self) -> None:
        """The log was cut: what it has from now on has new times."""
        if self._inode:
            self._begin(self._inode)

    def start_of(self, since: float) -> int:
        """The offset of what was written at that time or later."""
        index = bisect_left(self._times, since)
        return self._ends[index - 1] if index else 0

    def end_of(self, until: float) -> int | None:
        """The end of what was written up to that time; None: nothing later is known of."""
        index = bisect_right(self._times, until)
        if index == len(self._times):
            return None
        return self._ends[index - 1] if index else 0

    def time_of(self, offset: int) -> float | None:
        """When the byte at this offset was written; None when that is not known yet."""
        index = bisect_right(self._ends, offset)
        return self._times[index] if index < len(self._times) else None

    def _begin(self, inode: int) -> None:
        self._inode, self._times, self._ends = inode, [], []
        self._write()

    def _append(self, time: float, end: int) -> None:
        self._times.append(time)
        self._ends.append(end)
        if len(self._times) > self._most:
            self._thin()
            self._write()
            return
        # At its place, and not behind whatever is there: a daemon may have died in the middle of an entry.
        place = _HEADER.size + (len(self._times) - 1) * _ENTRY.size
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, _ENTRY.pack(time, end), place)
        finally:
            os.close(fd)

    def _thin(self) -> None:
        half = len(self._times) // 2
        self._times[:half] = self._times[1:half:2]
        self._ends[:half] = self._ends[1:half:2]

    def _write(self) -> None:
        entries = b"".join(_ENTRY.pack(*entry) for entry in zip(self._times, self._ends, strict=True))
        new = self._path.with_suffix(".new")
        new.write_bytes(_HEADER.pack(_MAGIC, self._inode) + entries)
        new.replace(self._path)
