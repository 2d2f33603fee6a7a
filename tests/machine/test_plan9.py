"""Plan 9 machines: multiboot kernels that are told by plan9.ini how to boot, and how they end."""

import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.serial_lines import log_of, type_line, wait_said
from tests.multiboot.building import TestKernels
from tests.multiboot.media import make_cd

from weft.image.multiboot_header import MAGIC

DISK_BYTES = 1 << 20
OVERHEAD = 64 << 20
"""What QEMU may have beside the machine's memory, code that it shares with other processes included."""


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory, multiboot_kernels: TestKernels) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("plan9") / "home") as fabric:
        fabric.run("kernel", "import", str(multiboot_kernels.aout), "--name", "9pc")
        yield fabric


def wait_state(fabric: TestFabric, name: str, state: str) -> dict[str, object]:
    wait_for(lambda: fabric.client.machine(name)["state"] == state, f"{name} is {state}")
    return fabric.client.machine(name)


def reach_up_to(end: int, kernel: bytes) -> bytes:
    """A kernel that says that it needs memory up to there."""
    at = kernel.index(struct.pack("<I", MAGIC)) + 24
    return kernel[:at] + struct.pack("<I", end) + kernel[at + 4 :]


def test_a_kernel_with_everything_in_it(fabric: TestFabric, tmp_path: Path) -> None:
    """It boots from what its user says, and from what the fabric knows; all of it is on the serial line."""
    ini = tmp_path / "plan9.ini"
    ini.write_text("# of a test\nuser=bootes\nservice=cpu\n")
    args = ("--kernel", "9pc", "--ini", str(ini), "-o", "service=terminal", "-o", "*nomp=1", "plan9")
    fabric.run("run", "-d", "--name", "fred", *args)
    said = wait_said(fabric, "fred", "\nready\n")
    told = said.partition("plan9.ini:\n")[2].partition("end of plan9.ini")[0]
    assert told.splitlines() == [
        *("user=bootes", "service=terminal", "console=0", "*acpi=1", "sysname=fred", "ether0=type=virtio", "*nomp=1"),
    ]
    assert "memory: 65023 KB of ram" in said, "64 MB is what it gets unless it asks for more"
    assert "id 1000, legacy ports at" in said
    assert ", 1.0\n" in said
    type_line(fabric, "fred", "config sysname")
    wait_said(fabric, "fred", "\nsysname=fred\n")
    assert "\nready" in fabric.text("logs", "fred")
    (view,) = fabric.json("ps")
    assert (view["image"], view["profile"], view["memory"]) == ("plan9", "q35", 64 << 20)
    assert fabric.client.machine("fred")["resident"] < (64 << 20) + OVERHEAD
    assert fabric.refusal("exec", "fred", "--", "date") == "wrong-state"
    fabric.run("stop", "fred")
    wait_state(fabric, "fred", "stopped")
    assert "halting" not in log_of(fabric, "fred"), "it has nothing to lose"


def test_it_boots_otherwise_after_a_change(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "other", "--kernel", "9pc", "-o", "user=bob", "-o", "*nomp=1", "plan9")
    wait_said(fabric, "other", "\nready\n")
    assert fabric.refusal("update", "-o", "user=eve", "other") == "wrong-state"
    fabric.run("update", "-o", "user=eve", "--restart-now", "other")
    wait_said(fabric, "other", "\nuser=eve\n")
    told = (fabric.home / "machines" / "other" / "plan9.ini").read_text()
    assert "*nomp" not in told, "they are in place of those it had"
    assert fabric.refusal("update", "--root", "/", "--changes", "discard", "--restart-now", "other") == "invalid"
    fabric.run("stop", "other")


def test_one_with_a_disk_is_halted_first(fabric: TestFabric, multiboot_kernels: TestKernels, tmp_path: Path) -> None:
    """An ELF kernel, given by its file, on an old board."""
    disk = tmp_path / "root.img"
    disk.write_bytes(b"a file system\n".ljust(DISK_BYTES, b"\0"))
    kernel, profile = str(multiboot_kernels.elf), ("--profile", "pc")
    fabric.run("run", "-d", "--name", "disk", *profile, "--kernel", kernel, "--disk", str(disk), "plan9")
    wait_said(fabric, "disk", "\nready\n")
    type_line(fabric, "disk", "sector 0")
    wait_said(fabric, "disk", "\na file system\n")
    fabric.end_daemon()  # and the next one finds it
    assert wait_state(fabric, "disk", "running")["foreign"] is not None
    fabric.run("stop", "disk")
    wait_state(fabric, "disk", "stopped")
    assert "% fshalt\nhalting file systems\ndone halting\n" in log_of(fabric, "disk")
    assert disk.read_bytes().startswith(b"halted\n")


def test_a_live_cd_has_its_own_loader_and_parameters(
    fabric: TestFabric, multiboot_kernels: TestKernels, tmp_path: Path
) -> None:
    cd = make_cd(tmp_path / "9front.iso", multiboot_kernels.aout, ini="user=live\nnobootprompt=local!/dev/sdD0/data\n")
    fabric.run("run", "-d", "--name", "live", "--cdrom", str(cd), "plan9")
    assert "plan9.ini:\nuser=live\n" in wait_said(fabric, "live", "\nready\n")
    fabric.run("stop", "live")
    wait_state(fabric, "live", "stopped")


def test_a_plan_9_machine_uses_the_fabric_as_files(fabric: TestFabric) -> None:
    """It has its address by its plan9.ini alone, and puts a sniffer before itself, through which it then goes on."""
    fabric.run("network", "create", "lan", "--subnet", "10.9.0.0/24")
    network = "tcp!-g 10.9.0.1 ether /net/ether0 10.9.0.9 255.255.255.0"
    place = ("--network", "lan,address=10.9.0.9", "--expose", "room", "-o", f"nobootprompt={network}")
    fabric.run("run", "-d", "--name", "user", "--kernel", "9pc", *place, "plan9")
    wait_said(fabric, "user", "\nready\n")
    type_line(fabric, "user", "mount 10.9.0.1 5356")
    wait_said(fabric, "user", "\n9p: refused\n")  # whoever asks there for secrets goes on at once
    type_line(fabric, "user", "mount 10.9.0.1 5640")
    wait_said(fabric, "user", "\nmounted\n")
    type_line(fabric, "user", "write /machine/user/port/0/ctl insert sniffer")
    wait_said(fabric, "user", "\nwritten: 14 bytes\n")
    assert [state for _, state in fabric.chain("user")] == ["active"]
    type_line(fabric, "user", "cat /machine/user/port/0/chain")
    wait_said(fabric, "user", "active")
    fabric.run("stop", "user")


def test_one_that_does_not_end_is_ended_at_the_deadline(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "deaf", "--kernel", "9pc", "--end", "echo bye", "--stop-timeout", "3", "plan9")
    wait_said(fabric, "deaf", "\nready\n")
    fabric.run("stop", "deaf")
    wait_state(fabric, "deaf", "stopped")
    assert "% echo bye\nbye\n" in log_of(fabric, "deaf")


@pytest.mark.parametrize(("word", "reason"), [("halt", "powered off"), ("reboot", "rebooted")])
def test_it_may_end_itself_by_switching_off_or_by_a_reboot(fabric: TestFabric, word: str, reason: str) -> None:
    fabric.run("run", "-d", "--name", word, "--kernel", "9pc", "plan9")
    wait_said(fabric, word, "\nready\n")
    type_line(fabric, word, word)
    view = wait_state(fabric, word, "stopped")
    assert (view["reason"], view["exit"]) == (reason, {"code": None, "signal": None, "reason": reason, "oom": False})
    told = f"machine {word} ended: {reason}"
    wait_for(lambda: told in [event["text"] for event in fabric.events("machine.ended")], "it is told")
    assert "the machine does not" not in log_of(fabric, word)


def test_how_it_ends_is_known_to_the_next_daemon_too(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "later", "--kernel", "9pc", "plan9")
    wait_said(fabric, "later", "\nready\n")
    daemon = fabric.daemon_pid()
    fabric.end_daemon()
    assert fabric.daemon_pid() != daemon
    type_line(fabric, "later", "reboot")
    assert wait_state(fabric, "later", "stopped")["reason"] == "rebooted"


def test_a_qemu_that_is_ended_by_somebody_else_has_failed(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "victim", "--kernel", "9pc", "plan9")
    wait_said(fabric, "victim", "\nready\n")
    pid = fabric.client.machine("victim")["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGTERM)
    assert wait_state(fabric, "victim", "failed")["reason"] == "its QEMU was ended by a signal"


def test_what_ends_it_does_not_become_part_of_a_line_that_somebody_types(fabric: TestFabric, tmp_path: Path) -> None:
    """Neither while they are there, nor when they have left it half typed."""
    disk = tmp_path / "root.img"
    disk.write_bytes(bytes(DISK_BYTES))
    for name in ("left", "there"):
        fabric.run("run", "-d", "--name", name, "--kernel", "9pc", "--disk", str(disk), "plan9")
        wait_said(fabric, name, "\nready\n")
        with fabric.client.open_console(name) as console:
            console.send_input(b"echo half")
            wait_said(fabric, name, "% echo half")
            if name == "there":
                fabric.run("stop", name)
        fabric.run("stop", name)
        assert "fshalt\nhalting file systems\ndone halting\n" in log_of(fabric, name)
        assert "half" not in log_of(fabric, name).partition("halting")[2]


def test_a_restart_policy_holds_for_a_reboot(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "again", "--kernel", "9pc", "--restart", "always", "plan9")
    wait_said(fabric, "again", "\nready\n")
    type_line(fabric, "again", "reboot")
    wait_for(lambda: fabric.client.machine("again")["restarts"] == 1, "it is started again")
    wait_for(lambda: "reboot" not in log_of(fabric, "again"), "its log begins anew")
    wait_said(fabric, "again", "\nready\n")
    fabric.run("stop", "again")
    wait_state(fabric, "again", "stopped")


def test_what_cannot_boot_is_refused(fabric: TestFabric, multiboot_kernels: TestKernels, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(reach_up_to(100 << 20, multiboot_kernels.aout.read_bytes()))
    ini = tmp_path / "plan9.ini"
    ini.write_text("user=glenda\n[menu]\n")
    for args in (
        ("--kernel", "9pc", "--ini", str(ini), "plan9"),
        ("--kernel", "default", "plan9"),
        ("--kernel", "9pc", "base"),
        ("--kernel", str(ini), "plan9"),
        ("--kernel", str(large), "plan9"),
        ("--kernel", "9pc", "--changes", "discard", "plan9"),
        ("--cdrom", str(ini), "-o", "user=bob", "plan9"),
        ("--kernel", "9pc", "--network", "none", "--root", str(tmp_path), "plan9"),
        ("plan9",),
    ):
        assert fabric.refusal("run", "-d", "--name", "nobody", *args) == "invalid"
    assert not (fabric.home / "machines" / "nobody").exists()
