"""The host's errors in the words of 9P."""

import errno
import os
from types import TracebackType
from typing import Final

from weft.ninep.words import (
    EXISTS,
    IN_USE,
    IS_DIR,
    NOT_DIR,
    NOT_EMPTY,
    NOT_FOUND,
    PERMISSION,
    READ_ONLY,
    NinepError,
)

_TEXTS: Final = {
    errno.ENOENT: NOT_FOUND,
    errno.ESTALE: NOT_FOUND,
    errno.ELOOP: NOT_FOUND,  # a link, and links are not there
    errno.EXDEV: NOT_FOUND,
    errno.ENXIO: NOT_FOUND,  # a pipe or a socket has come in its place
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.EEXIST: EXISTS,
    errno.ENOTDIR: NOT_DIR,
    errno.EISDIR: IS_DIR,
    errno.ENOTEMPTY: NOT_EMPTY,
    errno.EROFS: READ_ONLY,
    errno.EBUSY: IN_USE,
    errno.ETXTBSY: IN_USE,
}
"""All others are told as the host's library tells them: Linux knows errno by those texts, too."""


def translate(err: OSError) -> NinepError:
    """What a client is told."""
    number = err.errno or errno.EIO
    return NinepError(_TEXTS.get(number) or os.strerror(number))


class _Translating:
    """A `with` that costs nothing to enter."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: type[BaseException] | None, err: BaseException | None, _at: TracebackType | None) -> None:
        if isinstance(err, OSError):
            raise translate(err) from err


translating: Final = _Translating()
"""`with translating:` turns an OSError into a NinepError."""
