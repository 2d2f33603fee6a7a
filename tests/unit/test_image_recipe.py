"""Recipes: what is accepted, and that a wrong one names its file and key."""

from pathlib import Path

import pytest

from weft.image.folders import recipe_folder, share_folder
from weft.image.recipe import load_recipe
from weft.model.errors import Invalid, NotFound
from weft.model.image import NicRole, RestartPolicy

SMALL = 'name = "small"\nversion = "1"\npackages = ["busybox"]\n'
WIRE = 'wire = true\nnics = [{ name = "eth0", role = "network" }, { name = "eth1", role = "machine" }]\n'


def write(folder: Path, text: str) -> Path:
    (folder / "recipe.toml").write_text(text)
    return folder


def test_defaults_are_an_ordinary_machine(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALL))
    assert [(nic.name, nic.role) for nic in recipe.nics] == [("eth0", NicRole.LAN)]
    assert recipe.memory == 64 << 20
    assert recipe.entry.argv == ()
    assert recipe.entry.restart is RestartPolicy.NEVER
    assert not recipe.wire


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = SMALL + WIRE + 'memory = "96M"\n[entry]\nargv = ["/bin/x", "-y"]\nuser = "33:33"\nrestart = "on-failure"\n'
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.wire
    assert recipe.memory == 96 << 20
    assert recipe.entry.argv == ("/bin/x", "-y")
    assert recipe.entry.restart is RestartPolicy.ON_FAILURE


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "recipe.toml"),
        (SMALL + "colour = 1\n", "colour"),
        (SMALL.replace("small", "Not A Name"), "not a valid name"),
        (SMALL.replace('["busybox"]', "[]"), "packages"),
        (SMALL + 'memory = "much"\n', "memory"),
        (SMALL + 'binaries = ["bin/sh"]\n', "absolute"),
        (SMALL + 'files = ["/../etc/shadow"]\n', "absolute"),
        (SMALL + '[symlinks]\n"../x" = "y"\n', "absolute"),
        (SMALL + "wire = true\n", "wire"),
        (SMALL + 'nics = [{ name = "eth0" }, { name = "eth0" }]\n', "twice"),
        (SMALL + 'nics = [{ name = "not a nic" }]\n', "nics.0.name"),
        (SMALL + 'users = { "a:b" = 100 }\n', "users"),
        (SMALL + "users = { root = 0 }\n", "users.root"),
        (SMALL + '[entry]\nuser = "a b"\n', "entry.user"),
    ],
)
def test_a_wrong_recipe_names_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_recipe(write(tmp_path, text))
    assert str(tmp_path / "recipe.toml") in str(caught.value)
    assert complaint in str(caught.value)
    assert "\n" not in caught.value.message


def test_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no recipe at"):
        load_recipe(tmp_path)


def test_recipes_that_come_along_are_found_by_name(tmp_path: Path) -> None:
    assert load_recipe(recipe_folder("sniffer")).wire
    assert recipe_folder(str(tmp_path)) == tmp_path
    with pytest.raises(NotFound, match="base"):
        recipe_folder("no-such-appliance")


@pytest.mark.parametrize("folder", sorted(path.parent for path in share_folder("appliances").glob("*/recipe.toml")))
def test_every_appliance_is_sound_and_explained(folder: Path) -> None:
    recipe = load_recipe(folder)
    assert recipe.name == folder.name
    assert recipe.description
    assert recipe.memory == 64 << 20
    assert (folder / "README.md").is_file()
