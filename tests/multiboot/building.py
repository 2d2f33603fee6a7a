"""Building the test kernel."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent


@dataclass(frozen=True)
class TestKernels:
    """One kernel in the two forms that a multiboot loader knows: a 32-bit ELF file, and bytes whose header says where
    they go, as Plan 9's kernels are."""

    __test__ = False

    elf: Path
    aout: Path


def build_kernels(folder: Path) -> TestKernels:
    """Build it into `folder`; takes a second."""
    argv = ["make", "-s", "-C", str(SOURCE), f"OUT={folder}"]
    made = subprocess.run(argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert made.returncode == 0, made.stdout + made.stderr
    return TestKernels(elf=folder / "kernel.elf", aout=folder / "kernel.aout")
