"""What the guide shows of fabric files can be used as it stands."""

import re
from pathlib import Path

import pytest
from tests.unit.test_examples import Repository

from weft.model.image import ImageManifest
from weft.plan.fabric_file.check import check_file

ROOT = Path(__file__).parents[2]
SHOWN = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "guide" / "fabric-files.md").read_text(), re.DOTALL)


class WithBase(Repository):
    """The image `base` is here, as if it had been built."""

    def find_image(self, name: str) -> ImageManifest | None:
        return self.read_recipe(str(ROOT / "appliances" / "base")) if name == "base" else None


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_shown_is_sound(text: str) -> None:
    reading = check_file(text, str(ROOT), WithBase())
    assert reading.problems == []
    assert reading.file.rooms["acme"].machines


def test_the_mistake_is_told_as_it_is_shown() -> None:
    text = SHOWN[0].replace("gateway: fw", "gateway: wf")
    told = check_file(text, str(ROOT), WithBase()).problems[0].dump("weft.yaml")
    assert told in (ROOT / "docs" / "guide" / "fabric-files.md").read_text()
