"""Decisions around a kernel build: its source, its options, its folders."""

from pathlib import Path

import pytest

from weft.image.cache import cache_home, open_cache_folder
from weft.image.folders import share_folder
from weft.image.kernel_make import ESSENTIAL, find_refused
from weft.image.kernel_source import Pinned, digest_tree, load_pinned, open_source
from weft.model.errors import Invalid, NotFound, Unavailable

PINNED = Pinned("linux-source-0", Path("/nowhere/linux.tar.xz"), "0", "0" * 64, {}, 10)
FRAGMENT = (share_folder("kernel") / "fragment.config").read_text()


def make_tree(folder: Path) -> Path:
    (folder / "arch" / "x86").mkdir(parents=True)
    (folder / "Kbuild").write_text("obj-y\n")
    return folder


def test_the_pinned_source_is_whole() -> None:
    pinned = load_pinned()
    assert pinned.package.startswith("linux-source-")
    assert len(pinned.sha256) == 64
    assert pinned.needs["make"] == "make"


def test_a_damaged_pin_says_where(tmp_path: Path) -> None:
    (tmp_path / "version.toml").write_text('package = "x"\n')
    with pytest.raises(Invalid, match=r"version\.toml"):
        load_pinned(tmp_path / "version.toml")


def test_without_the_package_the_hint_names_it() -> None:
    with pytest.raises(Unavailable, match="apt-get install linux-source-0"):
        open_source(None, PINNED)


def test_a_source_is_a_tree_or_a_tarball(tmp_path: Path) -> None:
    tarball = tmp_path / "linux.tar"
    tarball.write_bytes(b"tar")
    assert not open_source(tarball, PINNED).is_tree
    assert open_source(make_tree(tmp_path / "tree"), PINNED).is_tree
    with pytest.raises(NotFound):
        open_source(tmp_path / "none", PINNED)
    with pytest.raises(Invalid, match="not a Linux source tree"):
        open_source(tmp_path, PINNED)


def test_a_tree_that_was_built_in_is_refused(tmp_path: Path) -> None:
    (make_tree(tmp_path) / ".config").touch()
    with pytest.raises(Invalid, match="mrproper"):
        open_source(tmp_path, PINNED)


def test_a_trees_digest_is_over_its_content(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "two")
    (two / ".git").mkdir()
    (two / ".git" / "HEAD").write_text("x")
    assert digest_tree(one) == digest_tree(two)
    (two / "Kbuild").write_text("obj-n\n")
    assert digest_tree(one) != digest_tree(two)


def test_the_fragment_asks_for_what_machines_cannot_do_without() -> None:
    assert not find_refused("\n".join(ESSENTIAL), FRAGMENT)


def test_the_fragment_says_nothing_twice() -> None:
    names = [line.partition("=")[0] for line in FRAGMENT.splitlines() if line.startswith("CONFIG_")]
    assert sorted(names) == sorted(set(names))


def test_what_a_source_refuses_is_told_in_order() -> None:
    assert find_refused("CONFIG_B=y\n# x\nCONFIG_A=y\nCONFIG_C=3\n", "CONFIG_C=3\n# CONFIG_A is not set\n") == [
        "CONFIG_B=y",
        "CONFIG_A=y",
    ]


@pytest.mark.parametrize(("value", "base"), [("/x", Path("/x")), ("", None), ("relative", None)])
def test_where_the_cache_is(value: str, base: Path | None) -> None:
    assert cache_home({"XDG_CACHE_HOME": value}) == (base or Path.home() / ".cache") / "weft"


async def test_one_process_at_a_time_fills_the_cache(tmp_path: Path) -> None:
    async with open_cache_folder(tmp_path / "a", timeout=1):
        with pytest.raises(Unavailable, match="still in use"):
            async with open_cache_folder(tmp_path / "a", timeout=0.05):
                pass
    async with open_cache_folder(tmp_path / "a", timeout=0.05):
        pass


async def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="XDG_CACHE_HOME"):
        async with open_cache_folder(tmp_path / "file" / "a", timeout=1):
            pass
