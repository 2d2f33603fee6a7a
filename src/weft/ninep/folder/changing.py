"""Changing what is about a file: all of what was asked for or, with an error, nothing."""

import asyncio
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from weft.ninep.folder.errors import translating
from weft.ninep.folder.facts import LAST_OFFSET, PERMISSIONS, Facts, read_facts
from weft.ninep.folder.places import Place, parse_name
from weft.ninep.folder.root import Root
from weft.ninep.words import BAD_OFFSET, IS_DIR, NOT_FOUND, PERMISSION, NinepError, StatChange

Step = tuple[Callable[[], None], Callable[[], None]]
"""What is to be done, and what undoes it."""
File = int | str
"""What the system knows a file by: a descriptor or a path."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_NOREPLACE = 1
_UNKNOWN = (errno.EINVAL, errno.ENOSYS)
_SPECIAL = 0o7000
_SECOND = 10**9


async def change_file(root: Root, place: Place, change: StatChange) -> None:
    """Carry a wstat out. Raises NinepError."""
    if change.is_sync:
        await asyncio.to_thread(_sync, root, place)
        return
    root.refuse_changes()
    root.uses.refuse_marks(change.mode or 0)
    cuts = change.length is not None and not root.look(place).is_dir
    with translating, ExitStack() as stack:
        fd, file = _hold(stack, root, place, writing=cuts)
        facts = read_facts(fd, b"")
        check_change(facts, change)
        _carry_out(list(_plan_steps(file, facts, root, place, change)))
        if cuts and change.mtime is not None:
            _set_mtime(file, facts, change.mtime * _SECOND)
    root.uses.change(facts.number)
    if change.mode is not None:
        root.uses.mark(facts.number, change.mode)


def check_change(facts: Facts, change: StatChange) -> None:
    """Raises NinepError for what no file can become."""
    if not facts.is_served:
        raise NinepError(NOT_FOUND)
    if change.length and facts.is_dir:
        raise NinepError(IS_DIR)
    if change.length and change.length > LAST_OFFSET:
        raise NinepError(BAD_OFFSET)


def _carry_out(steps: list[Step]) -> None:
    """One after the other; if one fails, those before it are undone. Raises OSError."""
    with ExitStack() as undoing:
        for do, undo in steps:
            do()
            undoing.callback(undo)
        undoing.pop_all()


def _hold(stack: ExitStack, root: Root, place: Place, *, writing: bool) -> tuple[int, File]:
    """A descriptor, and what the system knows the file by whatever its name leads to: the descriptor itself or, of a
    file that not even its owner may read, a path. With `writing`, it can be cut by it; that needs the rights that the
    file has now, whatever mode it is to have. Raises NinepError.
    """
    try:
        fd = root.open(place, (os.O_WRONLY if writing else os.O_RDONLY) | os.O_NONBLOCK)
    except NinepError as err:
        if writing or err.text != PERMISSION:
            raise
        fd = root.open(place, os.O_PATH)
        stack.callback(os.close, fd)
        return fd, f"/proc/self/fd/{fd}"
    stack.callback(os.close, fd)
    return fd, fd


def _plan_steps(file: File, facts: Facts, root: Root, place: Place, change: StatChange) -> Iterator[Step]:
    """The length is last: nothing brings back what it cuts off."""
    if change.mode is not None:
        special = facts.mode & _SPECIAL if facts.is_dir else 0
        mode = change.mode & PERMISSIONS | special
        yield partial(os.chmod, file, mode), partial(os.chmod, file, facts.mode & (PERMISSIONS | _SPECIAL))
    if change.gid is not None:
        group = root.owners.find_group(change.gid)
        yield partial(os.chown, file, -1, group), partial(os.chown, file, -1, facts.gid)
    if change.mtime is not None:
        yield partial(_set_mtime, file, facts, change.mtime * _SECOND), partial(_set_mtime, file, facts, facts.modified)
    if change.name is not None and (name := parse_name(change.name)) != place.name:
        yield partial(_rename, root, place, name), partial(_rename, root, place, place.name)
    if change.length is not None and not facts.is_dir:
        yield partial(os.truncate, file, change.length), lambda: None


def _set_mtime(file: File, facts: Facts, modified: int) -> None:
    os.utime(file, ns=(facts.accessed, modified))


def _rename(root: Root, place: Place, name: bytes) -> None:
    """Never over what is there. Raises OSError, NinepError."""
    with root.directory(place.parent) as fd:
        if _LIBC.renameat2(fd, place.name, fd, name, _NOREPLACE) != 0:
            _rename_otherwise(fd, place.name, name, ctypes.get_errno())
        root.uses.change(read_facts(fd, b"").number)
    place.rename(name)


def _rename_otherwise(directory: int, old: bytes, new: bytes, error: int) -> None:
    """Where the file system cannot look and rename in one."""
    if error not in _UNKNOWN:
        raise OSError(error, os.strerror(error))
    try:
        os.stat(new, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
    else:
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))


def _sync(root: Root, place: Place) -> None:
    """Until the file would survive the host's end."""
    fd = root.open(place, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with translating:
            os.fsync(fd)
    finally:
        os.close(fd)
