"""Roots with a hash tree: they boot on both profiles, and a byte that was changed is never read as if it were right."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric

RECIPE = """
name = "sealed"
version = "1"
packages = ["busybox-static"]
binaries = ["/bin/busybox"]
verity = true
"""
WITNESS = random.Random(1).randbytes(200_000)
"""What no compressor can make smaller, so that it stands in the root file as it is."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with the image `sealed` and a machine of it that runs beside a disk."""
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "recipe" / "files").mkdir(parents=True)
    (folder / "recipe" / "recipe.toml").write_text(RECIPE)
    (folder / "recipe" / "files" / "witness").write_bytes(WITNESS)
    with open_fabric(folder / "home") as fabric:
        fabric.run("image", "build", str(folder / "recipe"))
        yield fabric


def find_root(fabric: TestFabric) -> Path:
    image = fabric.client.image("sealed")
    root = fabric.home / "images" / "sealed" / str(image["root_file"])
    assert root.is_file()
    return root


def flip(root: Path, offset: int) -> None:
    """Change one bit of the root file, as a bad disk or a bad neighbour would."""
    with root.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def create(fabric: TestFabric, profile: str) -> None:
    """With a disk: the root has to be told from it."""
    disk = {"kind": "volume", "source": f"disk-{profile}", "target": "/mnt"}
    fabric.client.create_machine({"name": "box", "image": "sealed", "profile": profile, "mounts": [disk]})


@pytest.mark.parametrize("profile", ["microvm", "q35"])
def test_the_root_is_the_mapped_device(sealed: TestFabric, profile: str) -> None:
    create(sealed, profile)
    assert sealed.client.image("sealed")["verity"]["root_hash"] in sealed.exec("box", "cat", "/proc/cmdline")
    assert sealed.run("exec", "box", "--", "cat", "/witness").stdout == WITNESS
    assert sealed.exec("box", "cat", "/sys/block/dm-0/ro") == "1\n"
    sealed.run("rm", "-f", "box")


def test_a_changed_byte_is_an_error_and_never_data(sealed: TestFabric) -> None:
    root = find_root(sealed)
    offset = root.read_bytes().index(WITNESS[100_000:100_100])
    flip(root, offset)
    create(sealed, "microvm")
    done = sealed.run("exec", "box", "--", "cat", "/witness", check=False)
    assert done.returncode != 0
    assert b"Input/output error" in done.stderr
    assert WITNESS.startswith(done.stdout) and len(done.stdout) < len(WITNESS)
    sealed.run("rm", "-f", "box")
    flip(root, offset)


def test_a_root_that_is_another_does_not_start(sealed: TestFabric) -> None:
    root = find_root(sealed)
    flip(root, 8)  # the time in the super block, which nothing but the tree looks at
    done = sealed.run("run", "-d", "--name", "box", "sealed", check=False)
    assert done.returncode == 1 and b"/lower" in done.stderr
    flip(root, 8)
    sealed.run("run", "-d", "--name", "box", "sealed")
    sealed.run("rm", "-f", "box")
