"""What a machine's image says of its system, and what cannot be."""

from typing import Any

import pytest

from weft.model.errors import Invalid
from weft.model.image import BUILT_IN
from weft.model.machine import MachineSpec, Profile
from weft.plan.changes.words import compare
from weft.plan.foreign import complete_foreign


def complete(image: str, **said: Any) -> MachineSpec:
    spec = MachineSpec.model_validate({"name": "fred", "image": image, **said})
    return complete_foreign(spec, BUILT_IN.get(image, BUILT_IN["plan9"]))


def test_an_image_of_plan_9_makes_a_plan_9_machine() -> None:
    spec = complete("plan9", kernel="9pc")
    assert spec.foreign is not None
    assert spec.foreign.plan9 is not None
    assert spec.profile is Profile.Q35


def test_its_parameters_may_come_from_the_network() -> None:
    spec = complete("plan9", pxe=True, foreign={"plan9": {"options": {"user": "bootes"}}})
    assert spec.pxe


def test_an_image_s_root_may_be_read_only_or_forget_its_changes() -> None:
    spec = complete("nine", kernel="9pc", foreign={"plan9": {"root_read_only": True, "changes": "discard"}})
    assert spec.served_root is not None


def test_what_changes_of_its_boot_is_said_line_by_line() -> None:
    before = complete("plan9", kernel="9pc", foreign={"plan9": {"ini": "user=a\n*nomp=1\n", "options": {"fs": "1"}}})
    after = complete("plan9", kernel="9pc", foreign={"plan9": {"ini": "user=b\n*nomp=1\n", "root": "/srv"}})
    assert compare(before, after, ["foreign"]) == [
        *("ini: -user=a, +user=b", "options: -fs=1", "root default → /srv"),
    ]
    other = complete("plan9", kernel="9pc", foreign={"plan9": {"ini": "*nomp=1\nuser=b\n", "root": "/srv"}})
    assert compare(after, other, ["foreign"]) == ["ini: in another order"]


@pytest.mark.parametrize(
    ("image", "said", "why"),
    [
        ("foreign", {"foreign": {"plan9": {}}}, "no Plan 9 machine"),
        ("plan9", {"kernel": "9pc", "foreign": {"plan9": {"ini": "[menu]"}}}, "line 1"),
        ("plan9", {"foreign": {"cdroms": ["/a.iso"], "plan9": {"ini": "user=a"}}}, "could be told"),
        ("plan9", {"kernel": "9pc", "nics": [], "foreign": {"plan9": {"root": "/srv"}}}, "reach its root"),
        ("foreign", {"memory": 32 << 20, "foreign": {"firmware": "uefi"}}, "needs 64M of memory to boot by UEFI"),
        ("plan9", {"kernel": "9pc", "foreign": {"plan9": {"changes": "discard"}}}, "could be discarded"),
        ("plan9", {"foreign": {"plan9": {"root": "/srv", "changes": "discard"}}}, "could be discarded"),
        ("plan9", {"kernel": "9pc", "foreign": {"plan9": {"root_read_only": True}}}, "read-only"),
        ("nine", {"kernel": "9pc", "foreign": {"plan9": {"root": "/srv"}}}, "two roots"),
    ],
)
def test_what_cannot_boot_is_refused(image: str, said: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        complete(image, **said)
