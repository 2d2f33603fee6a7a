"""What is typed to an entry point: keys that detach, and bytes that a terminal would take for keys. Pure."""

DETACH = b"\x10\x11"
"""Ctrl-P Ctrl-Q, as container users know it."""
_END = b"\x04"
_QUOTE = b"\x16"
_LONGEST = 1000
"""Bytes without an end of line that are sent at once: a terminal's line holds 4095."""
_PLAIN = frozenset(b"\0\t\n")


class DetachKeys:
    """Finds the keys in what is typed, also when they come one by one."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What is to be sent, and whether to detach then."""
        data, self._held = self._held + data, b""
        before, found, _ = data.partition(DETACH)
        if not found and before.endswith(DETACH[:1]):
            self._held, before = DETACH[:1], before[:-1]
        return before, bool(found)


class LineQuoter:
    """Any bytes, so that a terminal in its usual mode passes them on as they are: its special characters are quoted
    (VLNEXT), and what has no end of line is pushed through (VEOF), as termios(3) has it."""

    def __init__(self) -> None:
        self._column = 0

    def feed(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if byte == 0x7F or (byte < 0x20 and byte not in _PLAIN):
                out += _QUOTE
            out.append(byte)
            self._column = 0 if byte == 0x0A else self._column + 1
            if self._column >= _LONGEST:
                out += self._push()
        return bytes(out + self._push())

    def end(self) -> bytes:
        """The end of input: the key for it, at the beginning of a line."""
        return self._push() + _END

    def _push(self) -> bytes:
        push, self._column = (_END if self._column else b""), 0
        return push
