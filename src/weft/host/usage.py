"""What one process of this host uses, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

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
