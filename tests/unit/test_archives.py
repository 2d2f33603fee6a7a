"""Files to a tar and back: whole, with holes and links; and tars that nobody should believe."""

import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from weft.client.tarring import pack_tree
from weft.client.unpacking import Unpacker
from weft.model.errors import Invalid, NotFound, Unavailable, WrongState

MB = 1 << 20


def pack(path: Path, name: str = "it", *, follow: bool = False) -> bytes:
    return b"".join(pack_tree(path, name, follow=follow))


def unpack(data: bytes, folder: Path, name: str | None = "it", *, owners: bool = False) -> Unpacker:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpacker = Unpacker(fd, name, owners=owners)
        unpacker.unpack(io.BytesIO(data))
        return unpacker
    finally:
        os.close(fd)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with what folders have."""
    root = tmp_path / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir(mode=0o500)
    (root / "deep" / ("long" * 50)).write_bytes(os.urandom(700_000))
    (root / "script").write_text("#!/bin/sh\n")
    (root / "script").chmod(0o751)
    os.utime(root / "script", (1e9, 1e9))
    os.link(root / "script", root / "deep" / "same")
    (root / "link").symlink_to("/nowhere/at/all")
    (root / "name with ünïcode\n and a line").touch()
    (root / os.fsdecode(b"bad-\xff-name")).touch()
    (root / "deep").chmod(0o2750)
    return root


def describe(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that must survive, by name."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        mtime = int(info.st_mtime) if stat.S_ISREG(info.st_mode) else 0
        found[str(path.relative_to(root))] = (info.st_mode & ~0o6000, content, mtime)
    return found


def test_a_tree_comes_back_as_it_was(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    unpacker = unpack(pack(tree), tmp_path / "out", "copy")
    copy = tmp_path / "out" / "copy"
    assert describe(copy) == describe(tree)
    assert (copy / "script").samefile(copy / "deep" / "same")
    assert unpacker.passed_over == [] and unpacker.made == len(describe(tree)) + 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["copy"]


def test_contents_go_into_a_folder_that_is_there(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o711)
    (out / "script").write_text("old")
    (out / "deep").mkdir()
    (out / "other").write_text("stays")
    unpack(pack(tree, "."), out, None)
    assert describe(out) == describe(tree) | {"other": describe(out)["other"], "deep": describe(out)["deep"]}
    assert stat.S_IMODE(out.stat().st_mode) == 0o711


def test_tar_reads_what_is_packed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", tmp_path / "out"], input=pack(tree), check=True)
    assert describe(tmp_path / "out" / "it") == describe(tree)


@pytest.mark.parametrize(
    "extents",
    [[], [(0, 4096)], [(MB, 100_000)], [(0, 5), (8 * MB, 70_000), (64 * MB - 4096, 4096)]],
    ids=["empty", "front", "middle", "several"],
)
def test_holes_stay_holes(tmp_path: Path, extents: list[tuple[int, int]]) -> None:
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        file.truncate(64 * MB)
        for at, length in extents:
            os.pwrite(file.fileno(), os.urandom(length), at)
    data = pack(source)
    assert len(data) < MB
    for name, read in (("ours", lambda: unpack(data, tmp_path, "ours")), ("it", lambda: run_tar(data, tmp_path))):
        read()
        assert (tmp_path / name).read_bytes() == source.read_bytes()
        assert (tmp_path / name).stat().st_blocks * 512 < MB


def run_tar(data: bytes, folder: Path) -> None:
    subprocess.run(["tar", "-xf", "-", "-C", folder], input=data, check=True)


def test_zeros_become_holes(tmp_path: Path) -> None:
    content = b"a" * 5000 + bytes(3 * MB) + b"b" + bytes(MB) + b"c" * 10 + bytes(9)
    (tmp_path / "dense").write_bytes(content)
    unpack(pack(tmp_path / "dense"), tmp_path)
    assert (tmp_path / "it").read_bytes() == content
    assert (tmp_path / "it").stat().st_blocks * 512 < 64 << 10


def test_a_link_itself_or_what_it_leads_to(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tree / "script")
    unpack(pack(tmp_path / "alias"), tmp_path, "one")
    unpack(pack(tmp_path / "alias", follow=True), tmp_path, "two")
    assert (tmp_path / "one").readlink() == tree / "script"
    assert not (tmp_path / "two").is_symlink() and (tmp_path / "two").read_text() == "#!/bin/sh\n"


def test_what_cannot_be_packed_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="absent cannot be read: No such file"):
        pack(tmp_path / "absent")


@pytest.mark.skipif(os.geteuid() != 0, reason="owners are root's to give")
def test_owners(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 1234, 5678)
    data = b"".join(pack_tree(tmp_path / "file", "it", owners=True))
    unpack(data, tmp_path, "kept", owners=True)
    unpack(data, tmp_path, "ours")
    unpack(pack(tmp_path / "file"), tmp_path, "roots", owners=True)
    owners = {name: (tmp_path / name).stat().st_uid for name in ("kept", "ours", "roots")}
    assert owners == {"kept": 1234, "ours": 0, "roots": 0}


# What a machine may send


def make_tar(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o777
    return info


FOLDER = entry("it", tarfile.DIRTYPE)
HOSTILE: list[tuple[str, Callable[[Path], bytes]]] = [
    ("dot dot", lambda out: make_tar(FOLDER, ("it/../../evil", b"x"))),
    ("dot dot first", lambda out: make_tar(("../evil", b"x"))),
    ("absolute", lambda out: make_tar((f"{out}/evil", b"x"))),
    ("through a link", lambda out: make_tar(FOLDER, entry("it/a", tarfile.SYMTYPE, str(out)), ("it/a/evil", b"x"))),
    ("through dots", lambda out: make_tar(FOLDER, entry("it/a", tarfile.SYMTYPE, "../.."), ("it/a/evil", b"x"))),
    ("a link first", lambda out: make_tar(entry("it", tarfile.SYMTYPE, str(out)), ("it/evil", b"x"))),
    ("hard link out", lambda out: make_tar(FOLDER, entry("it/evil", tarfile.LNKTYPE, "../../secret"))),
    ("hard link absolute", lambda out: make_tar(FOLDER, entry("it/evil", tarfile.LNKTYPE, f"{out}/secret"))),
    (
        "hard link through a link",
        lambda out: make_tar(
            FOLDER, entry("it/a", tarfile.SYMTYPE, str(out)), entry("it/evil", tarfile.LNKTYPE, "it/a/secret")
        ),
    ),
    ("folder over a link", lambda out: make_tar(FOLDER, entry("it/a", tarfile.SYMTYPE, str(out)), make_folder("it/a"))),
    ("huge header", lambda out: make_huge_header()),
    ("no tar", lambda out: b"x" * 4096),
    ("cut", lambda out: make_tar(("it", bytes(4096)))[:2000]),
]


def make_folder(name: str) -> tarfile.TarInfo:
    return entry(name, tarfile.DIRTYPE)


def make_huge_header() -> bytes:
    info = entry("it", tarfile.XHDTYPE)
    info.size = 1 << 40
    return info.tobuf(tarfile.USTAR_FORMAT if info.size < 1 << 33 else tarfile.GNU_FORMAT) + bytes(MB)


@pytest.mark.parametrize(("what", "make"), HOSTILE, ids=[what for what, _ in HOSTILE])
def test_nothing_leaves_its_place(tmp_path: Path, what: str, make: Callable[[Path], bytes]) -> None:
    outside, place = tmp_path / "outside", tmp_path / "place"
    (place / "inner").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("secret")
    with pytest.raises((Invalid, WrongState, Unavailable)):
        unpack(make(outside), place / "inner")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").stat().st_nlink == 1
    assert [path.name for path in place.iterdir()] == ["inner"]
    assert not list(place.rglob(".weft-*")), "half a file is left"
    assert not (place / "inner" / "it" / "evil").exists()


def test_a_link_that_was_there_is_not_followed_either(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "it").symlink_to(tmp_path)
    with pytest.raises(WrongState, match="it is no folder here"):
        unpack(make_tar(("it/evil", b"x")), tmp_path / "place")
    unpack(make_tar(("it", b"new")), tmp_path / "place")
    assert (tmp_path / "place" / "it").read_text() == "new"


def test_devices_and_pipes_are_passed_over_and_set_user_id_is_not_taken_over(tmp_path: Path) -> None:
    setuid = entry("it/tool", tarfile.REGTYPE)
    setuid.mode = 0o6755
    members = (FOLDER, entry("it/pipe", tarfile.FIFOTYPE), entry("it/disk", tarfile.BLKTYPE), setuid)
    assert unpack(make_tar(*members), tmp_path).passed_over == ["it/pipe", "it/disk"]
    assert [path.name for path in (tmp_path / "it").iterdir()] == ["tool"]
    assert stat.S_IMODE((tmp_path / "it" / "tool").stat().st_mode) == 0o755


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    with pytest.raises(WrongState, match="it is there and a folder"):
        unpack(make_tar(("it", b"x")), tmp_path)
    shutil.rmtree(tmp_path / "it")
    (tmp_path / "it").touch()
    with pytest.raises(WrongState, match="it is there and no folder"):
        unpack(make_tar(FOLDER), tmp_path)
