"""The test kernel says how it was started, and ends as it is told. Tests of machines with such a kernel build on it."""

import subprocess
from pathlib import Path

import pytest
from tests.multiboot.building import TestKernels

INI = "user=glenda\nconsole=0\n"


def boot(kernel: Path, ini: Path, board: str, typed: str) -> str:
    """What it says on the serial line of a QEMU that ended by itself. What is typed waits in the line's queue, of which
    the firmware takes the first byte."""
    argv = [
        *("qemu-system-x86_64", "-M", f"{board},graphics=off", "-accel", "tcg", "-m", "64"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(ini), "-append", "user=bob sysname=fred"),
        *("-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile="),
        *("-device", "virtio-rng-pci,disable-legacy=on"),
    ]
    ended = subprocess.run(argv, input=typed.encode(), capture_output=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("form", "board", "end"), [("elf", "q35", "halt"), ("aout", "pc", "reboot")])
def test_it_tells_how_it_was_started(
    form: str, board: str, end: str, multiboot_kernels: TestKernels, tmp_path: Path
) -> None:
    ini = tmp_path / "plan9.ini"
    ini.write_text(INI)
    said = boot(getattr(multiboot_kernels, form), ini, board, f"\rconfig user\rconfig none\r{end}\r")
    assert f"plan9.ini:\n{INI}end of plan9.ini\n" in said
    assert "user=bob sysname=fred" in said
    assert "id 1000, legacy ports at " in said
    assert "id 1044, 1.0" in said
    assert "\nuser=bob\n" in said, "words of the command line come after the file"
    assert "\nnone=(none)\n" in said
    assert "the machine does not" not in said
