"""Limits on processor, memory and process count, by whatever control groups this host has.

Version 2 where it has the controllers and lets us write, else version 1, else nothing, and then `reason` says why.
A fabric's groups are `weft-FABRIC/NAME`, in version 1 once below each controller.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from weft.model.errors import Internal, Unavailable, WrongState

CONTROLLERS = ("cpu", "memory", "pids")
_PERIOD = 100_000
"""Microseconds: the kernel's own default for CPU quotas."""


class CgroupMode(StrEnum):
    V2 = "v2"
    V1 = "v1"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a group may use at most; None is no limit. `cpus` counts processors and may be a fraction.

    `weight`, between 1 and 10000: its share of processors that groups beside it want too.
    """

    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group uses: processor time since its start, memory and processes (threads count) now."""

    cpu_seconds: float
    memory_bytes: int
    pids: int


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One group: a directory, or in version 1 one per controller. None at all where limits are not enforced."""

    name: str
    mode: CgroupMode
    paths: tuple[Path, ...]

    def set_limits(self, limits: Limits) -> None:
        """Change the limits. Raises Unavailable when the kernel refuses."""
        self._set((_plan_v2 if self.mode == CgroupMode.V2 else _plan_v1)(limits))

    def set_weight(self, weight: int) -> None:
        """Change its share of processors alone. Raises Unavailable when the kernel refuses."""
        self._set([_plan_weight(self.mode, weight)])

    def set_cpus(self, cpus: float | None) -> None:
        """Change how many processors it may use alone. Raises Unavailable when the kernel refuses."""
        self._set(_plan_quota(self.mode, cpus))

    def _set(self, values: Sequence[tuple[str, str]]) -> None:
        for path in self.paths:
            for file, value in values:
                if (path / file).exists():
                    _write(path / file, value)

    def add(self, pid: int) -> None:
        """Move a process here; what it starts from now on comes along."""
        for path in self.paths:
            _write(path / "cgroup.procs", str(pid))

    @property
    def doors(self) -> list[Path]:
        """The files by which a process without threads comes in itself, with a zero: cheaper than `add`.

        To move anybody else the kernel first waits until no process anywhere is just starting or ending, 4 to 15 ms.
        """
        door = "cgroup.procs" if self.mode == CgroupMode.V2 else "tasks"
        return [path / door for path in self.paths]

    def pids(self) -> list[int]:
        """The processes here, all of them by one controller's word."""
        return [int(line) for path in self.paths[:1] for line in _read(path / "cgroup.procs").split()]

    def usage(self) -> Usage | None:
        """What it uses; None where nothing is counted."""
        if not self.paths:
            return None
        return _read_v2(self.paths[0]) if self.mode == CgroupMode.V2 else _read_v1(self.paths)

    def cpu_seconds(self) -> float | None:
        """Processor time since its start, with one look; None where that is not counted."""
        if not self.paths:
            return None
        return _read_seconds_v2(self.paths[0]) if self.mode == CgroupMode.V2 else _read_seconds_v1(self.paths[0])

    def can_have(self, limits: Limits) -> bool:
        """Whether limits can be set without harm: version 2 would end processes that hold more memory than they may."""
        if self.mode is not CgroupMode.V2 or limits.memory_bytes is None:
            return True
        stat = dict(line.split() for line in _read(self.paths[0] / "memory.stat").splitlines())
        held = sum(int(stat.get(kind, 0)) for kind in ("anon", "shmem", "kernel"))
        return held < limits.memory_bytes

    def remove(self) -> None:
        """Remove the group. Raises WrongState while a process is in it. Fine when it is gone already."""
        for path in self.paths:
            try:
                path.rmdir()
            except FileNotFoundError:
                continue
            except OSError as err:
                if err.errno == errno.EBUSY:
                    raise WrongState(f"control group {self.name} still has processes") from err
                raise Internal(f"control group {path} cannot be removed: {err.strerror}") from err


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The groups of one fabric. `reason` says why limits are not enforced, where they are not."""

    mode: CgroupMode
    bases: tuple[Path, ...]
    reason: str = ""

    def create(self, name: str, limits: Limits) -> Cgroup:
        """Make a group, or take the one that is there, with these limits. Raises Unavailable."""
        group = self.group(name)
        self._make(group.paths)
        group.set_limits(limits)
        return group

    def set_weight(self, weight: int) -> None:
        """The share of processors that all its groups have together beside those of others. Raises Unavailable."""
        self._make(self.bases)
        Cgroup("of the fabric", self.mode, self.bases).set_weight(weight)

    def set_cpus(self, cpus: float | None) -> None:
        """How many processors all its groups may use together. Raises Unavailable."""
        self._make(self.bases)
        Cgroup("of the fabric", self.mode, self.bases).set_cpus(cpus)

    def _make(self, paths: Sequence[Path]) -> None:
        for base, path in zip(self.bases, paths, strict=True):
            try:
                path.mkdir(parents=True, exist_ok=True)
                if self.mode == CgroupMode.V2:
                    _enable(base)
            except OSError as err:
                raise Unavailable(f"control group {path} cannot be made: {err.strerror}") from err

    def group(self, name: str) -> Cgroup:
        """A group by name, whether or not it is there."""
        return Cgroup(name, self.mode, tuple(base / name for base in self.bases))

    def cpu_seconds(self) -> float | None:
        """Processor time of all groups there have been since the fabric's own was made; None where nobody counts."""
        return Cgroup("of the fabric", self.mode, self.bases).cpu_seconds()

    def names(self) -> list[str]:
        """The groups that are there."""
        found = {path.name for base in self.bases if base.is_dir() for path in base.iterdir() if path.is_dir()}
        return sorted(found)

    def remove(self) -> None:
        """Remove the fabric's own, empty directories."""
        Cgroup("of the fabric", self.mode, self.bases).remove()


def find_cgroups(
    fabric: str, root: Path = Path("/sys/fs/cgroup"), own: str | None = None, uid: int | None = None
) -> Cgroups:
    """What this host offers a fabric. `own` is the text of /proc/self/cgroup, `uid` who asks: ours by default."""
    own = Path("/proc/self/cgroup").read_text() if own is None else own
    uid = os.geteuid() if uid is None else uid
    name = f"weft-{fabric}"
    reasons: list[str] = []
    for mode, bases in (
        (CgroupMode.V2, _find_v2(root, own, uid, reasons)),
        (CgroupMode.V1, _find_v1(root, reasons)),
    ):
        if bases:
            return Cgroups(mode, tuple(base / name for base in bases))
    return Cgroups(CgroupMode.NONE, (), "; ".join(reasons))


def _find_v2(root: Path, own: str, uid: int, reasons: list[str]) -> Sequence[Path]:
    if not (root / "cgroup.controllers").exists():
        reasons.append("version 2 is not mounted")
        return ()
    # Root may use the top; a user only what a service manager has delegated, which is where we are.
    paths = [line[3:].strip("/") for line in own.splitlines() if line.startswith("0::")]
    base = root if uid == 0 else root / (paths[0] if paths else "")
    missing = set(CONTROLLERS) - set(_read(base / "cgroup.controllers").split())
    if missing:
        reasons.append(f"version 2 lacks {', '.join(sorted(missing))} in {base}")
    elif not os.access(base / "cgroup.subtree_control", os.W_OK):
        reasons.append(f"{base} may not be written")
    else:
        return (base,)
    return ()


def _find_v1(root: Path, reasons: list[str]) -> Sequence[Path]:
    bases = [root / controller for controller in CONTROLLERS]
    absent = [base.name for base in bases if not (base / "cgroup.procs").exists()]
    closed = [base.name for base in bases if not os.access(base, os.W_OK)]
    if absent:
        reasons.append(f"version 1 lacks {', '.join(absent)}")
    elif closed:
        reasons.append(f"version 1 may not be written: {', '.join(closed)}")
    else:
        return bases
    return ()


def _enable(base: Path) -> None:
    """Let groups below `base` have the controllers. A group with processes of its own may not: we move aside."""
    for path in (base.parent, base):
        control = path / "cgroup.subtree_control"
        if set(CONTROLLERS) <= set(_read(control).split()):
            continue
        if path == base.parent and str(os.getpid()) in _read(path / "cgroup.procs").split():
            (path / "daemon").mkdir(exist_ok=True)
            (path / "daemon" / "cgroup.procs").write_text(str(os.getpid()))
        control.write_text(" ".join(f"+{controller}" for controller in CONTROLLERS))


def _plan_v2(limits: Limits) -> list[tuple[str, str]]:
    return [
        *_plan_quota(CgroupMode.V2, limits.cpus),
        _plan_weight(CgroupMode.V2, limits.weight),
        ("memory.max", _number(limits.memory_bytes, "max")),
        ("pids.max", _number(limits.pids, "max")),
    ]


def _plan_v1(limits: Limits) -> list[tuple[str, str]]:
    return [
        *_plan_quota(CgroupMode.V1, limits.cpus),
        _plan_weight(CgroupMode.V1, limits.weight),
        ("memory.limit_in_bytes", _number(limits.memory_bytes, "-1")),
        ("pids.max", _number(limits.pids, "max")),
    ]


def _plan_quota(mode: CgroupMode, cpus: float | None) -> list[tuple[str, str]]:
    quota = None if cpus is None else max(1000, round(cpus * _PERIOD))
    if mode == CgroupMode.V2:
        return [("cpu.max", f"{_number(quota, 'max')} {_PERIOD}")]
    return [("cpu.cfs_period_us", str(_PERIOD)), ("cpu.cfs_quota_us", _number(quota, "-1"))]


def _plan_weight(mode: CgroupMode, weight: int) -> tuple[str, str]:
    """Version 1 counts shares: 1024 is what a weight of 100 is."""
    return ("cpu.weight", str(weight)) if mode == CgroupMode.V2 else ("cpu.shares", str(max(2, weight * 1024 // 100)))


def _read_v2(path: Path) -> Usage:
    memory, pids = _read_number(path / "memory.current"), _read_number(path / "pids.current")
    return Usage(_read_seconds_v2(path), memory, pids)


def _read_seconds_v2(path: Path) -> float:
    stat = dict(line.split() for line in _read(path / "cpu.stat").splitlines())
    return int(stat.get("usage_usec", 0)) / 1e6


def _read_v1(paths: Sequence[Path]) -> Usage:
    cpu, memory, pids = paths
    used = _read_number(memory / "memory.usage_in_bytes")
    return Usage(_read_seconds_v1(cpu), used, _read_number(pids / "pids.current"))


def _read_seconds_v1(cpu: Path) -> float:
    # The time is counted by cpuacct, which may or may not be mounted together with cpu.
    top = next(parent for parent in cpu.parents if parent.name == "cpu")
    accounts = top.with_name("cpuacct") / cpu.relative_to(top)
    return (_read_number(cpu / "cpuacct.usage") or _read_number(accounts / "cpuacct.usage")) / 1e9


def _number(value: int | None, unlimited: str) -> str:
    return unlimited if value is None else str(value)


def _read_number(path: Path) -> int:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # removed while we looked, or a controller that is not there
        return ""


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except OSError as err:
        raise Unavailable(f"control group refuses {value!r} in {path}: {err.strerror}") from err
