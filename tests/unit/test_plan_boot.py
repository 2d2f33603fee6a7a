"""QEMU's arguments, whole: every case has a golden file. `WEFT_GOLDEN=write` writes them anew, to be read as a diff."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from weft.model.machine import Profile
from weft.plan.boot import Boot, BootDisk, BootNic, BootShare, kernel_line, plan_boot

GOLDEN = Path(__file__).parent / "golden"
WEB = Boot(
    name="web",
    uuid="6f1e7b0c-0000-4000-8000-000000000001",
    profile=Profile.MICROVM,
    accel="tcg",
    memory=64 << 20,
    cpus=1,
    kernel="/machine/vmlinux",
    initrd="/machine/initrd",
    root="/machine/root",
    serial_log="/machine/serial.log",
    qmp_fd=11,
    serial_fd=12,
    agent_fd=13,
    nics=(BootNic("52:57:00:00:00:01", 14),),
    tsc_khz=2_100_000,
)
SIDES = (BootNic("52:57:00:00:00:01", 14), BootNic("52:57:00:00:00:02", 15))
DATA = BootDisk("weft-volume0", "/machine/weft-volume0")
BOOK = BootDisk("weft-volume1", "/machine/weft-volume1", read_only=True, direct=False)
CASES = {
    "microvm-tcg": WEB,
    "microvm-kvm": replace(WEB, accel="kvm"),
    "microvm-no-nic": replace(WEB, nics=(), tsc_khz=None),
    "microvm-appliance": replace(WEB, name="sniffer", nics=SIDES),
    "microvm-disks": replace(WEB, disks=(DATA, BOOK)),
    "q35-disks": replace(WEB, profile=Profile.Q35, disks=(DATA, BOOK)),
    "microvm-shares": replace(WEB, memory_fd=20, shares=(BootShare("weft-share0", 15), BootShare("weft-share1", 16))),
    "q35-share": replace(WEB, memory_fd=20, profile=Profile.Q35, disks=(DATA,), shares=(BootShare("weft-share0", 15),)),
    "microvm-copy": replace(WEB, memory_fd=20, memory_shared=False, incoming=True),
    "microvm-floppy": replace(WEB, name="sniffer", nics=SIDES, floppy_fd=16),
    "q35-floppy": replace(WEB, profile=Profile.Q35, floppy_fd=16),
    "q35-network": replace(WEB, profile=Profile.Q35, nics=SIDES, kernel="", initrd="", root="", from_network=True),
    "q35-tcg": replace(WEB, profile=Profile.Q35, memory=1 << 30, cpus=4),
    "q35-kvm": replace(WEB, profile=Profile.Q35, accel="kvm", nics=SIDES, kernel_args=("debug",)),
}


def dump(argv: list[str]) -> str:
    """One option with its value a line."""
    lines: list[str] = []
    for word in argv:
        if word.startswith("-"):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("case", CASES)
def test_arguments_are_the_golden_ones(case: str) -> None:
    file, found = GOLDEN / f"boot-{case}.txt", dump(plan_boot(CASES[case]))
    if os.environ.get("WEFT_GOLDEN") == "write":
        file.write_text(found)
    assert found == file.read_text()


def test_every_golden_file_has_a_case() -> None:
    assert {file.name for file in GOLDEN.glob("boot-*")} == {f"boot-{case}.txt" for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_no_machine_gets_out_of_its_walls(case: str) -> None:
    argv = plan_boot(CASES[case])
    sandbox = argv[argv.index("-sandbox") + 1].split(",")
    assert sandbox[0] == "on" and {option.split("=")[1] for option in sandbox[1:]} == {"deny"}
    assert "-nodefaults" in argv and "-no-user-config" in argv
    root = next((word for word in argv if "filename=/machine/root" in word), "read-only=on")
    assert "read-only=on" in root
    assert not any(word.startswith(("user,", "tcp:", "vnc")) for word in argv)


def test_a_qemu_that_has_no_filter_is_not_asked_for_it() -> None:
    case = CASES["microvm-kvm"]
    argv = plan_boot(case)
    at = argv.index("-sandbox")
    assert plan_boot(replace(case, own_filter=False)) == argv[:at] + argv[at + 2 :]


def test_the_kernel_is_told_the_hosts_rate_only_where_it_is_known_and_wanted() -> None:
    assert "tsc_early_khz=2100000" in kernel_line(WEB)
    assert "tsc_early_khz" not in kernel_line(replace(WEB, tsc_khz=None))
    assert "tsc_early_khz" not in kernel_line(replace(WEB, accel="kvm"))
    assert kernel_line(replace(WEB, kernel_args=("a", "b=c"))).endswith(" a b=c")


def test_a_guest_guards_itself_against_a_processors_guesses_where_it_has_one() -> None:
    assert "mitigations=off" in kernel_line(WEB)
    assert "mitigations" not in kernel_line(replace(WEB, accel="kvm"))
