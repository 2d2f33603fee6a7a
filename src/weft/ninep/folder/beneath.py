"""Opening what is below a directory and nothing else, whoever changes the tree meanwhile: no link is ever followed.

`openat2` does that in one call. Some hosts' filters of system calls do not let it through; then each directory on the
way is opened by itself, which comes to the same, as no name is `..`.
"""

import ctypes
import errno
import os
import struct

_LIBC = ctypes.CDLL(None, use_errno=True)
_OPENAT2 = 437
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_HOW = struct.Struct("=QQQ")
"""struct open_how: flags, mode, resolve (openat2(2))."""
_REFUSED = (errno.ENOSYS, errno.EPERM)
_ALWAYS = os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_PATH | os.O_DIRECTORY
"""To work in a directory without reading it."""


class Opener:
    """Opens by path below `root`, a descriptor that stays the caller's."""

    def __init__(self, root: int, *, openat2: bool | None = None) -> None:
        """`openat2` says whether to use that call; None finds out whether it can be used."""
        self._root = root
        self.uses_openat2 = self._find_out() if openat2 is None else openat2

    def open(self, path: bytes, flags: int) -> int:
        """A new descriptor; the empty path is the root's. Raises OSError; ELOOP means that a link is in the way."""
        path = path or b"."
        return self._open_whole(path, flags) if self.uses_openat2 else self._open_in_steps(path.split(b"/"), flags)

    def _open_whole(self, path: bytes, flags: int) -> int:
        how = _HOW.pack(flags | _ALWAYS, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS)
        fd: int = _LIBC.syscall(_OPENAT2, self._root, path, how, _HOW.size)
        if fd < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return fd

    def _open_in_steps(self, names: list[bytes], flags: int) -> int:
        at = os.dup(self._root)
        try:
            for name in names[:-1]:
                below = _open_at(at, name, DIRECTORY)
                os.close(at)
                at = below
            return _open_at(at, names[-1], flags)
        finally:
            os.close(at)

    def _find_out(self) -> bool:
        try:
            os.close(self._open_whole(b".", DIRECTORY))
        except OSError as err:
            if err.errno in _REFUSED:
                return False
            raise
        return True


def _open_at(directory: int, name: bytes, flags: int) -> int:
    return os.open(name, flags | _ALWAYS, dir_fd=directory)
