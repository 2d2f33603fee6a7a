"""Making files and directories, and removing them."""

import os
from contextlib import suppress

from weft.ninep.folder.facts import PERMISSIONS, Facts, read_facts
from weft.ninep.folder.places import Place
from weft.ninep.folder.root import Root
from weft.ninep.words import NOT_FOUND, Mode, NinepError

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_BITS = 0o666


def make_file(directory: int, name: bytes, perm: int, flags: int) -> int:
    """A file with these permissions, which its opening does not heed (open(5)): its descriptor. Raises OSError."""
    fd = os.open(name, flags | _NEW, mode=0o600, dir_fd=directory)
    try:
        _settle(fd, directory, perm)
    except BaseException:
        os.close(fd)
        os.unlink(name, dir_fd=directory)
        raise
    return fd


def make_directory(directory: int, name: bytes, perm: int) -> Facts:
    """A directory with these permissions. Raises OSError."""
    os.mkdir(name, mode=0o700, dir_fd=directory)
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            _settle(fd, directory, perm)
            return read_facts(fd, b"")
        finally:
            os.close(fd)
    except BaseException:
        os.rmdir(name, dir_fd=directory)
        raise


def mask_perm(perm: int, directory: Facts) -> int:
    """What of `perm` a new file gets: reading and writing only as far as its directory has it (open(5))."""
    bits = PERMISSIONS if perm & Mode.DIR else _FILE_BITS
    return perm & (~bits | directory.mode & bits)


def remove_file(root: Root, place: Place, seen: Facts) -> None:
    """Remove the file or the empty directory that was seen at a place, not one that has come after it. Raises
    NinepError.
    """
    facts = root.look(place)
    if facts.number != seen.number:
        raise NinepError(NOT_FOUND)
    with root.directory(place.parent) as fd:
        if facts.is_dir:
            os.rmdir(place.name, dir_fd=fd)
        else:
            os.unlink(place.name, dir_fd=fd)
        root.uses.change(read_facts(fd, b"").number)
    root.uses.forget(facts.number)
    place.leave()


def _settle(fd: int, directory: int, perm: int) -> None:
    """Permissions as asked for, whatever the process's mask is; the group is the directory's, where we may give it."""
    group = os.fstat(directory).st_gid
    if os.fstat(fd).st_gid != group:
        with suppress(PermissionError):
            os.fchown(fd, -1, group)
    os.fchmod(fd, perm & PERMISSIONS)
