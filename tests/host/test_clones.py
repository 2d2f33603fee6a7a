"""Copies of files: the same content, the same holes, nothing left of one that failed."""

import os
import random
from pathlib import Path

import pytest

from weft.host.clones import clone_file, flush_file
from weft.host.disks import find_stored
from weft.model.errors import Unavailable


def test_content_and_holes_are_the_same(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    size, data = 64 << 20, random.Random(1).randbytes(100_000)
    with source.open("wb") as file:
        file.truncate(size)
        for place in (0, 5 << 20, (40 << 20) + 123):
            file.seek(place)
            file.write(data)
    clone_file(source, target)
    flush_file(target)
    assert target.stat().st_size == size
    assert target.read_bytes() == source.read_bytes()
    assert find_stored(target) < 4 << 20
    assert target.stat().st_mode & 0o777 == 0o600
    with target.open("r+b") as file:
        file.write(b"changed")
    assert source.read_bytes()[:100] == data[:100]


@pytest.mark.parametrize("size", [0, 1, 4096, 1 << 20])
def test_any_size(tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    clone_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_nothing_but_a_hole(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.touch()
    os.truncate(source, 1 << 30)
    clone_file(source, target)
    assert (target.stat().st_size, find_stored(target)) == (1 << 30, 0)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be copied"):
        clone_file(tmp_path / "missing", tmp_path / "target")
    assert not (tmp_path / "target").exists()
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_bytes(b"new")
    there.write_bytes(b"old")
    with pytest.raises(Unavailable):
        clone_file(source, there)
    assert there.read_bytes() == b"old"
