"""Where the things that come with Weft are: recipes and the kernel's configuration."""

from pathlib import Path

from weft.model.errors import NotFound
from weft.model.names import parse_name

INSTALLED = Path(__file__).parent.parent / "share"
REPOSITORY = Path(__file__).parents[3]


def share_folder(name: str) -> Path:
    """The folder `name`, installed with the package or in the repository it runs from. Raises NotFound."""
    for base in (INSTALLED, REPOSITORY):
        if (base / name).is_dir():
            return base / name
    raise NotFound(f"folder {name} did not come with this installation", hint=f"looked in {INSTALLED} and {REPOSITORY}")


def recipe_folder(reference: str) -> Path:
    """A recipe's folder: a path with a slash in it, or the name of one that comes with Weft. Raises NotFound."""
    place = recipe_place(reference)
    return place.parent if place.is_file() else place


def recipe_place(reference: str) -> Path:
    """Where a recipe is: a path with a slash in it, of a folder or a .toml file, or the name of one that comes with
    Weft. Raises NotFound."""
    if "/" in reference:
        return Path(reference)
    folder = share_folder("appliances") / parse_name(reference, "image")
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in share_folder("appliances").iterdir() if path.is_dir()))
        raise NotFound(f"no recipe {reference!r}", hint=f"there are {there}; a path such as ./{reference} works too")
    return folder
