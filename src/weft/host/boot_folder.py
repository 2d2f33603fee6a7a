"""Folders of the host whose files are copied for machines to load: what is in one, without what lies outside of it.

Links within it are followed, since folders for network boot are full of them. What a link leads to is judged by the
file that is open then, whichever name led there.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from weft.model.errors import Invalid, NotFound, Unavailable
from weft.model.units import dump_size

MOST_FILES, MOST_BYTES, DEEPEST = 4096, 4 << 30, 16
"""Of one folder: so that nobody copies a whole host, or goes round in a circle of links, by mistake."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file by its name in the folder, open to be read until the next one is asked for."""

    name: str
    fd: int


def walk_folder(folder: Path, home: Path) -> Iterator[FoundFile]:
    """All files of a folder, which is not to have any of the fabric's own in `home`.

    Raises NotFound, Unavailable (no permission), Invalid for what is no folder, is too large or has anything but files
    and folders in it.
    """
    count = size = 0
    with _translated(folder), _opened(folder, None) as top:
        walls = _Walls(_place(top), home.resolve())
        for path, fd in _walk(top, folder, walls, DEEPEST):
            count, size = count + 1, size + os.fstat(fd).st_size
            if count > MOST_FILES or size > MOST_BYTES:
                raise Invalid(f"{folder} has more than {MOST_FILES} files or {dump_size(MOST_BYTES)} in it")
            yield FoundFile(str(path.relative_to(folder)), fd)


@dataclass(frozen=True, slots=True)
class _Walls:
    """Where files may be, and where not."""

    inside: Path
    home: Path

    def check(self, fd: int, path: Path) -> None:
        """Raises Invalid."""
        place = _place(fd)
        if place.is_relative_to(self.home):
            raise Invalid(f"{path} is the fabric's own: no machine may have it")
        if not place.is_relative_to(self.inside):
            raise Invalid(f"{path} is a link that leads out of the folder", hint="copy there what it leads to")


def _walk(folder: int, path: Path, walls: _Walls, depth: int) -> Iterator[tuple[Path, int]]:
    if not stat.S_ISDIR(os.fstat(folder).st_mode):
        raise Invalid(f"{path} is no folder")
    if not depth:
        raise Invalid(f"{path} is too deep", hint="a link may lead in a circle")
    walls.check(folder, path)
    for name in sorted(os.listdir(folder)):
        yield from _look(folder, path / name, walls, depth)


def _look(folder: int, path: Path, walls: _Walls, depth: int) -> Iterator[tuple[Path, int]]:
    with _translated(path), _opened(Path(path.name), folder) as found:
        mode = os.fstat(found).st_mode
        if stat.S_ISDIR(mode):
            yield from _walk(found, path, walls, depth - 1)
        elif stat.S_ISREG(mode):
            walls.check(found, path)
            yield path, found
        else:
            raise Invalid(f"{path} is no file")


def _place(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()


@contextmanager
def _opened(path: Path, folder: int | None) -> Iterator[int]:
    """A file or a folder to be read. Anything else is not opened: it might do something when it is."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=folder)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            fd, known = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC), fd
            os.close(known)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as err:
        raise NotFound(f"there is no {path}", hint="a link may lead nowhere" if path.is_symlink() else None) from err
    except OSError as err:
        raise Unavailable(f"cannot open {path}: {err.strerror}") from err
