"""Layers as they come: compressed or not, damaged, too large."""

import gzip
import io
import lzma
import tarfile
import zlib
from pathlib import Path

import pytest
import zstandard

from weft.image.flatten.decode import PIECE, read_gzip
from weft.image.flatten.layers import Layer, open_layers
from weft.image.flatten.limits import Budget, Limits, Stopped
from weft.image.flatten.mend import decode_lz4
from weft.model.errors import Invalid, NoRoom, NotFound, WeftError

CONTENT = b"some content\n" * 5000


def make_tar(names: tuple[str, ...] = ("a", "b")) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(CONTENT)
            archive.addfile(info, io.BytesIO(CONTENT))
    return buffer.getvalue()


TAR = make_tar()
FORMS = {
    "plain": TAR,
    "gzip": gzip.compress(TAR),
    "gzip in members": gzip.compress(TAR[:5000]) + gzip.compress(b"") + gzip.compress(TAR[5000:]),
    "gzip and zeros": gzip.compress(TAR) + bytes(3 * PIECE),
    "zstd": zstandard.compress(TAR),
    "xz": lzma.compress(TAR),
    "zstd in frames": zstandard.compress(TAR[:5000]) + zstandard.compress(TAR[5000:]),
    "zstd behind a frame to skip": b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstandard.compress(TAR),
}


def open_one(folder: Path, data: bytes, budget: Budget | None = None) -> Layer:
    path = folder / "layer"
    path.write_bytes(data)
    (layer,) = open_layers([path], folder, budget or Budget())
    return layer


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_layer_is_told_by_its_first_bytes(form: str, tmp_path: Path) -> None:
    layer = open_one(tmp_path, FORMS[form])
    assert [member.name for member in layer.members] == [b"a", b"b"]
    assert layer.read(layer.members[1].data, len(CONTENT)) == CONTENT
    layer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["layer"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (FORMS["gzip"][:-9], "ends too early"),
        (FORMS["gzip"][:50] + b"\0\0\0\0" + FORMS["gzip"][54:], "damaged"),
        (FORMS["gzip"] + b"junk", "damaged"),
        (FORMS["zstd"][:40] + b"\0\0\0\0\0\0" + FORMS["zstd"][46:], "damaged|header|ends"),
        (b"BZh91AY", "compressed with bzip2"),
        (FORMS["xz"][:-20], "ends too early"),
        (FORMS["xz"][:50] + b"\0\0\0\0" + FORMS["xz"][54:], "damaged"),
        (b"hello, world" * 100, "not a header"),
    ],
)
def test_damaged_and_unknown_layers_are_refused_by_name(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        open_one(tmp_path, data)
    assert "layer" in caught.value.message


def test_an_empty_layer_has_nothing(tmp_path: Path) -> None:
    assert open_one(tmp_path, b"").members == []


def test_a_layer_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot read layer"):
        open_layers([tmp_path / "missing"], tmp_path, Budget())


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_bomb_stops_at_the_limit(compress, tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match="more than 1048576 bytes of unpacked layers"):
        open_one(tmp_path, compress(bytes(300 << 20)), Budget(Limits(unpacked=1 << 20)))


def test_pieces_stay_small_whatever_is_in_the_file() -> None:
    assert max(map(len, read_gzip(io.BytesIO(gzip.compress(bytes(50 << 20)))))) <= PIECE


def test_one_bad_layer_stops_the_others_and_is_the_one_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(FORMS["gzip"])
    bad.write_bytes(b"x" * 600)
    with pytest.raises(WeftError, match="layer bad"):
        open_layers([good, good, bad, good, good], tmp_path, Budget())


def test_a_stopped_budget_ends_the_work(tmp_path: Path) -> None:
    budget = Budget()
    budget.stop()
    with pytest.raises(Stopped):
        open_one(tmp_path, FORMS["gzip"], budget)


def test_deflate_without_end_is_damage(tmp_path: Path) -> None:
    raw = zlib.compressobj(wbits=31)
    with pytest.raises(Invalid, match="ends too early"):
        open_one(tmp_path, raw.compress(TAR) + raw.flush(zlib.Z_FULL_FLUSH))


@pytest.mark.parametrize(
    ("block", "data"),
    [
        (b"\x40abcd", b"abcd"),
        (b"\xf0\x05" + b"x" * 20, b"x" * 20),
        (b"\xf0\xff\x01" + b"y" * 271, b"y" * 271),
        (b"\x11a\x01\0\x50bcdef", b"a" * 6 + b"bcdef"),
        (b"\x2fab\x02\0\x03\x10z", b"ab" * 12 + b"z"),
    ],
)
def test_lz4(block: bytes, data: bytes) -> None:
    assert decode_lz4(block) == data
