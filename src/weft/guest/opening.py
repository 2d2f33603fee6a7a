"""Where a conversation with an agent begins in what its socket delivers."""

from weft.guest.frames import Kind
from weft.guest.protocol import NONCE_BYTES

_HEADER_BYTES = 8


class ReadyFinder:
    """Passes over everything before the READY that carries our nonce.

    That may be the rest of what an earlier connection was sent, cut anywhere: frames in it cannot be trusted, 16 random
    bytes can.
    """

    def __init__(self, nonce: bytes) -> None:
        self._nonce = nonce
        self._held = b""
        self._found = False

    def feed(self, data: bytes) -> bytes:
        """What belongs to this connection, from that READY on; empty until it has come."""
        if self._found:
            return data
        self._held += data
        header = bytes([ord("W"), Kind.READY, 0, 0])
        at = self._held.find(self._nonce)
        while at >= 0:
            if at >= _HEADER_BYTES and self._held.startswith(header, at - _HEADER_BYTES):
                self._found = True
                return self._held[at - _HEADER_BYTES :]
            at = self._held.find(self._nonce, at + 1)
        self._held = self._held[-(_HEADER_BYTES + NONCE_BYTES - 1) :]
        return b""
