"""Tar archives of files with holes, as GNU tar writes them (its format 1.0): what is a hole takes no room in them."""

import asyncio
import os
import tarfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import IO

from weft.host.blocks import find_data
from weft.host.sealed import opened
from weft.model.errors import Invalid

BLOCK = 512
PIECE = 1 << 20
MAX_MEMBERS = 64
Extents = list[tuple[int, int]]
"""Offset and length of what is not a hole."""


async def write_tar(files: Sequence[tuple[str, Path]]) -> AsyncIterator[bytes]:
    """An archive of these files under these names, a piece at a time."""
    for name, path in files:
        with opened(path) as fd:
            size = os.fstat(fd).st_size
            extents = [(begin, end - begin) for begin, end in find_data(fd, size)]
            yield _dump_header(name, size, extents)
            for begin, length in extents:
                async for piece in _read(fd, begin, begin + length):
                    yield piece
        yield bytes(-sum(length for _, length in extents) % BLOCK)
    yield bytes(2 * BLOCK)


def read_tar(archive: IO[bytes], folder: Path) -> str:
    """Unpack an archive whose members are files of one folder; that folder's name. Raises Invalid, OSError."""
    prefixes = set()
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            for number, member in enumerate(tar):
                prefix, slash, name = member.name.partition("/")
                if not (member.isreg() and slash and name) or "/" in name or name.startswith(".") or not prefix:
                    raise Invalid(f"the archive has {member.name!r} in it, which belongs to no snapshot")
                if number >= MAX_MEMBERS:
                    raise Invalid(f"the archive has more than {MAX_MEMBERS} files in it")
                prefixes.add(prefix)
                _unpack(tar, member, folder / name)
    except (tarfile.TarError, EOFError, ValueError) as err:
        raise Invalid(f"this is no archive of a snapshot: {err}") from err
    if len(prefixes) != 1:
        raise Invalid("the archive is not that of one snapshot")
    return prefixes.pop()


def _dump_header(name: str, size: int, extents: Extents) -> bytes:
    stored = sum(length for _, length in extents)
    if stored == size:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        return entry.tobuf(tarfile.PAX_FORMAT)
    numbers = [len(extents), *(number for extent in extents for number in extent)]
    table = "".join(f"{number}\n" for number in numbers).encode()
    table += bytes(-len(table) % BLOCK)
    folder, _, base = name.rpartition("/")
    entry = tarfile.TarInfo(f"{folder}/GNUSparseFile.0/{base}")
    entry.size, entry.mode = len(table) + stored, 0o600
    keys = {"major": "1", "minor": "0", "name": name, "realsize": str(size)}
    entry.pax_headers = {f"GNU.sparse.{key}": value for key, value in keys.items()}
    return entry.tobuf(tarfile.PAX_FORMAT) + table


async def _read(fd: int, begin: int, end: int) -> AsyncIterator[bytes]:
    while begin < end:
        piece = await asyncio.to_thread(os.pread, fd, min(PIECE, end - begin), begin)
        if not piece:
            raise EOFError("a file has become shorter while it was read")
        begin += len(piece)
        yield piece


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None, "a regular file has content"
    with source, opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
        os.truncate(fd, member.size)
        for begin, length in _extents(member):
            source.seek(begin)
            at, end = begin, begin + length
            while at < end:
                piece = source.read(min(PIECE, end - at))
                if not piece:
                    raise Invalid("the archive ends before its end")
                at += os.pwrite(fd, piece, at)


def _extents(member: tarfile.TarInfo) -> Iterator[tuple[int, int]]:
    extents: Extents | None = getattr(member, "sparse", None)
    yield from [(0, member.size)] if extents is None else extents
