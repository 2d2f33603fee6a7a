"""Files that zstd compresses on their way out, and expands on their way in."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from weft.model.errors import Invalid, Unavailable

ENDING = ".zst"
_MAGIC = b"\x28\xb5\x2f\xfd"
"""How every zstd frame begins (RFC 8878, 3.1.1)."""


@contextmanager
def compressed(out: BinaryIO) -> Iterator[IO[bytes]]:
    """What is written to this comes to `out` compressed. Raises Unavailable without the program."""
    with _start("-qc", "-T0", stdin=subprocess.PIPE, stdout=out) as process:
        assert process.stdin is not None
        try:
            yield process.stdin
            process.stdin.close()
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            raise Unavailable(f"zstd ended with status {process.returncode}")


@contextmanager
def expanded(source: BinaryIO) -> Iterator[BinaryIO]:
    """What a file says, expanded if it is compressed. Raises Unavailable without the program, Invalid."""
    if os.pread(source.fileno(), len(_MAGIC), 0) != _MAGIC:
        yield source
        return
    with _start("-dqc", stdin=source, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield cast(BinaryIO, process.stdout)
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            raise Invalid(f"zstd cannot expand it: status {process.returncode}")


def is_compressed_name(file: Path) -> bool:
    """Whether a file of this name is to be compressed."""
    return file.suffix == ENDING


def _start(*options: str, stdin: object, stdout: object) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(["zstd", *options], stdin=stdin, stdout=stdout)  # type: ignore[call-overload,no-any-return]
    except FileNotFoundError as err:
        raise Unavailable("zstd is not installed", hint="its Debian package is zstd; or leave the ending away") from err
