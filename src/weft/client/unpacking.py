"""From a tar that nobody vouches for to files of this host, all of them inside one folder.

What a machine sends is not believed. Every folder on the way is opened by its name alone, without following links, so
nothing can be written outside, whatever names and links the archive has; a file takes its final name when it is whole,
and an existing one is replaced and never written to. Links are made as they are: where one points to is data.
"""

import os
import secrets
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Protocol

from weft.model.errors import Invalid, Unavailable, WrongState

_PIECE = 1 << 18
_BLOCK = 1 << 12
_LARGEST_HEADER = 1 << 20
"""Bytes of names and attributes of one file; whoever sends more means to fill our memory."""
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ZEROS = bytes(_PIECE)


class Source(Protocol):
    """Where the tar comes from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class _Member(tarfile.TarInfo):
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """tarfile's hook for each header: those of names and attributes are read into memory whole."""
        if self.type in _HEADERS and self.size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


def open_archive(source: Source) -> tarfile.TarFile:
    """Reads a tar from end to end. Raises TarError and ValueError for what is none, as reading it does."""
    return tarfile.open(fileobj=source, mode="r|", tarinfo=_Member)  # type: ignore[call-overload, no-any-return]


def next_member(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next one, or None at the end; tarfile would keep them all."""
    archive.members.clear()  # type: ignore[attr-defined]
    return archive.next()


class Unpacker:
    """Unpacks into the folder open as `root`. The first part of each name in the archive becomes `name`; None: goes.

    `owners`: files are given the archive's owners, which takes root; else they are ours. Set-user-id bits are never
    taken over. `passed_over` has the names of what is not made here: devices, pipes.
    """

    def __init__(
        self, root: int, name: str | None, *, owners: bool = False, count: Callable[[int], None] = lambda _size: None
    ) -> None:
        self._root = root
        self._name = name
        self._owners = owners
        self._count = count
        self._folders: list[tuple[list[str], tarfile.TarInfo]] = []
        self.passed_over: list[str] = []
        self.made = 0

    def unpack(self, source: Source) -> None:
        """All of it. Raises Invalid: no tar, or one with names that lead out; WrongState: something is in the way."""
        try:
            with open_archive(source) as archive:
                while (member := next_member(archive)) is not None:
                    self._take(archive, member)
        except (tarfile.TarError, UnicodeError, ValueError, OverflowError) as err:
            raise Invalid(f"what came is no tar archive: {err}") from err
        except OSError as err:
            raise Unavailable(f"{err.filename or 'a file'} cannot be written: {err.strerror or err}") from err
        finally:
            self._finish_folders()

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = self._place(member.name)
        if not parts:
            return  # the folder itself, which is there
        with self._open_folder(parts[:-1]) as folder:
            if member.isdir():
                self._make_folder(folder, parts, member)
            elif member.isreg():
                self._make_file(folder, parts, member, archive.extractfile(member))
            elif member.issym():
                self._put(folder, parts, lambda name: os.symlink(member.linkname, name, dir_fd=folder))
                self._own(folder, parts[-1], member)
            elif member.islnk():
                self._make_link(folder, parts, self._place(member.linkname))
            else:
                self.passed_over.append("/".join(parts))
                return
        self.made += 1

    def _place(self, name: str) -> list[str]:
        """Where a name of the archive is, from the root on."""
        parts = name.split("/")
        if parts[0] == "":
            raise Invalid(f"the archive has {name!r}, which leads out of it")
        rest = [part for part in parts[1:] if part not in ("", ".")]
        if ".." in parts or "\0" in name:
            raise Invalid(f"the archive has {name!r}, which leads out of it")
        return rest if self._name is None else [self._name, *rest]

    @contextmanager
    def _open_folder(self, parts: list[str]) -> Iterator[int]:
        fd = os.dup(self._root)
        try:
            for part in parts:
                fd = _descend(fd, part, parts)
            yield fd
        finally:
            os.close(fd)

    def _make_folder(self, folder: int, parts: list[str], member: tarfile.TarInfo) -> None:
        try:
            os.mkdir(parts[-1], 0o700, dir_fd=folder)
        except FileExistsError as err:
            if not stat.S_ISDIR(_mode_of(folder, parts[-1])):
                raise WrongState(f"{'/'.join(parts)} is there and no folder") from err
        else:
            self._folders.append((parts, member))

    def _make_file(self, folder: int, parts: list[str], member: tarfile.TarInfo, data: IO[bytes] | None) -> None:
        def make(name: str) -> None:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
            try:
                if data is not None:
                    self._copy(data, fd)
                os.ftruncate(fd, member.size)
                if self._owners:
                    os.fchown(fd, member.uid, member.gid)
                os.fchmod(fd, member.mode & 0o777)
                os.utime(fd, (member.mtime, member.mtime))
            finally:
                os.close(fd)

        self._put(folder, parts, make)

    def _copy(self, data: IO[bytes], fd: int) -> None:
        """Zeros become holes, in whole blocks."""
        at = 0
        while piece := data.read(_PIECE):
            if piece != _ZEROS[: len(piece)]:
                _write_blocks(fd, piece, at)
            at += len(piece)
            self._count(len(piece))

    def _make_link(self, folder: int, parts: list[str], target: list[str]) -> None:
        if not target:
            raise Invalid("the archive has a link to its own root")
        with self._open_folder(target[:-1]) as other:
            self._put(
                folder,
                parts,
                lambda name: os.link(target[-1], name, src_dir_fd=other, dst_dir_fd=folder, follow_symlinks=False),
            )

    def _put(self, folder: int, parts: list[str], make: Callable[[str], None]) -> None:
        """Make something beside its place, whole, and then put it there."""
        temporary = f".weft-{secrets.token_hex(6)}"
        try:
            make(temporary)
            os.rename(temporary, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
        except IsADirectoryError as err:
            raise WrongState(f"{'/'.join(parts)} is there and a folder") from err
        finally:
            # Also after the rename: of two links to one file rename(2) removes neither.
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)

    def _own(self, folder: int, name: str, member: tarfile.TarInfo) -> None:
        if self._owners:
            os.chown(name, member.uid, member.gid, dir_fd=folder, follow_symlinks=False)

    def _finish_folders(self) -> None:
        """Modes and times of the folders that were made: only now, since what is put into them changes these."""
        while self._folders:
            parts, member = self._folders.pop()
            with suppress(OSError, WrongState), self._open_folder(parts) as fd:
                if self._owners:
                    os.fchown(fd, member.uid, member.gid)
                os.fchmod(fd, member.mode & 0o777)
                os.utime(fd, (member.mtime, member.mtime))


def _descend(fd: int, part: str, parts: list[str]) -> int:
    """The folder `part` of the one that is open, which is closed if that worked."""
    try:
        inner = os.open(part, _FOLDER, dir_fd=fd)
    except OSError as err:
        raise WrongState(f"{'/'.join(parts)}: {part} is no folder here ({err.strerror})") from err
    os.close(fd)
    return inner


def _mode_of(folder: int, name: str) -> int:
    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode


def _write_blocks(fd: int, piece: bytes, at: int) -> None:
    """A piece at its place, in runs between blocks of zeros."""
    start = 0
    for block in range(0, len(piece), _BLOCK):
        end = min(block + _BLOCK, len(piece))
        if piece[block:end] == _ZEROS[: end - block]:
            _write(fd, piece[start:block], at + start)
            start = end
    _write(fd, piece[start:], at + start)


def _write(fd: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(fd, data, at)
        data, at = data[written:], at + written
