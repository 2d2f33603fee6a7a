"""The test kernel says how it was started, and ends as it is told. Tests of machines with such a kernel build on it."""

import subprocess
from pathlib import Path

import pytest
from tests.multiboot.building import TestKernels
from tests.multiboot.media import make_floppy, read_floppy

INI = "user=glenda\nconsole=0\n"


def boot(kernel: Path, ini: Path, board: str, typed: str, *media: str) -> str:
    """What it says on the serial line of a QEMU that ended by itself. It is typed when it is ready: of what comes
    earlier the firmware takes some."""
    argv = [
        *("timeout", "120"),
        *("qemu-system-x86_64", "-M", f"{board},graphics=off", "-accel", "tcg", "-m", "64"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(ini), "-append", "user=bob sysname=fred"),
        *("-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile="),
        *("-device", "virtio-rng-pci,disable-legacy=on"),
        *media,
    ]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as qemu:
        assert qemu.stdout is not None
        lines = [b""]
        while lines[-1] != b"ready\r\n":
            lines.append(qemu.stdout.readline())
            assert lines[-1], f"it ended: {b''.join(lines).decode()}"
        rest, errors = qemu.communicate(typed.encode())
    assert qemu.returncode == 0, errors
    return (b"".join(lines) + rest).decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("form", "board", "end"), [("elf", "q35", "halt"), ("aout", "pc", "reboot")])
def test_it_tells_how_it_was_started(
    form: str, board: str, end: str, multiboot_kernels: TestKernels, tmp_path: Path
) -> None:
    ini = tmp_path / "plan9.ini"
    ini.write_text(INI)
    said = boot(getattr(multiboot_kernels, form), ini, board, f"config USER\rconfig none\r{end}\r")
    assert f"plan9.ini:\n{INI}end of plan9.ini\n" in said
    assert "user=bob sysname=fred" in said
    assert "id 1000, legacy ports at " in said
    assert "id 1044, 1.0" in said
    assert "\nUSER=bob\n" in said, "words of the command line come after the file"
    assert "\nnone=(none)\n" in said
    assert "the machine does not" not in said
    assert "floppy: no drive" in said


@pytest.mark.parametrize("board", ["q35", "pc"])
def test_it_takes_its_configuration_from_a_floppy_and_writes_to_it(
    board: str, multiboot_kernels: TestKernels, tmp_path: Path
) -> None:
    ini, floppy = tmp_path / "plan9.ini", make_floppy(tmp_path / "floppy.img", "color=red\n")
    ini.write_text(INI)
    controller = ("-device", "isa-fdc") if board == "q35" else ()
    drive = ("-blockdev", f"driver=file,node-name=a,filename={floppy}", "-device", "floppy,drive=a,drive-type=144")
    typed = "config color\rsave color=blue\rhalt\r"
    said = boot(multiboot_kernels.aout, ini, board, typed, *controller, *drive)
    assert "\ncolor=red\n" in said
    assert read_floppy(floppy) == "color=red\ncolor=blue\n"
