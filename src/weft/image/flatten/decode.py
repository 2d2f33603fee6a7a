"""What layers are compressed with, told by their first bytes."""

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import zstandard

from weft.model.errors import Invalid

PIECE = 1 << 20
"""The most bytes that are unpacked at once."""

DECODE_ERRORS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, EOFError)

_GZIP_MEMBER = 16 + zlib.MAX_WBITS
_XZ_MEMORY = 128 << 20
"""Bytes for what it looks back at: more than `xz -9` asks for."""


def find_decoder(source: BinaryIO) -> Callable[[BinaryIO], Iterator[bytes]] | None:
    """What unpacks a layer, or None when that is a tar already. Raises Invalid for another compression."""
    start = source.read(8)
    source.seek(0)
    if start.startswith(b"\x1f\x8b"):  # RFC 1952
        return read_gzip
    # RFC 8878: a frame, or one of the 16 kinds of frames that are to be skipped.
    if start.startswith(b"\x28\xb5\x2f\xfd") or (start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50):
        return read_zstd
    if start.startswith(b"\xfd7zXZ\0"):
        return read_xz
    if start.startswith(b"BZh"):
        raise Invalid("a layer is compressed with bzip2", hint="gzip, zstd, xz and none at all are understood")
    return None


def read_gzip(source: BinaryIO) -> Iterator[bytes]:
    """What is in a gzip file of one or more members, in pieces. Zeros may follow it. Raises zlib.error, EOFError."""
    decoder, piece = zlib.decompressobj(_GZIP_MEMBER), source.read(PIECE)
    while True:
        yield decoder.decompress(piece, PIECE)
        piece = decoder.unconsumed_tail
        if decoder.eof:
            piece = _skip_zeros(decoder.unused_data, source)
            if not piece:
                return
            decoder = zlib.decompressobj(_GZIP_MEMBER)
        elif not piece and not (piece := source.read(PIECE)):
            raise EOFError("it ends too early")


def _skip_zeros(piece: bytes, source: BinaryIO) -> bytes:
    """What comes behind zeros, which pad files on tapes and block devices; nothing at the end of the file."""
    while not (rest := piece.lstrip(b"\0")):
        if not (piece := source.read(PIECE)):
            break
    return rest


def read_xz(source: BinaryIO) -> Iterator[bytes]:
    """What is in an xz file of one stream, in pieces. Raises LZMAError, EOFError."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    while not decoder.eof:
        piece = source.read(PIECE) if decoder.needs_input else b""
        if decoder.needs_input and not piece:
            raise EOFError("it ends too early")
        yield decoder.decompress(piece, PIECE)


def read_zstd(source: BinaryIO) -> Iterator[bytes]:
    """What is in a zstd file of one or more frames, in pieces. Raises ZstdError."""
    with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True, closefd=False) as reader:
        while piece := reader.read(PIECE):
            yield piece
