"""Folders whose files are copied for machines to load: what is in them, and what is not."""

import os
from pathlib import Path

import pytest

from weft.host import boot_folder
from weft.host.boot_folder import walk_folder
from weft.model.errors import NotFound, WeftError

pytestmark = pytest.mark.host


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "boot" / "grub").mkdir(parents=True)
    (tree / "boot" / "grub" / "grub.cfg").write_text("menu")
    (tree / "empty").touch()
    return tree


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "weft.db").write_text("secret")
    return home


def read(folder: Path, home: Path) -> dict[str, bytes]:
    return {found.name: os.pread(found.fd, 99, 0) for found in walk_folder(folder, home)}


def refusal(folder: Path, home: Path) -> str:
    with pytest.raises(WeftError) as caught:
        read(folder, home)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_files_by_their_names(tree: Path, home: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert read(tree, home) == {"boot/grub/grub.cfg": b"menu", "empty": b""}
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_links_within_it_are_followed(tree: Path, home: Path) -> None:
    (tree / "menu").symlink_to("boot/grub/grub.cfg")
    (tree / "grub").symlink_to(tree / "boot" / "grub")
    found = read(tree, home)
    assert found["menu"] == found["grub/grub.cfg"] == b"menu"
    (tree.parent / "link").symlink_to(tree)
    assert read(tree.parent / "link", home) == found


@pytest.mark.parametrize("target", ["../secret", "/etc/hostname", "..", "/"])
def test_links_out_of_it_are_not(target: str, tree: Path, home: Path) -> None:
    (tree.parent / "secret").write_text("secret")
    (tree / "link").symlink_to(target)
    assert "leads out of the folder" in refusal(tree, home)


def test_what_is_none_is_said(tree: Path, home: Path) -> None:
    assert "no folder" in refusal(tree / "empty", home)
    with pytest.raises(NotFound):
        read(tree / "nowhere", home)
    os.mkfifo(tree / "pipe")
    assert refusal(tree, home) == f"{tree}/pipe is no file"
    (tree / "pipe").unlink()
    (tree / "link").symlink_to("nowhere")
    assert "a link may lead nowhere" in refusal(tree, home)
    (tree / "link").unlink()
    (tree / "link").symlink_to(".")
    assert "a link may lead in a circle" in refusal(tree, home)


def test_the_fabrics_own_is_in_none(tree: Path, home: Path) -> None:
    assert "the fabric's own" in refusal(home, home)
    assert "the fabric's own" in refusal(tree.parent, home)


@pytest.mark.parametrize("bound", ["MOST_FILES", "MOST_BYTES"])
def test_one_that_is_too_large_is_refused(bound: str, tree: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_folder, bound, 1)
    assert "has more than" in refusal(tree, home)
