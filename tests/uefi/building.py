"""Building the test program for UEFI firmware, and a CD that boots it and nothing else."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("program.c")
LOADER = "::EFI/BOOT/BOOTX64.EFI"
"""What firmware looks for on a medium that it knows nothing of (UEFI Specification 2.9, 3.5.1.1)."""
_FLAGS = (
    *("-std=c11", "-Os", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-Wconversion", "-ffreestanding", "-fpic"),
    *("-fvisibility=hidden", "-fshort-wchar", "-mno-red-zone", "-fno-stack-protector", "-fno-ident"),
    "-fno-asynchronous-unwind-tables",
)
_EFI_APPLICATION = "10"


def build_program(folder: Path) -> Path:
    """Build it into `folder`; takes a moment."""
    built, program = folder / "program.o", folder / "program.efi"
    _run("gcc", *_FLAGS, "-c", "-o", str(built), str(SOURCE))
    linked = ["-s", "-m", "i386pep", "--subsystem", _EFI_APPLICATION, "-e", "start"]
    _run("ld", *linked, "-o", str(program), str(built))
    return program


def make_uefi_cd(path: Path, program: Path) -> Path:
    """A CD that has no boot sector for a BIOS, but a FAT image with this program for UEFI."""
    folder = path.with_suffix(".tree")
    folder.mkdir()
    image = str(folder / "efi.img")
    _run("mkfs.vfat", "-C", image, "1440")
    _run("mmd", "-i", image, "::EFI", "::EFI/BOOT")
    _run("mcopy", "-i", image, str(program), LOADER)
    _run("xorriso", "-as", "mkisofs", "-e", "efi.img", "-no-emul-boot", "-o", str(path), str(folder))
    shutil.rmtree(folder)
    return path


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
