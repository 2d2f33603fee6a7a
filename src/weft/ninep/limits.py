"""What one client, and all together, may have of a server."""

from dataclasses import dataclass

from weft.ninep.messages import IO_HEADER

MIN_MSIZE = 256
"""Bytes: the longest replies that have no room for less are walks of sixteen names, and errors."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`msize`: bytes of a message. For each connection: `fids`, and requests that wait (`pending`).

    A connection's memory is bounded by `pending` replies of `msize` bytes, and what its fids have open.
    """

    msize: int = 64 * 1024 + IO_HEADER
    fids: int = 8192
    pending: int = 128
    connections: int = 256
