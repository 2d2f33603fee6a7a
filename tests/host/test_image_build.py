"""Images from real packages: reproducible, small, made without root."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.ordinary import BECOME, UID, private_mounts

from weft.image.build import build_image
from weft.image.folders import REPOSITORY, recipe_folder
from weft.image.store import ImageStore
from weft.model.errors import Invalid, NotFound

pytestmark = pytest.mark.host

FOLDERS = [recipe_folder(name) for name in ("base", "web", "sniffer")] + [
    REPOSITORY / "benchmarks" / "images" / "bench"
]
LARGEST_IMAGE = 35 << 20
"""What an appliance may take on disk, its kernel included."""
LARGEST_KERNEL = 20 << 20


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    missing = [tool for tool in ("apt-get", "dpkg-deb", "sqfstar", "unsquashfs") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def list_files(root: Path) -> dict[str, str]:
    """Path to mode and owner of everything in a squashfs, as unsquashfs prints it."""
    done = subprocess.run(["unsquashfs", "-lln", "-d", "", root], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=5) for line in done.stdout.splitlines() if line[:1] in "d-l"]
    return {(fields[5:] or ["/"])[0].split(" -> ")[0]: f"{fields[0]} {fields[1]}" for fields in lines if fields}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
async def test_two_builds_give_one_digest(tmp_path: Path, folder: Path) -> None:
    first = await build_image(folder, tmp_path / "one")
    copy = shutil.copytree(folder, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    for path in folder.rglob("*"):
        os.utime(copy / path.relative_to(folder), (0, 0))
    second = await build_image(copy, tmp_path / "two")
    assert first.digest == second.digest
    assert first.packages == second.packages
    assert first.size + LARGEST_KERNEL < LARGEST_IMAGE


async def test_all_belongs_to_root_and_nothing_is_setuid(tmp_path: Path) -> None:
    for folder in FOLDERS:
        image = await build_image(folder, tmp_path)
        files = list_files(ImageStore(tmp_path).root_path(image))
        assert files["/"] == "drwxr-xr-x 0/0"
        assert files["/tmp"] == "drwxrwxrwt 0/0"
        assert files["/usr/bin/busybox"] == "-rwxr-xr-x 0/0"
        assert "/usr/bin/sh" in files
        assert {entry.split()[1] for entry in files.values()} == {"0/0"}
        assert not [path for path, entry in files.items() if "s" in entry.split()[0]]
        assert not [path for path in files if path.startswith(("/usr/share/doc", "/usr/share/man", "/var/lib/dpkg"))]


async def test_an_unchanged_recipe_is_not_built_again(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDERS[0], tmp_path / "base")
    told: list[str] = []
    first = await build_image(folder, tmp_path / "home")
    again = await build_image(folder, tmp_path / "home", progress=lambda text, _fraction: told.append(text))
    assert again == first
    assert told == ["base: nothing has changed"]
    (folder / "files" / "etc").mkdir(parents=True)
    (folder / "files" / "etc" / "motd").write_text("new\n")
    changed = await build_image(folder, tmp_path / "home")
    assert changed.digest != first.digest
    assert ImageStore(tmp_path / "home").list() == [changed]
    assert not list((tmp_path / "home" / "images").glob(".draft*"))


async def test_a_recipe_that_came_along_is_known_by_name(tmp_path: Path) -> None:
    assert (await build_image(Path("base"), tmp_path)).name == "base"
    with pytest.raises(NotFound, match="there are base"):
        await build_image(Path("basis"), tmp_path)


async def test_a_package_that_does_not_exist(tmp_path: Path) -> None:
    text = 'name = "odd"\nversion = "1"\npackages = ["no-such-package-anywhere"]\n'
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(NotFound, match="no-such-package-anywhere"):
        await build_image(tmp_path, tmp_path / "home")


async def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    text = 'name = "odd"\nversion = "1"\npackages = ["busybox-static"]\nbinaries = ["/bin/busybox"]\n'
    (tmp_path / "recipe.toml").write_text(text)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "etc").write_text("a file where a folder is\n")
    with pytest.raises((Invalid, NotFound)):
        await build_image(tmp_path, tmp_path / "home")
    home = tmp_path / "home"
    assert [path for path in home.rglob("*") if path.is_file()] == []


UNPRIVILEGED = """
import asyncio, sys
from pathlib import Path
from weft.image.build import build_image
home, cache, folder = map(Path, sys.argv[1:])
print(asyncio.run(build_image(folder, home, cache=cache)).digest)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="everything here runs as an ordinary user already")
def test_an_ordinary_user_builds_the_same_image(tmp_path: Path) -> None:
    image = asyncio.run(build_image(FOLDERS[0], tmp_path))
    # Not below tmp_path: pytest keeps that closed to other users.
    with tempfile.TemporaryDirectory(prefix="weft-test-") as name:
        os.chown(name, UID, UID)
        (tmp_path / "stage").mkdir()
        argv = [*private_mounts(tmp_path / "stage"), *BECOME, sys.executable, "-c", UNPRIVILEGED]
        done = subprocess.run(
            [*argv, f"{name}/home", f"{name}/cache", FOLDERS[0]],
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(REPOSITORY / "src")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == image.digest
