"""A tar with another name at its root: what goes from one machine to another, without ever being files here."""

import tarfile
from collections.abc import Iterator
from typing import IO

from weft.client.tarring import dump_header, dump_sparse_header, pad
from weft.client.unpacking import Source, next_member, open_archive
from weft.model.errors import Invalid

_PIECE = 1 << 18
_OURS = ("path", "linkpath", "size", "mtime", "uid", "gid", "GNU.sparse")
"""Beginnings of attributes that are written anew."""


def rename_tree(source: Source, name: str, *, owners: bool) -> Iterator[bytes]:
    """The same archive with `name` in place of the first part of each name; `.` leaves the root itself out.

    Everything belongs to root in it unless `owners`. Raises Invalid.
    """
    try:
        with open_archive(source) as archive:
            while (member := next_member(archive)) is not None:
                yield from _rename(archive, member, name, owners)
    except (tarfile.TarError, UnicodeError, ValueError, OverflowError) as err:
        raise Invalid(f"what came is no tar archive: {err}") from err
    yield bytes(2 * tarfile.BLOCKSIZE)


def _rename(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, owners: bool) -> Iterator[bytes]:
    data, size = archive.extractfile(member) if member.isreg() else None, member.size
    sparse: list[tuple[int, int]] | None = getattr(member, "sparse", None)
    member.name = _swap(member.name, name)
    if member.name == ".":
        return
    if member.islnk():
        member.linkname = _swap(member.linkname, name)
    if not owners:
        member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.pax_headers = {key: value for key, value in member.pax_headers.items() if not key.startswith(_OURS)}
    if data is None:
        member.size = 0
        yield dump_header(member)
    elif sparse is None:
        yield dump_header(member)
        yield from _copy(data, [(0, size)])
    else:
        extents = [(at, length) for at, length in sparse if length]
        member.type = tarfile.REGTYPE
        yield dump_sparse_header(member, extents, size)
        yield from _copy(data, extents)


def _swap(path: str, name: str) -> str:
    _, slash, rest = path.partition("/")
    return f"{name}{slash}{rest}".rstrip("/")


def _copy(data: IO[bytes], extents: list[tuple[int, int]]) -> Iterator[bytes]:
    """What is in the extents; what is between them is read and dropped, since a stream cannot be wound on."""
    at, total = 0, 0
    for start, length in extents:
        for piece in _read(data, start - at):
            del piece
        yield from _read(data, length)
        at, total = start + length, total + length
    yield pad(total)


def _read(data: IO[bytes], length: int) -> Iterator[bytes]:
    while length > 0:
        piece = data.read(min(_PIECE, length))
        if not piece:
            raise Invalid("the archive ends in the middle of a file")
        length -= len(piece)
        yield piece
