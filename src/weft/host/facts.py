"""What this host is and can do, as the fabric plans with it."""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from weft.host.accelerator import KVM, TCG, Accelerator, find_accelerator
from weft.host.process import find_program, run
from weft.model.errors import WeftError
from weft.model.machine import Profile

QEMU = "qemu-system-x86_64"
SMALL_QEMU = "qemu-system-x86_64-microvm"
"""The same with few devices: half as large, for KVM alone."""
_UNKNOWN = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What does not change while this boot lasts.

    `qemu` is the emulator's path, or its bare name when it is not installed. `accel` is `kvm` or `tcg`. `tsc_khz` is
    the processor's clock, zero when unknown: a guest without a timer to measure it against is told.
    """

    qemu: str
    qemu_version: tuple[int, int, int]
    accel: str
    accel_reason: str
    cpus: int
    memory_bytes: int
    tsc_khz: int
    root: bool
    small_qemu: str | None = None
    """The path of a smaller one of the same version, where KVM runs."""

    def choose_qemu(self, profile: Profile, *, folders: bool) -> str:
        """The emulator for a machine. The small one has all devices of a microvm but folders of the host."""
        suffices = profile is Profile.MICROVM and not folders
        return self.small_qemu if self.small_qemu and suffices else self.qemu


async def find_facts(run_dir: Path, accel: str = "auto") -> HostFacts:
    """Look at the host. What takes long is done once per boot and kept in `run_dir`/facts.json.

    `accel` other than `auto` is taken as it is.
    """
    found = find_program(QEMU)
    qemu = found or QEMU
    version = await read_qemu_version(qemu) if found else _UNKNOWN
    accelerator = Accelerator(accel, "as it was set")
    if accel == "auto":
        accelerator = await _read_accelerator(qemu, version, run_dir) if found else Accelerator(TCG, "no QEMU")
    return HostFacts(
        qemu=qemu,
        qemu_version=version,
        accel=accelerator.name,
        accel_reason=accelerator.reason,
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        tsc_khz=parse_khz(Path("/proc/cpuinfo").read_text()),
        root=os.geteuid() == 0,
        small_qemu=await _find_small_qemu(version) if accelerator.name == KVM else None,
    )


async def _find_small_qemu(version: tuple[int, int, int]) -> str | None:
    small = find_program(SMALL_QEMU)
    return small if small and await read_qemu_version(small) == version else None


async def read_qemu_version(qemu: str) -> tuple[int, int, int]:
    """QEMU's version; zeros when it does not tell."""
    try:
        return parse_qemu_version((await run([qemu, "--version"], timeout=10.0)).text)
    except WeftError:
        return _UNKNOWN


def parse_qemu_version(text: str) -> tuple[int, int, int]:
    """`QEMU emulator version 7.2.22 (Debian ...)` is 7, 2, 22; anything else zeros."""
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else _UNKNOWN


def read_available() -> int:
    """Bytes of memory that the host could give to programs now."""
    found = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def read_stalled() -> float | None:
    """Percent of the last ten seconds in which something waited for memory; None where that is not counted.

    See https://docs.kernel.org/accounting/psi.html.
    """
    try:
        found = re.match(r"some avg10=(\d+\.\d+)", Path("/proc/pressure/memory").read_text())
    except OSError:  # not built in, or switched off
        return None
    return float(found[1]) if found else None


def parse_khz(cpuinfo: str) -> int:
    """The first processor's clock from /proc/cpuinfo, in kHz; zero when it is not told."""
    found = re.search(r"^cpu MHz\s*:\s*(\d+\.?\d*)", cpuinfo, re.MULTILINE)
    return round(float(found[1]) * 1000) if found else 0


async def _read_accelerator(qemu: str, version: tuple[int, int, int], run_dir: Path) -> Accelerator:
    """A probe costs up to seconds: its result holds for this boot, this QEMU and this user."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    key = f"{boot} {qemu} {'.'.join(map(str, version))} {os.geteuid()}"
    cache = run_dir / "facts.json"
    try:
        kept = json.loads(cache.read_text())
        if kept["key"] == key:
            return Accelerator(kept["name"], kept["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never written, or not by us: look again
    accelerator = await find_accelerator(qemu)
    fresh = cache.with_suffix(".new")
    fresh.write_text(json.dumps({"key": key, **asdict(accelerator)}))
    fresh.replace(cache)
    return accelerator
