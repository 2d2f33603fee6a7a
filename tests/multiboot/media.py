"""Media for the test kernel: a CD that boots it, and a floppy with its configuration."""

import shutil
import subprocess
from pathlib import Path

ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
MODULES = Path("/usr/lib/syslinux/modules/bios")
CONFIG = "CONFIG.INI"


def make_cd(path: Path, kernel: Path, words: str = "", ini: str = "") -> Path:
    """A CD whose boot loader, isolinux, starts a multiboot kernel with `words` on its command line and `ini` as its
    plan9.ini.

    Its first sector is that of a disk, too, so the same image boots from one.
    """
    folder = path.with_suffix(".tree")
    (folder / "isolinux").mkdir(parents=True)
    loader = (ISOLINUX, *(MODULES / name for name in ("ldlinux.c32", "libcom32.c32", "mboot.c32")))
    for file in loader:
        shutil.copy(file, folder / "isolinux")
    shutil.copy(kernel, folder / "kernel")
    (folder / "plan9.ini").write_text(ini)
    module = " --- /plan9.ini" if ini else ""
    (folder / "isolinux" / "isolinux.cfg").write_text(f"PROMPT 0\nDEFAULT mboot.c32 /kernel {words}{module}\n")
    boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4"]
    boot += ["-boot-info-table", "-isohybrid-mbr", str(ISOLINUX.with_name("isohdpfx.bin"))]
    _run("xorriso", "-as", "mkisofs", *boot, "-o", str(path), str(folder))
    shutil.rmtree(folder)
    return path


def make_floppy(path: Path, config: str) -> Path:
    """A floppy of 1.44 MB with this configuration on it."""
    path.unlink(missing_ok=True)
    _run("mkfs.vfat", "-C", str(path), "1440")
    _run("mcopy", "-i", str(path), "-", f"::{CONFIG}", input=config)
    return path


def make_boot_floppy(path: Path, text: str) -> Path:
    """A floppy whose first sector says something by the firmware's own means, and then waits for ever."""
    code = bytes.fromhex(
        "31c0 8ed8"  # ds = 0
        "be157c"  # si = the text, behind this code, which is at 7C00
        "ac 84c0 74fe"  # the next byte; wait for ever at the end
        "b40e bb0700 cd10"  # show it
        "ebf2"
    )
    sector = (code + text.encode() + b"\r\n\0").ljust(510, b"\0") + b"\x55\xaa"
    path.write_bytes(sector.ljust(1440 << 10, b"\0"))
    return path


def read_floppy(path: Path) -> str:
    """The configuration on a floppy."""
    return _run("mcopy", "-n", "-i", str(path), f"::{CONFIG}", "-")


def _run(*argv: str, input: str = "") -> str:
    done = subprocess.run(argv, input=input, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout
