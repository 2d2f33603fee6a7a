"""Layers to one tree, compared with what umoci makes of them; and the squashfs, as the kernel shows it."""

import asyncio
import gzip
import os
import shutil
import sys
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.host.umoci import Seen, dump_layer, look, unpack, write_layout
from tests.ordinary import BECOME, REPOSITORY, private_mounts

from weft.host.process import run
from weft.image.flatten import Limits, write_root
from weft.image.flatten.fields import ReadAt
from weft.image.flatten.members import Kind
from weft.image.flatten.merge import Inode, Merger
from weft.image.flatten.tarread import read_members
from weft.model.errors import Exists, Invalid, NoRoom, WeftError

pytestmark = pytest.mark.host
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can unpack owners and devices")
needs_umoci = pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed")

LETTERS = {
    Kind.FILE: "-",
    Kind.SYMLINK: "l",
    Kind.CHARACTER: "c",
    Kind.BLOCK: "b",
    Kind.FOLDER: "d",
    Kind.FIFO: "p",
}
WRITE_ROOT = """
import asyncio, sys
from pathlib import Path
from weft.image.flatten import write_root
asyncio.run(write_root([Path(name) for name in sys.argv[2:]], Path(sys.argv[1])))
"""
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")

names = st.sampled_from(["a", "b", "c", "x\udcffy"])
hidden = st.sampled_from([".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq", ".wh..wh.plnk"])
folders = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), max_size=3).map("/".join)
starts = st.sampled_from(["", "", "", "./", "/", "../"])


@st.composite
def paths(draw, last=names):
    folder = draw(folders)
    return draw(starts) + (folder + "/" if folder else "") + draw(last)


@st.composite
def members(draw):
    """A member of a tar: mostly files, folders and links, which meet each other often."""
    kind = draw(st.sampled_from("ffffdddsssllwwcbp"))
    info = tarfile.TarInfo(draw(paths(hidden if kind == "w" else names)))
    info.mode = draw(st.sampled_from([0o644, 0o755, 0o4755, 0o1777, 0o2070, 0o000]))
    info.uid, info.gid = draw(st.sampled_from([(0, 0), (1000, 100), (4000000000, 3)]))
    info.mtime = draw(st.sampled_from([1, 1.75, 1700000000, 4000000000]))
    data = b""
    match kind:
        case "f":
            data = draw(st.sampled_from([b"", b"one", b"two" * 1000]))
            info.pax_headers = draw(st.sampled_from([{}, {}, {"SCHILY.xattr.user.x": "1"}]))
        case "d":
            info.type = tarfile.DIRTYPE
            info.name = draw(st.sampled_from([info.name, info.name + "/", "./", "."]))
            info.pax_headers = draw(st.sampled_from([{}, {}, {"SCHILY.xattr.trusted.y": "2"}]))
        case "s":
            info.type, info.linkname = tarfile.SYMTYPE, draw(st.one_of(paths(), folders.filter(bool)))
        case "l":
            info.type, info.linkname = tarfile.LNKTYPE, draw(paths())
        case "c" | "b":
            info.type = tarfile.CHRTYPE if kind == "c" else tarfile.BLKTYPE
            info.devmajor, info.devminor = draw(st.sampled_from([(1, 3), (300, 70000)]))
        case "p":
            info.type = tarfile.FIFOTYPE
    info.size = len(data)
    return info, data


stacks = st.lists(st.lists(members(), min_size=1, max_size=8), min_size=1, max_size=3)


def flatten(layers: list[bytes]) -> Merger:
    merger = Merger()
    for layer in layers:
        merger.add_layer(read_members(reader_of(layer)))
    return merger


def reader_of(layer: bytes) -> ReadAt:
    return lambda offset, size: layer[offset : offset + size]


def see(tree: Merger, layers: list[bytes]) -> dict[str, Seen]:
    """A merged tree as umoci's is seen."""
    groups: dict[Inode, list[str]] = {}
    for path, inode in tree:
        groups.setdefault(inode, []).append(os.fsdecode(path or b"."))
    return {name: _see(inode, tuple(sorted(group)), layers) for inode, group in groups.items() for name in group}


def _see(inode: Inode, group: tuple[str, ...], layers: list[bytes]) -> Seen:
    return Seen(
        kind=LETTERS[inode.kind],
        mode=inode.mode,
        owner=(inode.uid, inode.gid),
        mtime=inode.mtime,
        content=inode.target or (layers[inode.layer][inode.data : inode.data + inode.size] if inode.size else b""),
        device=(inode.major, inode.minor),
        xattrs=tuple(sorted((os.fsdecode(name), value) for name, value in (inode.xattrs or {}).items())),
        group=group,
    )


@as_root
@needs_umoci
@settings(max_examples=int(os.environ.get("EXAMPLES", "150")))
@given(stacks)
def test_any_stack_of_layers_makes_the_tree_that_umoci_makes(stack):
    layers = [dump_layer(layer) for layer in stack]
    for layer in stack:
        note("layer: " + "; ".join(f"{i.type!r} {i.name} -> {i.linkname}" for i, _ in layer))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_layout(folder / "layout", layers)
        refused = unpack(folder / "layout", folder / "root")
        try:
            ours = see(flatten(layers), layers)
        except Invalid as err:
            note(f"we: {err}; umoci: {refused}")
            assert refused is not None
            return
        note(f"umoci: {refused}")
        assert refused is None
        theirs = look(folder / "root")
    assert comparable(ours, ours, theirs) == comparable(theirs, ours, theirs)


def comparable(tree: dict[str, Seen], ours: dict[str, Seen], theirs: dict[str, Seen]) -> dict[str, Seen]:
    """A tree without what comes about when umoci makes a folder that no member describes.

    Here such folders are root's, have mode 0755, and change nothing of the folder they are in. There they have the
    time of the test, as has the folder they are in, and where that has the bit for it, they inherit its group."""
    fresh = {name for name, seen in theirs.items() if seen.kind == "d" and abs(seen.mtime - time.time()) < 3600}
    implied = {name for name in fresh if name in ours and ours[name].mtime == 0}
    tree = {name: replace(seen, mtime=0) if name in fresh else seen for name, seen in tree.items()}
    return {name: replace(seen, mode=0, owner=(0, 0)) if name in implied else seen for name, seen in tree.items()}


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in {"mtime": 1700000000, **fields}.items():
        setattr(info, key, value)
    return info, data


def folder(name: str, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **fields})


LONG = "n" * 90 + "/" + "m" * 255
EVERYTHING = [
    [
        folder("./", mode=0o711, uid=3, gid=4, mtime=12345, pax_headers={"SCHILY.xattr.user.root": "yes"}),
        folder("bin"),
        member(
            "bin/ping",
            b"ELF",
            mode=0o4755,
            pax_headers={"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1")},
        ),
        member("bin/ping6", type=tarfile.LNKTYPE, linkname="bin/ping"),
        member("bin/sh", type=tarfile.SYMTYPE, linkname="x/" * 100, uid=7),
        folder("tmp", mode=0o1777),
        folder("n" * 90),
        member(LONG, b"deep", uid=4000000000, gid=70000),
        member("x\udcffy", b"no text"),
        member("big", os.urandom(1 << 20) + bytes(1 << 20) + b"end", mtime=4000000000),
        member("gone", b"gone"),
    ],
    [
        folder("dev"),
        member("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        member("dev/vda", type=tarfile.BLKTYPE, devmajor=300, devminor=70000, mode=0o660, gid=6),
        member("dev/pipe", type=tarfile.FIFOTYPE, mode=0o600),
        member("dev/pipe2", type=tarfile.LNKTYPE, linkname="dev/pipe"),
        member("kept", type=tarfile.LNKTYPE, linkname="gone"),
        member(".wh.gone"),
        member("bin/ping", b"another"),
    ],
]


async def unsquash(layers: list[Path], folder: Path) -> dict[str, Seen]:
    """Write a root and see what is in it."""
    root = folder / "root.squashfs"
    await write_root(layers, root)
    await run(["unsquashfs", "-q", "-n", "-d", str(folder / "unsquashed"), str(root)])
    return look(folder / "unsquashed")


def write_layers(stack: Any, folder: Path) -> list[Path]:
    paths = [folder / f"layer{number}" for number in range(len(stack))]
    for path, layer in zip(paths, stack, strict=True):
        path.write_bytes(gzip.compress(dump_layer(layer)))
    return paths


@as_root
@needs_umoci
async def test_the_root_has_all_that_umoci_unpacks(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", [dump_layer(layer) for layer in EVERYTHING])
    assert unpack(tmp_path / "layout", tmp_path / "root") is None
    ours = await unsquash(write_layers(EVERYTHING, tmp_path), tmp_path)
    assert ours == look(tmp_path / "root")
    assert ours["bin/ping6"].group == ("bin/ping6",)
    assert dict(ours["bin/ping6"].xattrs)["security.capability"] == CAPABILITY


@as_root
@settings(max_examples=30)
@given(stack=stacks)
def test_the_root_is_the_merged_tree(stack) -> None:
    layers = [dump_layer(layer) for layer in stack]
    with tempfile.TemporaryDirectory() as temporary:
        paths = write_layers(stack, Path(temporary))
        try:
            expected = see(flatten(layers), layers)
        except Invalid:
            with pytest.raises(Invalid):
                asyncio.run(unsquash(paths, Path(temporary)))
        else:
            assert asyncio.run(unsquash(paths, Path(temporary))) == expected


async def test_equal_layers_give_equal_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    layers, roots = write_layers(EVERYTHING, tmp_path), [tmp_path / "one", tmp_path / "two"]
    said: list[tuple[str, float | None]] = []
    for root in roots:
        await write_root(layers, root, progress=lambda text, fraction: said.append((text, fraction)))
    assert roots[0].read_bytes() == roots[1].read_bytes()
    assert ("unpacking layers", 0.5) in said
    assert {path.name for path in tmp_path.iterdir()} == {"layer0", "layer1", "one", "two"}


@as_root
async def test_an_ordinary_user_gets_the_same_bytes(tmp_path: Path) -> None:
    layers = write_layers(EVERYTHING, tmp_path)
    await write_root(layers, tmp_path / "mine")
    (tmp_path / "stage").mkdir()
    # Not below tmp_path: pytest keeps that closed to other users.
    with tempfile.TemporaryDirectory(prefix="weft-test-", dir="/tmp") as theirs:
        Path(theirs).chmod(0o777)
        for path in layers:
            shutil.copy(path, theirs)
        argv = [*private_mounts(tmp_path / "stage"), *BECOME, sys.executable, "-c", WRITE_ROOT, f"{theirs}/root"]
        await run([*argv, *(f"{theirs}/{path.name}" for path in layers)], env={"PYTHONPATH": str(REPOSITORY / "src")})
        assert Path(theirs, "root").read_bytes() == (tmp_path / "mine").read_bytes()


@as_root
@pytest.mark.parametrize("room", ["512k", "1600k"])
async def test_want_of_room_is_said_and_leaves_nothing(room: str, tmp_path: Path) -> None:
    """The smaller one ends while a layer is unpacked, the larger one while the root is written."""
    layers = write_layers([[member("a", os.urandom(1 << 20))]], tmp_path)
    (tmp_path / "small").mkdir()
    await run(["mount", "-t", "tmpfs", "-o", f"size={room}", "none", str(tmp_path / "small")])
    try:
        with pytest.raises(NoRoom):
            await write_root(layers, tmp_path / "small" / "root")
        assert list((tmp_path / "small").iterdir()) == []
    finally:
        await run(["umount", str(tmp_path / "small")])


@pytest.mark.parametrize(
    "form", ["gnu --sparse", "pax --sparse-version=0.0", "pax --sparse-version=0.1", "pax --sparse-version=1.0"]
)
@pytest.mark.parametrize("parts", [(), ((0, 5),), ((1 << 20, 3),), tuple((part << 18, 100) for part in range(40))])
async def test_holes(form: str, parts: tuple[tuple[int, int], ...], tmp_path: Path) -> None:
    size = 10 << 20
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(size)
        for offset, length in parts:
            file.seek(offset)
            file.write(b"x" * length)
    (tmp_path / "after").write_bytes(b"still here")
    argv = ["tar", "-C", str(tmp_path), "--sparse", f"--format={form.split()[0]}", *form.split()[1:]]
    await run([*argv, "-cf", str(tmp_path / "layer"), "holes", "after"])
    assert (tmp_path / "layer").stat().st_size < 1 << 20
    await write_root([tmp_path / "layer"], tmp_path / "root")
    for name in ("holes", "after"):
        done = await run(["unsquashfs", "-cat", str(tmp_path / "root"), name])
        assert done.stdout == (tmp_path / name).read_bytes()


async def test_a_taken_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"mine")
    with pytest.raises(Exists):
        await write_root([], tmp_path / "root")
    assert (tmp_path / "root").read_bytes() == b"mine"


async def test_an_image_without_layers_is_an_empty_root(tmp_path: Path) -> None:
    await write_root([], tmp_path / "root")
    done = await run(["unsquashfs", "-lln", str(tmp_path / "root")])
    assert done.text.split()[:2] == ["drwxr-xr-x", "0/0"]


async def test_a_root_beyond_the_limit_leaves_nothing(tmp_path: Path) -> None:
    layers = write_layers([[member("a", bytes(3000))], [member("b", bytes(3000))]], tmp_path)
    with pytest.raises(NoRoom, match="more than 5000 bytes of files"):
        await write_root(layers, tmp_path / "root", limits=Limits(content=5000))
    assert not (tmp_path / "root").exists()


async def test_a_packer_that_fails_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    layers = write_layers(EVERYTHING, tmp_path)
    with pytest.raises(WeftError):
        await write_root(layers, tmp_path / "missing" / "root")


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def test_whoever_is_cancelled_leaves_no_file_and_no_process(tmp_path: Path) -> None:
    layers = write_layers([[member("a", os.urandom(8 << 20))]] * 4, tmp_path)
    before = open_files()
    for stage in ("unpacking layers", "writing the root"):
        reached = asyncio.Event()

        def tell(text: str, fraction: float | None, stage: str = stage, reached: asyncio.Event = reached) -> None:
            if text == stage:
                reached.set()

        task = asyncio.ensure_future(write_root(layers, tmp_path / "root", progress=tell))
        await asyncio.wait_for(reached.wait(), 60)
        task.cancel()
        await asyncio.wait([task])
        assert {path.name for path in tmp_path.iterdir()} == {path.name for path in layers}
    assert open_files() <= before
