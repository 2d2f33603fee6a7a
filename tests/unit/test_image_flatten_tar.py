"""Reading and writing tars, against Python's tarfile."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.image.flatten.fields import ReadAt, parse_number
from weft.image.flatten.members import Kind, Member, show
from weft.image.flatten.merge import Inode
from weft.image.flatten.pax import parse_pax
from weft.image.flatten.tarread import read_members
from weft.image.flatten.tarwrite import END, dump_header, dump_link, dump_padding
from weft.model.errors import Invalid

TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.HARD_LINK: tarfile.LNKTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.CHARACTER: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
    Kind.FOLDER: tarfile.DIRTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}
FORMS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])

letters = st.text(st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1)
names = st.lists(st.one_of(letters, st.just("n" * 90), st.just("\udcff")), min_size=1, max_size=4).map("/".join)
owners = st.one_of(st.integers(0, 70000), st.integers(0, (1 << 32) - 1))


@st.composite
def infos(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info, data = tarfile.TarInfo(draw(names)), b""
    kind = draw(st.sampled_from(list(Kind)))
    info.type = TYPES[kind]
    info.mode, info.uid, info.gid = draw(st.integers(0, 0o7777)), draw(owners), draw(owners)
    info.mtime = draw(st.integers(-(1 << 31), 1 << 36))
    if kind is Kind.FILE:
        data = draw(st.binary(max_size=1500))
    elif kind in (Kind.SYMLINK, Kind.HARD_LINK):
        info.linkname = draw(names)
    elif kind in (Kind.CHARACTER, Kind.BLOCK):
        info.devmajor, info.devminor = draw(st.integers(0, 4095)), draw(st.integers(0, (1 << 20) - 1))
    info.size = len(data)
    return info, data


def reader_of(data: bytes) -> ReadAt:
    return lambda offset, size: data[offset : offset + size]


def dump(members: list[tuple[tarfile.TarInfo, bytes]], form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member_of(info: tarfile.TarInfo, data: int) -> Member:
    """What tarfile says of a member, as `read_members` would."""
    kind = next(kind for kind, letter in TYPES.items() if letter == info.type)
    device = info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE)
    return Member(
        name=info.name.encode("utf-8", "surrogateescape"),
        kind=kind,
        mode=info.mode,
        uid=info.uid,
        gid=info.gid,
        mtime=int(info.mtime),
        size=info.size,
        target=info.linkname.encode("utf-8", "surrogateescape"),
        major=info.devmajor if device else 0,
        minor=info.devminor if device else 0,
        data=data,
    )


@given(st.lists(infos(), max_size=6), FORMS)
def test_members_are_what_tarfile_finds(written: list[tuple[tarfile.TarInfo, bytes]], form: int) -> None:
    data = dump(written, form)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="surrogateescape") as archive:
        expected = [member_of(info, info.offset_data) for info in archive]
    found = list(read_members(reader_of(data)))
    for member in expected:
        member.name = member.name  # tarfile takes slashes off the end of folders' names only
    assert [strip(member) for member in found] == [strip(member) for member in expected]


def strip(member: Member) -> Member:
    """Without the slash that folders' names end with in a tar, which tarfile takes off."""
    if member.kind is Kind.FOLDER:
        member.name = member.name.rstrip(b"/")
    return member


@given(infos(), st.dictionaries(st.sampled_from([b"user.a", b"security.capability"]), st.binary(), max_size=2))
def test_what_is_written_is_read_back(written: tuple[tarfile.TarInfo, bytes], xattrs: dict[bytes, bytes]) -> None:
    info, data = written
    before = member_of(info, 0)
    inode = Inode(
        kind=before.kind,
        mode=before.mode,
        uid=before.uid,
        gid=before.gid,
        mtime=min(max(before.mtime, 0), (1 << 32) - 1),
        size=before.size,
        target=before.target,
        major=before.major,
        minor=before.minor,
        xattrs=xattrs or None,
    )
    head = dump_header(before.name, inode)
    archive = head + data + dump_padding(len(data)) + dump_link(b"again", before.name) + END
    found, link = read_members(reader_of(archive))
    assert (link.kind, link.name, link.target) == (Kind.HARD_LINK, b"again", before.name)
    before.mtime, before.data, before.xattrs = inode.mtime, len(head), inode.xattrs
    assert found == before
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", errors="surrogateescape") as opened:
        assert [info.name for info in opened][-1] == "again"


@given(st.binary(min_size=512, max_size=2048))
def test_nonsense_is_refused_and_nothing_else_happens(data: bytes) -> None:
    if data[:512] != bytes(512):
        with pytest.raises(Invalid):
            list(read_members(reader_of(data)))


@given(st.lists(infos(), min_size=1, max_size=3), FORMS, st.data())
def test_a_damaged_tar_is_refused_or_read(
    written: list[tuple[tarfile.TarInfo, bytes]], form: int, draws: st.DataObject
) -> None:
    data = bytearray(dump(written, form))
    for _ in range(draws.draw(st.integers(1, 4))):
        data[draws.draw(st.integers(0, min(len(data), 4096) - 1))] = draws.draw(st.integers(0, 255))
    try:
        list(read_members(reader_of(bytes(data))))
    except Invalid as err:
        assert "\n" not in err.message


def test_a_tar_that_ends_too_early_is_refused() -> None:
    info = tarfile.TarInfo("file")
    info.size = 2000
    data = dump([(info, b"x" * 2000)], tarfile.GNU_FORMAT)
    for length in (100, 600, 2000):
        with pytest.raises(Invalid, match="ends in the middle"):
            list(read_members(reader_of(data[:length])))
    assert len(list(read_members(reader_of(data[: 512 + 2000])))) == 1


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"\x80\0\0\0\0\0\1\0", 256),
        (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
    ],
)
def test_numbers(field: bytes, number: int) -> None:
    assert parse_number(field) == number


@pytest.mark.parametrize("field", [b"0000_44\0", b"+0000644", b"0o644\0\0\0", b"888\0\0\0\0\0", b"-1\0\0\0\0\0\0"])
def test_numbers_that_are_none(field: bytes) -> None:
    with pytest.raises(Invalid):
        parse_number(field)


@pytest.mark.parametrize(
    "content",
    [
        b"5 a=b",
        b"99 path=x\n",
        b"0 path=x\n",
        b"-8 path=x\n",
        b"x path=x\n",
        b"8 path\nx\n",
        b"6 =x\n\n\n",
        b"12 path=x\0yz\n",
        b"11 uid=1_0\n",
        b"24 SCHILY.xattr.\0=xxxxx\n",
    ],
)
def test_extended_headers_that_are_malformed(content: bytes) -> None:
    with pytest.raises(Invalid):
        parse_pax(content)


def test_times_lose_their_fractions_and_empty_records_say_nothing() -> None:
    pax = parse_pax(b"20 mtime=1234.56789\n8 path=\n8 size=\n6 a=b\n")
    assert (pax.numbers, pax.name) == ({b"mtime": 1234}, b"")


def test_a_global_header_counts_for_nothing() -> None:
    info = tarfile.TarInfo("file")
    data = dump([(info, b"")], tarfile.USTAR_FORMAT)
    record = b"12 path=bad\n"
    head = dump_header(b"pax_global_header", Inode(Kind.FILE, size=len(record)))
    head = head[:156] + b"g" + head[157:]
    total = sum(head) - sum(head[148:156]) + 256
    head = head[:148] + b"%06o\0 " % total + head[156:]
    found = list(read_members(reader_of(head + record + dump_padding(len(record)) + data)))
    assert [member.name for member in found] == [b"file"]


def test_names_for_people_have_no_bytes_that_move_the_cursor() -> None:
    assert show(b"a\x1b[2J\xff\xc3\xa4\n") == "a\\x1b[2J\\xffä\\n"
