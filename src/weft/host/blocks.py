"""Large files in blocks: copied without what is zero, with one sum over all that was copied.

The sum is SHA-256 over the sums of all blocks in their order. A block of zeros has a sum of zeros, and is neither read
where it is a hole, nor written. What is summed is the same bytes that are written, so nothing can come in between.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

BLOCK = 1 << 20
PAGE = 4096
MOST_WORKERS = 4
"""Threads at work on one file: reading and summing let go of the interpreter's lock."""
_ZERO_BLOCK, _ZERO_PAGE = bytes(BLOCK), bytes(PAGE)
_ZERO_SUM = bytes(hashlib.sha256().digest_size)

Tell = Callable[[int], None]
"""Called from any thread with the bytes of another part that is done."""


def say_nothing(_done: int) -> None:
    """For who does not want to know."""


def copy_blocks(source: int, size: int, target: int | None = None, *, tell: Tell = say_nothing) -> str:
    """Copy `size` bytes between open files; the sum, in hexadecimal. Without a target they are summed only.

    The target must be empty, and gets the same size. Raises OSError; a source that ends early is EIO.
    """
    if target is not None:
        os.truncate(target, size)
    full = {n for begin, end in find_data(source, size) for n in range(begin // BLOCK, (end + BLOCK - 1) // BLOCK)}
    count = (size + BLOCK - 1) // BLOCK
    tell((count - len(full)) * BLOCK)
    whole = hashlib.sha256()
    with ThreadPoolExecutor(min(MOST_WORKERS, len(os.sched_getaffinity(0)))) as workers:
        copy = partial(_copy_block, source, size, target, tell)
        sums = dict(zip(sorted(full), workers.map(copy, sorted(full)), strict=True))
    for number in range(count):
        whole.update(sums.get(number, _ZERO_SUM))
    return whole.hexdigest()


def sum_bytes(data: bytes) -> str:
    """The sum that a file with this content has."""
    whole = hashlib.sha256()
    for start in range(0, len(data), BLOCK):
        whole.update(_sum(data[start : start + BLOCK]))
    return whole.hexdigest()


def find_data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Begin and end of what is not a hole, within the first `size` bytes of an open file."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:  # nothing but a hole until the end
                return
            raise
        if begin >= size:
            return
        end = os.lseek(fd, begin, os.SEEK_HOLE)
        yield begin, min(end, size)


def _copy_block(source: int, size: int, target: int | None, tell: Tell, number: int) -> bytes:
    start = number * BLOCK
    data = os.pread(source, min(BLOCK, size - start), start)
    if len(data) != min(BLOCK, size - start):
        raise OSError(errno.EIO, "it ends before its end")
    if target is not None:
        for at, piece in _runs(data):
            _write_all(target, piece, start + at)
    tell(BLOCK)
    return _sum(data)


def _sum(data: bytes) -> bytes:
    return _ZERO_SUM if data == _ZERO_BLOCK[: len(data)] else hashlib.sha256(data).digest()


def _runs(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Where something other than zeros stands, in runs of pages."""
    view, begin = memoryview(data), None
    for at in range(0, len(data), PAGE):
        page = data[at : at + PAGE]
        zero = page == _ZERO_PAGE[: len(page)]
        if not zero and begin is None:
            begin = at
        elif zero and begin is not None:
            yield begin, view[begin:at]
            begin = None
    if begin is not None:
        yield begin, view[begin:]


def _write_all(fd: int, data: memoryview, at: int) -> None:
    while data:
        written = os.pwrite(fd, data, at)
        data, at = data[written:], at + written
