"""What one process of this host uses, from /proc."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weft.host.pids import ProcessId

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Processor time since its start; bytes it holds now; bytes to and from disks, if we may know."""

    cpu_seconds: float
    resident: int
    read_bytes: int | None
    written_bytes: int | None


def find_usage(pid: int) -> ProcessUsage | None:
    """None when the process is gone. See proc(5): stat, statm, io."""
    folder = Path(f"/proc/{pid}")
    try:
        stat = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        resident = int((folder / "statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return None
    io = _read_io(folder / "io")
    cpu = (int(stat[11]) + int(stat[12])) / _TICKS
    return ProcessUsage(cpu, resident, io.get("read_bytes"), io.get("write_bytes"))


def _read_io(path: Path) -> dict[str, int]:
    """Nothing where it may not be read: it takes the rights of a debugger."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {key: int(value) for key, _, value in (line.partition(": ") for line in lines)}


def find_additional(pid: int) -> int | None:
    """Bytes of memory that would be free without this process: its own, and its share of what it has with others.

    The kernel's proportional set size (proc(5), smaps_rollup), for which it walks all of the process's pages: up to
    some 20 ms. None when the process is gone, or may not be looked into.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return None


class AdditionalMemory:
    """`find_additional` of many processes at a bounded price: what was found holds for as long as it was dear."""

    _LEAST = 1.0
    _SHARE = 0.01
    """Of a processor, for each process."""

    def __init__(self, clock: Callable[[], float], look: Callable[[int], int | None] = find_additional) -> None:
        self._clock = clock
        self._look = look
        self._found: dict[ProcessId, tuple[float, int | None]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def find(self, process: ProcessId) -> int | None:
        """Bytes, as they are now or were some seconds ago. `clock` has to go on by itself, in seconds."""
        async with self._one_at_a_time:
            good_until, size = self._found.get(process, (0.0, None))
            started = self._clock()
            if started < good_until:
                return size
            size = await asyncio.to_thread(self._look, process.pid)
            now = self._clock()
            self._forget(now)
            self._found[process] = (now + max(self._LEAST, (now - started) / self._SHARE), size)
            return size

    def _forget(self, now: float) -> None:
        """What is out of date: most of it is of processes that ended."""
        self._found = {process: entry for process, entry in self._found.items() if entry[0] > now}
