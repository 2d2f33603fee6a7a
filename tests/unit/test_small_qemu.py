"""Which QEMU a machine gets."""

from dataclasses import replace

import pytest
from tests.unit.paper_fabric import FACTS

from weft.model.machine import Profile

SMALL = "/usr/bin/qemu-system-x86_64-microvm"


@pytest.mark.parametrize(
    ("profile", "folders", "small"),
    [(Profile.MICROVM, False, True), (Profile.MICROVM, True, False), (Profile.Q35, False, False)],
)
def test_the_small_one_is_for_microvms_without_folders(profile: Profile, folders: bool, small: bool) -> None:
    facts = replace(FACTS, accel="kvm", small_qemu=SMALL)
    assert facts.choose_qemu(profile, folders=folders) == (SMALL if small else FACTS.qemu)
    assert FACTS.choose_qemu(profile, folders=folders) == FACTS.qemu, "it is not there, or is of no use"
