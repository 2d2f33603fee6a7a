"""Layers to one tree, compared with what umoci makes of them; and the squashfs, as the kernel shows it."""

import os
import shutil
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.host.umoci import Seen, dump_layer, look, unpack, write_layout

from weft.image.flatten.fields import ReadAt
from weft.image.flatten.members import Kind
from weft.image.flatten.merge import Inode, Merger
from weft.image.flatten.tarread import read_members
from weft.model.errors import Invalid

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(os.geteuid() != 0, reason="umoci keeps owners and devices only as root"),
    pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed"),
]

LETTERS = {
    Kind.FILE: "-",
    Kind.SYMLINK: "l",
    Kind.CHARACTER: "c",
    Kind.BLOCK: "b",
    Kind.FOLDER: "d",
    Kind.FIFO: "p",
}
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


@settings(max_examples=int(os.environ.get("EXAMPLES", "150")), deadline=None)
@given(stacks)
def test_any_stack_of_layers_makes_the_tree_that_umoci_makes(stack):
    layers = [dump_layer(layer) for layer in stack]
    for layer in stack:
        note("--- " + "; ".join(f"{i.type!r} {i.name} -> {i.linkname}" for i, _ in layer))
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
    assert undated(ours, theirs) == undated(theirs, theirs)


def undated(tree: dict[str, Seen], theirs: dict[str, Seen]) -> dict[str, Seen]:
    """A tree without the times that umoci lets come about: of folders that it makes because no member describes them,
    and of those in which it makes them."""
    fresh = {name for name, seen in theirs.items() if seen.kind == "d" and abs(seen.mtime - time.time()) < 3600}
    return {name: replace(seen, mtime=0) if name in fresh else seen for name, seen in tree.items()}
