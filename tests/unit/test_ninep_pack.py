import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ninep_packs import write_pack

from weft.ninep.pack import ROOT, BadPack, Pack, Packed
from weft.ninep.packing import Planned, plan_pack
from weft.ninep.words import Mode

names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=40), max_size=12)


def read_all(pack: Pack, folder: Packed, path: str = "") -> Iterator[tuple[str, bytes | None]]:
    for number in folder.children:
        file = pack.entry(number)
        assert file.parent == folder.number
        assert pack.find(folder, file.name) == file
        if file.is_dir:
            yield path + file.name, None
            yield from read_all(pack, file, f"{path}{file.name}/")
        else:
            yield path + file.name, pack.read(file, 0, 1 << 20)


@given(trees)
def test_a_pack_gives_back_what_was_packed(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes]) -> None:
    files = {name: data for name, data in tree.items() if not any(other.startswith(f"{name}/") for other in tree)}
    path = write_pack(tmp_path_factory.mktemp("pack") / "root.p9", files)
    with path.open("rb") as file:
        pack = Pack(file.fileno())
        found = dict(read_all(pack, pack.entry(ROOT)))
        assert {name: data for name, data in found.items() if data is not None} == files
        assert list(found) == sorted(found, key=lambda name: [part.encode() for part in name.split("/")])
        assert pack.find(pack.entry(ROOT), "nobody/has this") is None
        pack.close()


def test_parts_of_a_content_are_read(tmp_path: Path) -> None:
    fd = os.open(write_pack(tmp_path / "root.p9", {"a": b"first", "b": b"0123456789"}), os.O_RDONLY)
    try:
        pack = Pack(fd)
        file = pack.find(pack.entry(ROOT), "b")
        assert file is not None
        assert (file.uid, file.gid, file.mode, file.mtime, file.size) == ("sys", "sys", 0o664, 1000, 10)
        assert [
            pack.read(file, 3, 4),
            pack.read(file, 8, 100),
            pack.read(file, 10, 1),
            pack.read(file, 1 << 60, 1),
        ] == [
            b"3456",
            b"89",
            b"",
            b"",
        ]
        pack.close()
    finally:
        os.close(fd)


def test_a_content_that_files_share_stands_there_once(tmp_path: Path) -> None:
    root = Planned("", Mode.DIR | 0o755)
    root.children = [Planned(name, 0o644, size=4, source="same") for name in ("one", "two")]
    packing = plan_pack(root)
    assert packing.contents == (("same", 4),)
    (tmp_path / "pack").write_bytes(packing.head + b"data")
    with (tmp_path / "pack").open("rb") as file:
        pack = Pack(file.fileno())
        assert [pack.read(pack.entry(number), 0, 9) for number in (1, 2)] == [b"data", b"data"]
        pack.close()


@pytest.mark.parametrize("change", [lambda data: data[:10], lambda data: b"tar" + data[3:], lambda data: data[:100]])
def test_what_is_no_pack_is_refused(tmp_path: Path, change: object) -> None:
    path = write_pack(tmp_path / "root.p9", {"a": b"first"})
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with path.open("rb") as file, pytest.raises(BadPack):
        Pack(file.fileno())


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 255 bytes"):
        plan_pack(Planned("", Mode.DIR | 0o755, children=[Planned("ä" * 128, 0o644)]))
