"""Floppies: what is written is read by others too, a change is whole or not there, and bad images are told apart."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from weft.image.blank import is_blank
from weft.image.floppy import copy_floppy, create_floppy, open_change, open_floppy, parse_inside
from weft.image.settings import KEPT, load_history, load_saved, rescue_history, save
from weft.model.errors import Exists, Invalid, NoRoom, NotFound, Unavailable
from weft.model.floppy import FLOPPY_BYTES
from weft.model.schema import Setting, SettingsSchema
from weft.plan.settings import Fit
from weft.plan.settings_file import Stamp

SCHEMA = SettingsSchema(settings={"mtu": Setting(type="integer", default=1500)})


@pytest.fixture
async def floppy(tmp_path: Path) -> Path:
    path = tmp_path / "acme.img"
    await create_floppy(path)
    return path


async def put(path: Path, **files: bytes) -> None:
    async with open_change(path) as draft:
        await draft.write(files)


async def test_a_new_floppy_is_empty_and_always_the_same(floppy: Path, tmp_path: Path) -> None:
    view = await (await open_floppy(floppy)).view()
    assert (view.label, view.files, view.floppy) == ("WEFT", [], str(floppy))
    assert 1_450_000 < view.free < floppy.stat().st_size == FLOPPY_BYTES
    await create_floppy(tmp_path / "other.img")
    assert (tmp_path / "other.img").read_bytes() == floppy.read_bytes()


async def test_one_with_nothing_on_it_is_known_by_sight(floppy: Path) -> None:
    assert is_blank(floppy)
    for change in (_scratch, _cut, _noise, _zero):
        other = floppy.with_name("other.img")
        other.write_bytes(change(bytearray(floppy.read_bytes())))
        assert not is_blank(other)
    assert not is_blank(floppy.with_name("none.img"))
    await put(floppy, a=b"1")
    assert not is_blank(floppy)


async def test_files_and_folders_are_written_read_listed_and_removed(floppy: Path) -> None:
    long = "A long name, with Ümlauts and spaces.txt"
    async with open_change(floppy) as draft:
        await draft.write(
            {"settings.toml": b"a = 1\n", f"one/two/{long}": b"\0\xff" * 700, "UPPER": b"", "low.txt": b"x"}
        )
    opened = await open_floppy(floppy)
    listed = {file.path: (file.size, file.folder) for file in await opened.list()}
    assert listed == {
        "UPPER": (0, False),
        "low.txt": (1, False),
        "one": (0, True),
        "one/two": (0, True),
        f"one/two/{long}": (1400, False),
        "settings.toml": (6, False),
    }
    assert await opened.read(f"/one/two/{long}") == b"\0\xff" * 700
    async with open_change(floppy) as draft:
        await draft.write({"settings.toml": b"b"})
        await draft.delete("one", "UPPER")
    assert [file.path for file in await (await open_floppy(floppy)).list()] == ["low.txt", "settings.toml"]
    assert await opened.read("settings.toml") == b"b"
    assert [path.name for path in floppy.parent.iterdir()] == [floppy.name]


async def test_what_is_not_there_cannot_be_read_or_removed(floppy: Path) -> None:
    with pytest.raises(NotFound, match="no file x"):
        await (await open_floppy(floppy)).read("x")
    before = floppy.read_bytes()
    with pytest.raises(NotFound, match="no file x"):
        async with open_change(floppy) as draft:
            await draft.write({"y": b"1"})
            await draft.delete("x")
    assert floppy.read_bytes() == before
    with pytest.raises(NotFound, match="weft floppy create"):
        await open_floppy(floppy.with_name("none.img"))


async def test_a_floppy_that_is_full_stays_as_it_was(floppy: Path) -> None:
    await put(floppy, small=b"small")
    before = floppy.read_bytes()
    for size in (FLOPPY_BYTES - 20_000, 2_000_000):
        with pytest.raises(NoRoom, match=f"big of {size} bytes does not fit"):
            async with open_change(floppy) as draft:
                await draft.write({"first": b"1" * 10_000, "big": bytes(size)})
        assert floppy.read_bytes() == before
    await put(floppy, fits=bytes(1_400_000))


async def test_folders_are_no_files(floppy: Path) -> None:
    await put(floppy, **{"a/b": b"1"})
    for path in ("a", "A", "a/b/c"):
        with pytest.raises(Invalid, match=r"is a folder|not a folder"):
            await put(floppy, **{path: b"2"})


@pytest.mark.parametrize("path", ["", "/", "..", "a/../b", "a*", "x?", "[a]", "a:b", "c\\d", "a\nb", "dot.", "a/ /b"])
def test_paths_that_no_floppy_has(path: str) -> None:
    with pytest.raises(Invalid):
        parse_inside(path)


def _cut(data: bytearray) -> bytearray:
    return data[:-512]


def _scratch(data: bytearray) -> bytearray:
    data[512:560] = bytes(byte ^ 0x5A for byte in data[512:560])
    return data


def _noise(data: bytearray) -> bytearray:
    return bytearray(os.urandom(len(data)))


def _zero(data: bytearray) -> bytearray:
    return bytearray(len(data))


@pytest.mark.parametrize(
    ("harm", "told"), [(_cut, "no 1.44 MB floppy"), (_scratch, "damaged"), (_noise, "no floppy"), (_zero, "no floppy")]
)
async def test_what_is_no_floppy_is_told_in_a_line(
    floppy: Path, harm: Callable[[bytearray], bytearray], told: str
) -> None:
    await put(floppy, **{"settings.toml": b"a = 1\n"})
    floppy.write_bytes(harm(bytearray(floppy.read_bytes())))
    with pytest.raises(Invalid, match=rf"^[^\n]*{told}[^\n]*$"):
        await open_floppy(floppy)
    with pytest.raises(Invalid):
        await put(floppy, x=b"")


async def test_nothing_is_overwritten_unasked(floppy: Path, tmp_path: Path) -> None:
    await put(floppy, x=b"1")
    with pytest.raises(Exists):
        await create_floppy(floppy)
    other = tmp_path / "other.img"
    other.write_text("mine")
    with pytest.raises(Exists):
        await copy_floppy(floppy, other)
    assert other.read_text() == "mine"
    await copy_floppy(floppy, other, replace=True)
    assert other.read_bytes() == floppy.read_bytes()
    await create_floppy(floppy, label="FW-1", replace=True)
    assert (await (await open_floppy(floppy)).view()).label == "FW-1"
    with pytest.raises(Invalid):
        await create_floppy(tmp_path / "x.img", label="too long a label")


async def test_who_has_opened_the_old_floppy_keeps_it_and_a_link_stays_a_link(floppy: Path) -> None:
    floppy.chmod(0o640)
    link = floppy.with_name("link.img")
    link.symlink_to(floppy.name)
    with floppy.open("rb") as opened:
        before = opened.read()
        await put(link, x=b"1")
        opened.seek(0)
        assert opened.read() == before != floppy.read_bytes()
    assert link.is_symlink() and floppy.stat().st_mode & 0o777 == 0o640


async def test_writers_wait_for_each_other(floppy: Path) -> None:
    await asyncio.gather(*(put(floppy, **{f"file{number}": b"x"}) for number in range(8)))
    assert len(await (await open_floppy(floppy)).list()) == 8


async def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be written"):
        await create_floppy(tmp_path / "nowhere" / "x.img")


# Settings


async def test_revisions_grow_and_the_last_twenty_stay(floppy: Path) -> None:
    await put(floppy, **{"keys/id": b"secret"})
    for number in range(1, KEPT + 4):
        stamp = await save(floppy, SCHEMA, Fit({"mtu": number}), Stamp(time=number, by="me", why="w"), "machine x")
        assert stamp.revision == number
    saved, history = await load_saved(floppy), await load_history(floppy)
    assert saved.document.values == {"mtu": KEPT + 3} and saved.document.stamp.revision == KEPT + 3
    assert sorted(history) == list(range(4, KEPT + 4))
    assert all(history[number].values == {"mtu": number} and history[number].whole for number in history)
    assert await (await open_floppy(floppy)).read("keys/id") == b"secret"


async def test_a_damaged_file_leaves_the_history(floppy: Path) -> None:
    for number in (1, 2, 3):
        await save(floppy, SCHEMA, Fit({"mtu": number}), Stamp(revision=number - 1), "machine x")
    await put(floppy, **{"settings.toml": b"mtu = ", "history/0003.toml": b"mtu = 9", "history/x.toml": b"?"})
    saved = await load_saved(floppy)
    assert saved.damage.startswith("settings.toml: ") and saved.document.values == {}
    assert [document.values for document in await rescue_history(floppy)] == [{"mtu": 2}, {"mtu": 1}]
    stamp = await save(floppy, SCHEMA, Fit({"mtu": 7}), Stamp(), "machine x")
    assert stamp.revision == 4


async def test_history_is_saved_from_a_damaged_floppy_where_it_can_be(floppy: Path) -> None:
    await save(floppy, SCHEMA, Fit({"mtu": 7}), Stamp(), "machine x")
    data = bytearray(floppy.read_bytes())
    data[512 * 10] ^= 0xFF  # the second FAT: nobody reads it, but the two differ
    floppy.write_bytes(data)
    with pytest.raises(Invalid, match="damaged"):
        await load_saved(floppy)
    assert [document.values for document in await rescue_history(floppy)] == [{"mtu": 7}]
    floppy.write_bytes(bytes(FLOPPY_BYTES))
    assert await rescue_history(floppy) == []
