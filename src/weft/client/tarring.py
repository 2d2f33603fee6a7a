"""From files of this host to a tar, piece by piece: what `cp` sends. Holes are not sent.

Headers are POSIX.1-2001 (pax); a file with holes is GNU's sparse format 1.0, as in the manual of GNU tar, appendix D.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tarfile import BLKTYPE, BLOCKSIZE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, PAX_FORMAT, REGTYPE, SYMTYPE, TarInfo

from weft.model.errors import NotFound

_PIECE = 1 << 18
_TYPES = {stat.S_IFIFO: FIFOTYPE, stat.S_IFCHR: CHRTYPE, stat.S_IFBLK: BLKTYPE}
Extent = tuple[int, int]
"""Offset and length of data between holes."""
Count = Callable[[int], None]
"""Is told how many bytes went on."""


def pack_tree(path: Path, name: str, *, follow: bool = False, owners: bool = False) -> Iterator[bytes]:
    """A tar of a file, or of a folder and all in it, under another name.

    Everything belongs to root in it unless `owners`. `follow`: of a link at `path` itself, what it leads to. Sockets
    are left out. Under the name `.` the folder itself is left out: only what is in it is meant. Raises NotFound for
    what cannot be read.
    """
    links: dict[tuple[int, int], str] = {}
    for place, inside in _walk(path, name, follow):
        if inside == ".":
            continue
        try:
            yield from _pack_one(place, inside, links, owners=owners, follow=follow and place == path)
        except OSError as err:
            raise NotFound(f"{place} cannot be read: {err.strerror or err}") from err
    yield bytes(2 * BLOCKSIZE)


def _walk(path: Path, name: str, follow: bool) -> Iterator[tuple[Path, str]]:
    """Each file with its name in the archive; a folder before what is in it."""
    yield path, name
    if not path.is_dir() or (path.is_symlink() and not follow):
        return
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as err:
        raise NotFound(f"{path} cannot be read: {err.strerror}") from err
    for entry in entries:
        yield from _walk(Path(entry.path), f"{name}/{entry.name}", False)


def _pack_one(
    path: Path, name: str, links: dict[tuple[int, int], str], *, owners: bool, follow: bool
) -> Iterator[bytes]:
    found = path.stat() if follow else path.lstat()
    info = _describe(name, found, owners)
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFREG:
        first = links.setdefault((found.st_dev, found.st_ino), name)
        if first == name:
            yield from _pack_file(path, info, found)
            return
        info.type, info.linkname = LNKTYPE, first
    elif kind == stat.S_IFDIR:
        info.type = DIRTYPE
    elif kind == stat.S_IFLNK:
        info.type, info.linkname = SYMTYPE, str(path.readlink())
    elif kind in _TYPES:
        info.type = _TYPES[kind]
        info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    else:
        return
    yield dump_header(info)


def _describe(name: str, found: os.stat_result, owners: bool) -> TarInfo:
    info = TarInfo(name)
    info.type = REGTYPE
    info.mode = stat.S_IMODE(found.st_mode)
    info.mtime = found.st_mtime_ns // 10**9
    info.uid, info.gid = (found.st_uid, found.st_gid) if owners else (0, 0)
    return info


def dump_header(info: TarInfo) -> bytes:
    """With the extended header before it, where it takes one."""
    return info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape")


def _pack_file(path: Path, info: TarInfo, found: os.stat_result) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        extents = list(_find_data(file.fileno(), found.st_size)) if found.st_blocks * 512 < found.st_size else None
        if extents is None or extents == [(0, found.st_size)]:
            info.size = found.st_size
            yield dump_header(info)
            yield from _read(file.fileno(), [(0, found.st_size)])
            return
        yield dump_sparse_header(info, extents, found.st_size)
        yield from _read(file.fileno(), extents)


def dump_sparse_header(info: TarInfo, extents: list[Extent], size: int) -> bytes:
    """The headers of a file with holes, and the table of its data; the data follow, one extent behind the other."""
    table = _dump_extents(extents, size)
    info.pax_headers = {
        **info.pax_headers,
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": info.name,
        "GNU.sparse.realsize": str(size),
    }
    folder, _, base = info.name.rpartition("/")
    info.name = f"{folder or '.'}/GNUSparseFile.0/{base}"
    info.size = len(table) + sum(length for _, length in extents)
    return dump_header(info) + table


def _find_data(fd: int, size: int) -> Iterator[Extent]:
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole follows
            return
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield start, at - start


def _dump_extents(extents: list[Extent], size: int) -> bytes:
    """The table before the data: count, then offset and length of each, decimal lines; an empty one ends it."""
    numbers = [len(extents) + 1, *(number for extent in extents for number in extent), size, 0]
    text = "".join(f"{number}\n" for number in numbers).encode()
    return text + bytes(-len(text) % BLOCKSIZE)


def _read(fd: int, extents: list[Extent]) -> Iterator[bytes]:
    """Exactly so many bytes: a file that became shorter meanwhile ends in zeros."""
    total = 0
    for start, length in extents:
        end = start + length
        while start < end:
            piece = os.pread(fd, min(_PIECE, end - start), start) or bytes(min(_PIECE, end - start))
            start += len(piece)
            yield piece
        total += length
    yield pad(total)


def pad(size: int) -> bytes:
    """What is missing to whole blocks."""
    return bytes(-size % BLOCKSIZE)
