"""What a machine's image says of its system, and what cannot be."""

from typing import Any

import pytest

from weft.model.errors import Invalid
from weft.model.image import BUILT_IN
from weft.model.machine import MachineSpec, Profile
from weft.plan.foreign import complete_foreign


def complete(image: str, **said: Any) -> MachineSpec:
    return complete_foreign(MachineSpec.model_validate({"name": "fred", "image": image, **said}), BUILT_IN[image])


def test_an_image_of_plan_9_makes_a_plan_9_machine() -> None:
    spec = complete("plan9", kernel="9pc")
    assert spec.foreign is not None
    assert spec.foreign.plan9 is not None
    assert spec.profile is Profile.Q35


def test_its_parameters_may_come_from_the_network() -> None:
    spec = complete("plan9", pxe=True, foreign={"plan9": {"options": {"user": "bootes"}}})
    assert spec.pxe


@pytest.mark.parametrize(
    ("image", "said", "why"),
    [
        ("foreign", {"foreign": {"plan9": {}}}, "no Plan 9 machine"),
        ("plan9", {"kernel": "9pc", "foreign": {"plan9": {"ini": "[menu]"}}}, "line 1"),
        ("plan9", {"foreign": {"cdroms": ["/a.iso"], "plan9": {"ini": "user=a"}}}, "could be told"),
        ("plan9", {"kernel": "9pc", "nics": [], "foreign": {"plan9": {"root": "/srv"}}}, "reach its root"),
        ("foreign", {"memory": 32 << 20, "foreign": {"firmware": "uefi"}}, "needs 64M of memory to boot by UEFI"),
    ],
)
def test_what_cannot_boot_is_refused(image: str, said: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        complete(image, **said)
