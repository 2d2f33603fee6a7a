"""Moments in folders: the same memory, sealed, and the same devices, or nothing."""

import os
import random
from pathlib import Path

import pytest

from weft.fabric.moments.folders import load_moment, save_moment
from weft.fabric.moments.moment import Moment, Shape
from weft.host.memory import create_memory
from weft.model.errors import Unavailable
from weft.model.machine import Profile

SIZE = 8 << 20
DATA = random.Random(3).randbytes(500_000)
SHAPE = Shape(
    qemu="qemu 7.2.22",
    cpu="max",
    accel="tcg",
    profile=Profile.MICROVM,
    memory=SIZE,
    cpus=1,
    kernel="k",
    image="i",
    init="n",
    macs=("52:57:00:00:00:01",),
    floppy=True,
    disks=(),
    held=True,
)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    memory = create_memory(SIZE)
    os.pwrite(memory, DATA, 3 << 20)
    moment = Moment(SHAPE, memory, b"devices")
    await save_moment(moment, tmp_path / "one")
    moment.close()
    return tmp_path / "one"


async def test_there_and_back(folder: Path) -> None:
    moment = await load_moment(folder)
    try:
        assert (moment.shape, moment.device) == (SHAPE, b"devices")
        assert os.fstat(moment.memory).st_size == SIZE
        assert os.pread(moment.memory, SIZE, 0) == bytes(3 << 20) + DATA + bytes(SIZE - (3 << 20) - len(DATA))
        with pytest.raises(PermissionError):
            os.pwrite(moment.memory, b"x", 0)
    finally:
        moment.close()


@pytest.mark.parametrize("name", ["memory", "device", "moment.json"])
async def test_what_is_damaged_is_refused(folder: Path, name: str) -> None:
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    with (folder / name).open("r+b") as file:
        file.seek(4)
        byte = file.read(1)[0]
        file.seek(4)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(Unavailable, match="damaged"):
        await load_moment(folder)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
