"""Images from real packages: reproducible, small, made without root."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.ordinary import BECOME, UID, private_mounts

from weft.image.build import build_image
from weft.image.folders import REPOSITORY, recipe_folder
from weft.image.squashfs import read_from_squashfs
from weft.image.store import ImageStore
from weft.model.errors import Invalid, NoRoom, NotFound

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
    with pytest.raises(NotFound, match="there are balancer, base"):
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
import asyncio, os, sys
from pathlib import Path
from weft.image.build import build_image
os.umask(0o077)
home, cache, folder = map(Path, sys.argv[1:])
print(asyncio.run(build_image(folder, home, cache=cache)).digest)
"""

RICH = """
name = "rich"
version = "1"
packages = ["busybox-static"]
binaries = ["/bin/busybox"]
users = { web = { uid = 800, groups = ["tls"], home = "/srv/web" } }
groups = { tls = 900 }
permissions = { "/etc/key" = { mode = "0640", owner = "root:tls" }, "/etc/open" = { owner = "web" } }
max_size = "8M"
[[services]]
name = "watch"
argv = ["/bin/sleep", "infinity"]
user = "web"
[settings.greeting]
default = "hello"
"""
"""A recipe that says nearly all that can be said."""


def write_rich(folder: Path) -> Path:
    (folder / "files" / "etc").mkdir(parents=True)
    for name, text in {"recipe.toml": RICH, "files/etc/key": "secret\n", "files/etc/open": "open\n"}.items():
        (folder / name).write_text(text)
    return folder


async def test_owners_modes_and_what_the_manifest_says(tmp_path: Path) -> None:
    image = await build_image(write_rich(tmp_path / "rich"), tmp_path / "home", name="localhost/rich:2")
    store = ImageStore(tmp_path / "home")
    assert store.get("localhost/rich:2") == image
    files = list_files(store.root_path(image))
    assert files["/etc/key"] == "-rw-r----- 0/900"
    assert files["/etc/open"] == "-rw-r--r-- 800/800"
    assert files["/srv/web"] == "drwxr-x--- 800/800"
    assert files["/"] == "drwxr-xr-x 0/0"
    assert [service.name for service in image.services] == ["watch"]
    assert image.settings and list(image.settings.settings) == ["hostname", "greeting"]


async def test_an_image_says_what_it_is_made_of(tmp_path: Path) -> None:
    image = await build_image(FOLDERS[2], tmp_path)
    document = json.loads(await read_from_squashfs(ImageStore(tmp_path).root_path(image), image.sbom))
    check_cyclonedx(document)
    assert {part["name"]: part["version"] for part in document["components"]} == image.packages
    assert any("licenses" in part for part in document["components"])
    with pytest.raises(NotFound):
        await read_from_squashfs(ImageStore(tmp_path).root_path(image), "/no/such/file")


def check_cyclonedx(document: dict[str, Any]) -> None:
    """What https://cyclonedx.org/docs/1.5/json/ requires of a document and of the parts of it that are used here."""
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert document["version"] >= 1
    parts = [document["metadata"]["component"], *document["components"]]
    kinds = {"application", "framework", "library", "container", "operating-system", "device", "firmware", "file"}
    for part in parts:
        assert part["type"] in kinds and part["name"] and part["version"] and part["bom-ref"]
        assert all(set(entry) == {"license"} and entry["license"]["name"] for entry in part.get("licenses", []))
    references = [part["bom-ref"] for part in parts]
    assert len(set(references)) == len(references)
    for entry in document["dependencies"]:
        assert entry["ref"] in references and set(entry.get("dependsOn", [])) <= set(references)
    urls = [part["purl"] for part in document["components"]]
    assert all(re.fullmatch(r"pkg:deb/debian/[a-z0-9.+%-]+@[A-Za-z0-9.+~%-]+[?]arch=[a-z0-9]+", url) for url in urls)


async def test_an_image_above_its_budget_is_not_kept(tmp_path: Path) -> None:
    folder = write_rich(tmp_path / "rich")
    (folder / "recipe.toml").write_text(RICH.replace("8M", "1M"))
    with pytest.raises(NoRoom, match="more than 1M") as caught:
        await build_image(folder, tmp_path / "home")
    assert "busybox-static" in (caught.value.detail or "").splitlines()[1]
    assert ImageStore(tmp_path / "home").list() == []
    (folder / "recipe.toml").write_text(RICH + '[entry]\nargv = ["/bin/gone"]\n')
    with pytest.raises(Invalid, match=r"entry\.argv: there is no /bin/gone"):
        await build_image(folder, tmp_path / "home")


@pytest.mark.skipif(os.geteuid() != 0, reason="everything here runs as an ordinary user already")
def test_an_ordinary_user_builds_the_same_image(tmp_path: Path) -> None:
    # Not below tmp_path: pytest keeps that closed to other users.
    with tempfile.TemporaryDirectory(prefix="weft-test-") as name:
        image = asyncio.run(build_image(write_rich(tmp_path / "rich"), tmp_path / "home"))
        shutil.copytree(tmp_path / "rich", f"{name}/rich", copy_function=shutil.copyfile)
        Path(name).chmod(0o755)
        for path in [Path(name), *Path(name).rglob("*")]:
            os.chown(path, UID, UID)
        (tmp_path / "stage").mkdir()
        argv = [*private_mounts(tmp_path / "stage"), *BECOME, sys.executable, "-c", UNPRIVILEGED]
        done = subprocess.run(
            [*argv, f"{name}/home", f"{name}/cache", f"{name}/rich"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "TZ": "Asia/Tokyo",
                "PYTHONPATH": str(REPOSITORY / "src"),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == image.digest
