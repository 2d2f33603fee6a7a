"""Plan 9 roots: what of a tar has a place in one, and what a pack of it gives back."""

import gzip
import io
import lzma
import os
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from tests.unit.test_image_flatten_merge import file, folder, link, merge, symlink
from tests.unit.test_ninep_pack import read_all

from weft.image.flatten.limits import Budget, Limits
from weft.image.flatten.members import Kind, Member
from weft.image.oci.blobs import BlobStore
from weft.image.plan9.importing import ReceivedTar, receive_root, take_in_root
from weft.image.plan9.root import write_pack
from weft.image.plan9.tree import LOOSE, NAMELESS, SPECIAL, RootPlan
from weft.image.progress import ignore_progress
from weft.image.store import ImageStore
from weft.model.errors import Invalid, NoRoom, WeftError
from weft.model.image import ImageKind, ImageManifest
from weft.ninep.pack import ROOT, Pack
from weft.ninep.packing import Planned


def plan(*members: Member, most: int = 100) -> tuple[list[str], RootPlan]:
    roots = RootPlan(merge(list(members)).items(), Budget(Limits(members=most)))
    return sorted(list_planned(roots.plan())), roots


def list_planned(planned: Planned, path: str = "") -> Iterator[str]:
    for child in planned.children:
        yield path + child.name
        yield from list_planned(child, f"{path}{child.name}/")


@contextmanager
def opened(path: Path) -> Iterator[Pack]:
    fd = os.open(path, os.O_RDONLY)
    pack = Pack(fd)
    yield pack
    pack.close()
    os.close(fd)


def make_root() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data, user in (("./386/bin/rc", b"#!" * 50000, "sys"), ("lib/namespace", b"mount", "glenda")):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime, info.uname, info.gname, info.uid = len(data), 0o775, 77, user, "", 1
            tar.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("rc")
        info.type, info.linkname = tarfile.SYMTYPE, "/386/bin/rc"
        tar.addfile(info)
    return buffer.getvalue()


def test_links_become_what_they_lead_to() -> None:
    names, roots = plan(
        file(b"bin/rc"),
        symlink(b"rc", b"bin/rc"),
        link(b"hard", b"bin/rc"),
        symlink(b"386", b"/bin"),
        symlink(b"lib/up", b"../../386/rc"),
    )
    assert names == ["386", "386/rc", "bin", "bin/rc", "hard", "lib", "lib/up", "rc"]
    assert not roots.left_out


def test_what_has_no_place_is_left_out_and_counted() -> None:
    names, roots = plan(
        symlink(b"nowhere", b"gone"),
        symlink(b"a", b"b"),
        symlink(b"b", b"a"),
        symlink(b"deep/loop", b"../deep"),
        symlink(b"deep/er/root", b"/"),
        Member(b"dev/null", Kind.CHARACTER),
        Member(b"pipe", Kind.FIFO),
        file(b"bad\xff"),
        file(b"line\nfeed"),
    )
    assert names == ["deep", "deep/er", "dev"]
    assert roots.left_out == {LOOSE: 5, SPECIAL: 2, NAMELESS: 2}


def test_folders_that_multiply_have_an_end() -> None:
    members = [file(b"0/a"), file(b"0/b")]
    for level in range(1, 9):
        members += [symlink(b"%d/%d" % (level, way), b"../%d" % (level - 1)) for way in range(8)]
    with pytest.raises(NoRoom, match="more than 100 files"):
        plan(*members)


def test_owners_are_names_where_the_tar_has_them() -> None:
    named = Member(b"a", Kind.FILE, uid=7, gid=8, user=b"glenda", group=b"\xff")
    roots = RootPlan(merge([named, folder(b"d")]).items(), Budget())
    first, second = roots.plan().children
    assert [(first.uid, first.gid), (second.uid, second.gid)] == [("glenda", "8"), ("0", "0")]


@pytest.mark.parametrize("form", [bytes, gzip.compress, lzma.compress, zstandard.compress])
async def test_a_tar_in_every_form(tmp_path: Path, form: object) -> None:
    (tmp_path / "tar").write_bytes(form(make_root()))  # type: ignore[operator]
    await write_pack([tmp_path / "tar"], tmp_path / "root.p9")
    with opened(tmp_path / "root.p9") as pack:
        found = dict(read_all(pack, pack.entry(ROOT)))
        assert found == {
            "386": None, "386/bin": None, "386/bin/rc": b"#!" * 50000, "lib": None, "lib/namespace": b"mount",
            "rc": b"#!" * 50000,
        }  # fmt: skip
        rc = pack.find(pack.entry(ROOT), "rc")
        assert rc is not None
        assert (rc.uid, rc.gid, rc.mode, rc.mtime) == ("sys", "0", 0o775, 77)
    assert (tmp_path / "root.p9").stat().st_size < 150_000  # what two names stand for is there once


class Shop:
    """A store of its own."""

    def __init__(self, home: Path) -> None:
        self.blobs, self.images = BlobStore(home), ImageStore(home)

    async def take(self, data: bytes, name: str | None) -> ImageManifest:
        received = await receive_root(self.blobs, cut(data))
        assert isinstance(received, ReceivedTar)
        (image,) = (await take_in_root(received, name, self.images, ignore_progress)).images
        return image

    @property
    def leftovers(self) -> list[Path]:
        return [*self.blobs.folder.glob("draft/*"), *self.images.folder.glob(".draft-*")]


async def cut(data: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), 30_000):
        yield data[begin : begin + 30_000]


async def test_a_plain_tar_is_an_image(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    image = await shop.take(make_root(), "root")
    assert (image.name, image.kind, image.root_type, image.memory) == ("root", ImageKind.PLAN9, "p9", 64 << 20)
    assert image.root_file.endswith(".p9")
    with opened(shop.images.root_path(image)) as pack:
        assert pack.count == 7
    assert shop.images.get("root") == image
    assert shop.leftovers == []


@pytest.mark.parametrize(
    ("data", "name", "what"),
    [
        (make_root(), None, "what its image is called"),
        (make_root()[:900], "root", "the tar ends in the middle"),
        (b"no tar" * 200, "root", "not a header"),
        (b"", "root", "there is no file in it"),
        (make_root(), "not/A/name", "not/A/name"),
    ],
)
async def test_what_is_no_root_leaves_nothing(tmp_path: Path, data: bytes, name: str | None, what: str) -> None:
    shop = Shop(tmp_path)
    with pytest.raises(WeftError, match=what):
        await shop.take(data, name)
    assert shop.leftovers == []
    assert shop.images.list() == []


async def test_an_empty_tar_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(bytes(1024))
    with pytest.raises(Invalid, match="no file"):
        await write_pack([tmp_path / "tar"], tmp_path / "root.p9")
