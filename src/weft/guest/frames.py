"""Frames of the agent's protocol on a byte stream. No input or output. See docs/agent-protocol.md.

A frame is 8 bytes of header (magic `W`, kind, stream as u16, length as u32, little-endian) and at most 8192 bytes of
payload. Between frames every byte that is not the magic is passed over, so padding and garbage are the same thing.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

MAGIC = ord("W")
MAX_PAYLOAD = 8192
PADDING = b"\0" * 8200
"""Completes whatever frame an earlier connection left half sent: at most 7 bytes of header and a full payload."""

_HEADER = struct.Struct("<BBHI")


class Kind(IntEnum):
    HELLO = 1
    READY = 2
    EXEC = 3
    STARTED = 4
    STDIN = 5
    STDOUT = 6
    STDERR = 7
    EOF = 8
    WINDOW = 9
    RESIZE = 10
    SIGNAL = 11
    EXIT = 12
    ERROR = 13
    SHUTDOWN = 14
    TIME = 15
    FACTS = 16
    PING = 17
    PONG = 18
    ENTRY = 19
    OOM = 20
    COMMIT = 21
    COMMITTED = 22
    REASON = 23
    EVENT = 24
    BECOME = 25
    FREEZE = 26
    THAW = 27
    REHEARSE = 28


@dataclass(frozen=True, slots=True)
class Frame:
    """`kind` is a plain number: a later minor version may send kinds that are unknown here."""

    kind: int
    stream: int
    payload: bytes = b""


def dump_frame(kind: int, stream: int, payload: bytes = b"") -> bytes:
    """The frame as bytes. The payload must not exceed MAX_PAYLOAD (a defect of the caller, not of its data)."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(payload)} bytes does not fit one frame")
    return _HEADER.pack(MAGIC, kind, stream, len(payload)) + payload


class FrameParser:
    """Takes bytes as they come and gives the frames in them. Holds less than one frame; never fails."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.skipped = 0
        """Bytes other than padding that belonged to no frame."""

    def feed(self, data: bytes) -> list[Frame]:
        self._held += data
        frames: list[Frame] = []
        at = 0
        while (at := self._skip_to_magic(at)) + _HEADER.size <= len(self._held):
            _, kind, stream, length = _HEADER.unpack_from(self._held, at)
            end = at + _HEADER.size + length
            if length > MAX_PAYLOAD:
                self.skipped += 1
                at += 1  # it was somebody's data: a true magic may be among the bytes behind it
            elif end > len(self._held):
                break
            else:
                frames.append(Frame(kind, stream, bytes(self._held[at + _HEADER.size : end])))
                at = end
        del self._held[:at]
        return frames

    def _skip_to_magic(self, at: int) -> int:
        found = self._held.find(MAGIC, at)
        found = len(self._held) if found < 0 else found
        self.skipped += found - at - self._held.count(0, at, found)
        return found
