"""QEMU's arguments for machines that bring their own system, whole. `WEFT_GOLDEN=write` writes the files anew."""

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.test_plan_boot import dump

from weft.model.foreign import NicModel
from weft.model.machine import Profile
from weft.plan.boot import BootNic
from weft.plan.foreign_boot import Flash, ForeignBoot, Medium, plan_foreign_boot

GOLDEN = Path(__file__).parent / "golden"
BARE = ForeignBoot(
    name="cat",
    uuid="6f1e7b0c-0000-4000-8000-000000000001",
    profile=Profile.Q35,
    accel="tcg",
    memory=64 << 20,
    cpus=1,
    serial_log="/machine/serial.log",
    qmp_fd=11,
    serial_fd=12,
    events_fd=13,
    nics=(BootNic("52:57:00:00:00:01", 14),),
)
KERNEL = replace(BARE, kernel="/machine/kernel", modules=("/machine/plan9.ini",), words="sysname=cat")
MEDIA = replace(
    BARE,
    cdroms=(Medium(20, read_only=True), Medium(21, read_only=True)),
    floppy=Medium(22),
    disks=(Medium(23), Medium(24, "qcow2")),
)
FLASH = Flash(Medium(25, read_only=True), Medium(26))
CASES = {
    "kernel": KERNEL,
    "kernel-kvm": replace(KERNEL, accel="kvm", own_filter=False),
    "kernel-pc": replace(KERNEL, profile=Profile.PC, nics=(), modules=(), words=""),
    "media": MEDIA,
    "media-pc": replace(MEDIA, profile=Profile.PC, nic_model=NicModel.E1000E),
    "network": replace(BARE, network_boot=True),
    "screen": replace(MEDIA, screen=True),
    "uefi": replace(BARE, cdroms=MEDIA.cdroms, flash=FLASH),
    "uefi-pc": replace(BARE, profile=Profile.PC, flash=Flash(Medium(25, "qcow2", True), Medium(26, "qcow2"))),
}


@pytest.mark.parametrize("case", CASES)
def test_arguments_are_the_golden_ones(case: str) -> None:
    file, found = GOLDEN / f"foreign-{case}.txt", dump(plan_foreign_boot(CASES[case]))
    if os.environ.get("WEFT_GOLDEN") == "write":
        file.write_text(found)
    assert found == file.read_text()


def test_every_golden_file_has_a_case() -> None:
    assert {file.name for file in GOLDEN.glob("foreign-*")} == {f"foreign-{case}.txt" for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_it_listens_nowhere_and_opens_nothing_but_what_it_inherits(case: str) -> None:
    argv = plan_foreign_boot(CASES[case])
    assert not any("listen" in word or "hostfwd" in word for word in argv)
    media = [word for option, word in itertools.pairwise(argv) if option == "-blockdev"]
    assert all("file.filename=/dev/fdset/" in medium for medium in media)
