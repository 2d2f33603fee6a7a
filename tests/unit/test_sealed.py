"""Sealed folders: what comes out is what went in, or nothing."""

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.host.blocks import BLOCK, PAGE, copy_blocks, sum_bytes
from weft.host.drafts import DRAFT, open_draft, sweep_drafts
from weft.host.sealed import Sealed, open_sealed
from weft.model.errors import NoRoom, Unavailable, WeftError

HEAD = "head.json"
SPARSE = os.urandom(100) + bytes(2 * BLOCK) + os.urandom(PAGE) + bytes(PAGE) + os.urandom(3) + bytes(BLOCK)


async def save(folder: Path, memory: bytes = SPARSE, device: bytes = b"device state") -> None:
    fd = os.memfd_create("source")
    try:
        os.write(fd, memory)
        async with open_draft(folder, HEAD) as draft:
            await draft.copy("memory", fd, len(memory))
            await draft.put("device", device)
            (draft.folder / "disk").write_bytes(memory[::-1])
            await draft.take("disk")
            await draft.seal({"what": "a test"})
    finally:
        os.close(fd)


async def read_all(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, as one who restores it reads it."""
    sealed = await open_sealed(folder, HEAD)
    found = {"about": str(sealed.about).encode(), "device": await sealed.read("device")}
    for name in ("memory", "disk"):
        found[name] = await read_large(sealed, name)
    return found


async def read_large(sealed: Sealed, name: str) -> bytes:
    fd = os.memfd_create("target")
    try:
        await sealed.copy(name, fd)
        return os.pread(fd, 1 << 30, 0)
    finally:
        os.close(fd)


async def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    await save(tmp_path / "one")
    found = await read_all(tmp_path / "one")
    assert found["memory"] == SPARSE
    assert found["disk"] == SPARSE[::-1]
    assert found["device"] == b"device state"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]


async def test_zeros_take_no_room(tmp_path: Path) -> None:
    await save(tmp_path / "one")
    assert (tmp_path / "one" / "memory").stat().st_blocks * 512 <= 4 * PAGE
    assert (tmp_path / "one" / "memory").stat().st_size == len(SPARSE)


async def test_a_copy_that_lost_its_holes_is_as_good(tmp_path: Path) -> None:
    await save(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "memory").write_bytes((tmp_path / "one" / "memory").read_bytes())
    assert (await read_all(tmp_path / "two"))["memory"] == SPARSE


async def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    await save(tmp_path / "one", b"old")
    await save(tmp_path / "one", b"new")
    assert (await read_all(tmp_path / "one"))["memory"] == b"new"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import asyncio

    folder = tmp_path_factory.mktemp("sealed") / "one"
    asyncio.run(save(folder))
    return folder


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_other_byte_anywhere_is_refused(saved: Path, data: st.DataObject) -> None:
    path = saved / data.draw(st.sampled_from(["memory", "device", "disk", HEAD]))
    at = data.draw(st.integers(0, path.stat().st_size - 1))
    with changed(path, at, data.draw(st.integers(1, 255))), pytest.raises(Unavailable, match="damaged"):
        await read_all(saved)
    await open_sealed(saved, HEAD)


@contextmanager
def changed(path: Path, at: int, by: int) -> Iterator[None]:
    before = path.read_bytes()[at]
    for byte in (before ^ by, before):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([byte]))
        if byte != before:
            yield


@pytest.mark.parametrize("name", ["memory", "device", "disk", HEAD])
@pytest.mark.parametrize("change", [-1, -PAGE, 1, None])
async def test_another_length_is_refused(tmp_path: Path, name: str, change: int | None) -> None:
    await save(tmp_path / "one")
    path = tmp_path / "one" / name
    if change is None:
        path.unlink()
    else:
        os.truncate(path, max(0, path.stat().st_size + change))
    with pytest.raises(Unavailable, match="damaged"):
        await read_all(tmp_path / "one")


async def test_a_strange_piece_is_refused(tmp_path: Path) -> None:
    await save(tmp_path / "one")
    (tmp_path / "one" / "more").write_bytes(b"")
    with pytest.raises(Unavailable, match="more is not part of it"):
        await read_all(tmp_path / "one")


async def test_a_link_is_no_piece(tmp_path: Path) -> None:
    await save(tmp_path / "one")
    (tmp_path / "one" / "device").rename(tmp_path / "device")
    (tmp_path / "one" / "device").symlink_to(tmp_path / "device")
    with pytest.raises(Unavailable, match="device"):
        await read_all(tmp_path / "one")


async def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    await save(tmp_path / "one", b"old")
    with pytest.raises(ZeroDivisionError):
        async with open_draft(tmp_path / "one", HEAD) as draft:
            await draft.put("device", b"new")
            raise ZeroDivisionError
    assert (await read_all(tmp_path / "one"))["memory"] == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]


async def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK, hard))
    try:
        with pytest.raises(NoRoom, match="no room for"):
            await save(tmp_path / "one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


async def test_drafts_of_who_died_go(tmp_path: Path) -> None:
    (tmp_path / f"one{DRAFT}").mkdir()
    (tmp_path / "two").mkdir()
    sweep_drafts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


async def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(WeftError):
        await open_sealed(tmp_path / "one", HEAD)


@pytest.mark.parametrize("size", [0, 1, PAGE, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("fill", [b"\0", b"x"])
def test_sums_of_files_and_bytes_are_the_same(size: int, fill: bytes) -> None:
    fd = os.memfd_create("source")
    try:
        os.write(fd, fill * size)
        done: list[int] = []
        assert copy_blocks(fd, size, tell=done.append) == sum_bytes(fill * size)
        assert size <= sum(done) < size + BLOCK
    finally:
        os.close(fd)
