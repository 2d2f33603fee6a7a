"""The fabric files that people copy: nothing is wrong with them, going by the recipes beside them."""

from pathlib import Path

import pytest
from tests.unit.fabric_files import World

from weft.image.build import preview_image
from weft.model.image import ImageManifest
from weft.plan.fabric_file.check import check_file

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


class Repository(World):
    """The recipes that come along, and no image that is built."""

    def find_image(self, name: str) -> ImageManifest | None:
        return None

    def read_recipe(self, folder: str) -> ImageManifest:
        return preview_image(Path(folder))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_sound(path: Path) -> None:
    reading = check_file(path.read_text(), str(path.parent), Repository(memory=8 << 30))
    assert not reading.problems, [problem.dump(path.name) for problem in reading.problems]
    assert all(len(room.machines) >= 2 for room in reading.file.rooms.values())
