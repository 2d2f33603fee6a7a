"""Whether KVM can really run a guest here: a /dev/kvm that opens is no proof, so a tiny guest has to run.

The guest is a boot sector that the firmware loads: it switches the processor to protected mode and ends QEMU
through the debug exit device. A host whose KVM hangs in real mode does not get that far.
"""

import os
import re
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from weft.host.process import ProcessTimedOut, run
from weft.model.errors import WeftError

KVM, TCG = "kvm", "tcg"
_DEADLINE = 5.0
"""Seconds for the firmware and 40 bytes of guest: 0.3 s where it works."""

_EXIT_PORT, _EXIT_VALUE = 0xF4, 0x10
_EXIT_STATUS = _EXIT_VALUE << 1 | 1
_ORIGIN = 0x7C00
_CODE_SIZE = 32


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What runs guests, `kvm` or `tcg`, and why."""

    name: str
    reason: str


async def find_accelerator(qemu: str, device: Path = Path("/dev/kvm"), cpuinfo: str | None = None) -> Accelerator:
    """KVM when it works, software emulation otherwise. `cpuinfo` is the text of /proc/cpuinfo."""
    if not device.exists():
        return Accelerator(TCG, f"{device} does not exist")
    if not os.access(device, os.R_OK | os.W_OK):
        return Accelerator(TCG, f"{device} may not be opened by this user")
    cpuinfo = Path("/proc/cpuinfo").read_text() if cpuinfo is None else cpuinfo
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo, re.MULTILINE):
        return Accelerator(TCG, f"{device} is there, but the processor shows neither vmx nor svm")
    failure = await probe(qemu, KVM)
    return Accelerator(TCG, failure) if failure else Accelerator(KVM, "a probe guest ran")


async def probe(
    qemu: str, accelerator: str, *, deadline: float = _DEADLINE, boot_sector: bytes | None = None
) -> str | None:
    """Run the probe guest, at most `deadline` seconds. None when it ran, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="weft-probe-") as folder:
        disk = Path(folder) / "probe.img"
        disk.write_bytes(boot_sector or dump_boot_sector())
        try:
            done = await run(_plan_probe(qemu, accelerator, disk), timeout=deadline, check=False)
        except ProcessTimedOut:
            return f"a probe guest did not get anywhere under {accelerator} within {deadline:g} s"
        except WeftError as err:
            return f"no probe guest: {err.message}"
    if done.status == _EXIT_STATUS:
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return f"a probe guest failed under {accelerator}: {said[-1] if said else f'status {done.status}'}"


def dump_boot_sector() -> bytes:
    """The probe guest: 16-bit code that loads a descriptor table, 32-bit code that writes to the exit port."""
    table = _ORIGIN + _CODE_SIZE
    pointer = table + 16
    code = b"\xfa\x31\xc0\x8e\xd8"  # cli; xor ax, ax; mov ds, ax
    code += b"\x0f\x01\x16" + struct.pack("<H", pointer)  # lgdt [pointer]
    code += b"\x0f\x20\xc0\x0c\x01\x0f\x22\xc0"  # mov eax, cr0; or al, 1; mov cr0, eax
    code += b"\xea" + struct.pack("<HH", _ORIGIN + len(code) + 5, 8)  # jmp 8:next
    code += bytes((0xB0, _EXIT_VALUE, 0xE6, _EXIT_PORT, 0xF4, 0xEB, 0xFD))  # mov al, ..; out ..; hlt; jmp back
    flat_code = struct.pack("<HHBBBB", 0xFFFF, 0, 0, 0x9A, 0xCF, 0)
    descriptors = bytes(8) + flat_code + struct.pack("<HI", 15, table)
    return (code.ljust(_CODE_SIZE, b"\xf4") + descriptors).ljust(510, b"\0") + b"\x55\xaa"


def _plan_probe(qemu: str, accelerator: str, disk: Path) -> list[str]:
    return [
        qemu,
        *("-M", "pc", "-accel", accelerator, "-m", "16", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-no-reboot", "-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=1"),
        *("-drive", f"file={disk},format=raw,if=ide,readonly=off,snapshot=on", "-boot", "c"),
    ]
