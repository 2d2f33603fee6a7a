"""BECOME: whom a copy is told to be. No input or output. See docs/agent-protocol.md.

The whole is an id, a seed, the time and the text that `/weft.conf` would have held. It goes in pieces, a frame each.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from weft.guest.config import CONFIG_MAX_BYTES, GuestConfig
from weft.guest.config_text import dump_guest_config
from weft.guest.frames import MAX_PAYLOAD, Kind
from weft.model.errors import Invalid

SEED_BYTES = 32
_ID_BYTES = 16

_PIECE = struct.Struct("<II")
_HEAD = struct.Struct(f"<{_ID_BYTES}s{SEED_BYTES}sQ")
PIECE_BYTES = MAX_PAYLOAD - _PIECE.size
MAX_BYTES = _HEAD.size + CONFIG_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Become:
    """Who a copy is to be. Of a machine that is held the whole configuration is taken; of one that runs its identity.

    `seed`: 32 random bytes for this copy alone. A guest that is told of the same seed again has become so already.
    """

    config: GuestConfig
    seed: bytes = field(repr=False)


def become_id(become: Become) -> bytes:
    """By which a guest knows that it was told before, without keeping the seed."""
    return hashlib.sha256(become.seed).digest()[:_ID_BYTES]


def dump_become(become: Become, wall_ns: int) -> Iterator[bytes]:
    """The payloads of its frames. Raises Invalid for what a machine's init would refuse."""
    if len(become.seed) != SEED_BYTES or become.config.template:
        raise Invalid(f"a copy is told who it is with a seed of {SEED_BYTES} bytes, and not to be a template")
    whole = _HEAD.pack(become_id(become), become.seed, wall_ns) + dump_guest_config(become.config)
    for at in range(0, len(whole), PIECE_BYTES):
        yield _PIECE.pack(at, len(whole)) + whole[at : at + PIECE_BYTES]


@dataclass(frozen=True, slots=True)
class Told:
    """What a guest has gathered: `text` is for `parse_guest_config`."""

    id: bytes
    seed: bytes
    wall_ns: int
    text: bytes


class Gatherer:
    """Puts the pieces together again, as the guest does."""

    def __init__(self) -> None:
        self._have = b""

    def take(self, payload: bytes) -> Told | None:
        """What was told, when this piece is its last. A piece that does not fit raises Invalid, and all begins anew."""
        have, self._have = self._have, b""
        if len(payload) <= _PIECE.size:
            raise _malformed()
        at, total = _PIECE.unpack_from(payload)
        have = (b"" if at == 0 else have) + payload[_PIECE.size :]
        if at != len(have) - len(payload) + _PIECE.size or not _HEAD.size < total <= MAX_BYTES or len(have) > total:
            raise _malformed()
        if len(have) < total:
            self._have = have
            return None
        id, seed, wall_ns = _HEAD.unpack_from(have)
        told = Told(id, seed, wall_ns, have[_HEAD.size :])
        if wall_ns >= 1 << 63 or b"\0" in told.text:  # zeros complete what a lost connection has cut off
            raise _malformed()
        return told


def _malformed() -> Invalid:
    return Invalid(f"agent protocol: malformed {Kind.BECOME.name}")
