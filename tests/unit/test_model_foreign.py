"""Specs of machines that bring their own system."""

from typing import Any

import pytest
from pydantic import ValidationError

from weft.model.errors import Invalid
from weft.model.foreign import ForeignSpec, Plan9Spec
from weft.model.image import BUILT_IN, ImageKind
from weft.model.machine import MachineSpec, Profile

CAT = {"name": "cat", "image": "foreign"}


def test_it_has_a_bus_for_its_devices_unless_it_wants_an_older_one() -> None:
    assert MachineSpec.model_validate({**CAT, "foreign": {}}).profile is Profile.Q35
    assert MachineSpec.model_validate({**CAT, "foreign": {}, "profile": "pc"}).profile is Profile.PC
    assert MachineSpec.model_validate(CAT).profile is Profile.MICROVM
    assert MachineSpec.model_validate({**CAT, "pxe": True}).profile is Profile.Q35


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"profile": "pc"}, "brings? their own system"),
        ({"foreign": {}, "profile": "microvm"}, "no microvm"),
        ({"foreign": {}, "command": ["true"]}, "can have no command"),
        ({"foreign": {}, "hostname": "cat", "env": {"A": "b"}}, "can have no env, hostname"),
        ({"foreign": {"cdroms": ["a.iso"]}}, "absolute path"),
        ({"foreign": {"plan9": {"root": "here"}}}, "absolute path"),
        ({"foreign": {"plan9": {"ini": "#" * 24_001}}}, "24000 characters at most, and this one 24001"),
        ({"foreign": {"end": "halt\nnow"}}, "one line"),
        ({"foreign": {"disks": ["/d.img", "/d.img"]}}, "/d.img is in two drives"),
        ({"foreign": {"cdroms": ["/d.img"], "disks": ["/d.img"]}}, "/d.img is in two drives"),
        ({"foreign": {"floppy_drive": "/d.img", "disks": ["/d.img"]}}, "/d.img is in two drives"),
        ({"foreign": {"cdroms": ["/a", "/a", "/a"]}}, "can have 2 CDs, and not 3"),
        ({"foreign": {"boot_files": [f"/{n}" for n in range(17)]}, "pxe": True}, "can have 16 boot files"),
        ({"pxe": True, "profile": "microvm"}, "no microvm does"),
        ({"pxe": True, "elastic": {"max_cpus": 4}}, "its size cannot change"),
        ({"foreign": {"boot_files": ["/x.ipxe"]}}, "does not boot from its network"),
        ({"foreign": {"boot_files": ["/a/x", "/b/x"]}, "pxe": True}, "two boot files"),
        ({"foreign": {"boot_files": ["/a,b"]}, "pxe": True}, "firmware may not take"),
        ({"foreign": {"firmware": "uefi"}, "kernel": "9pc"}, "does not go by UEFI"),
        ({"foreign": {"firmware": "uefi"}, "profile": "microvm"}, "no microvm"),
        ({"foreign": {"firmware": "openboot"}}, "bios"),
    ],
)
def test_what_cannot_be_is_said(more: dict[str, Any], why: str) -> None:
    with pytest.raises((Invalid, ValidationError), match=why.replace("brings? their", "bring their")):
        MachineSpec.model_validate({**CAT, **more})


def test_something_is_lost_when_a_machine_with_a_disk_is_switched_off() -> None:
    assert ForeignSpec(cdroms=("/a.iso", "/a.iso")).writes == ()
    assert ForeignSpec(disks=("/d.img",), floppy_drive="/f.img").writes == ("/d.img", "/f.img")
    assert not Plan9Spec().root


def test_two_images_are_always_there() -> None:
    assert {name: image.kind for name, image in BUILT_IN.items()} == {
        "plan9": ImageKind.PLAN9,
        "foreign": ImageKind.FOREIGN,
    }
    assert BUILT_IN["plan9"].memory == 64 << 20
