"""What is typed: keys that detach, and bytes that are no keys."""

import os
import pty
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.client.keys import DetachKeys, LineQuoter


@pytest.mark.parametrize(
    ("pieces", "sent", "detached"),
    [
        ([b"abc"], b"abc", False),
        ([b"a\x10\x11b"], b"a", True),
        ([b"a\x10", b"\x11"], b"a", True),
        ([b"a\x10", b"b"], b"a\x10b", False),
        ([b"\x10", b"\x10", b"\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_detach_keys(pieces: list[bytes], sent: bytes, detached: bool) -> None:
    keys, out, found = DetachKeys(), b"", False
    for piece in pieces:
        data, found = keys.feed(piece)
        out += data
    assert (out, found) == (sent, detached)


def pass_through(pieces: list[bytes]) -> bytes:
    """What a program reads that has a terminal, in its usual mode but for the echo."""
    master, slave = pty.openpty()
    try:
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        quoter, read = LineQuoter(), b""
        for piece in pieces:
            # A terminal holds 4096 bytes, and drops what is too much.
            for at in range(0, len(piece), 500):
                os.write(master, quoter.feed(piece[at : at + 500]))
                size = len(read) + len(piece[at : at + 500])
                while len(read) < size:
                    read += os.read(slave, 4096)
        os.write(master, quoter.end())
        assert os.read(slave, 4096) == b""
        return read
    finally:
        os.close(master)
        os.close(slave)


def test_every_byte_comes_through_a_terminal_and_then_the_end() -> None:
    data = bytes(range(256)) + b"no end of line" + bytes(range(255, -1, -1)) + b"x" * 6000 + b"\n"
    assert pass_through([data]) == data
    assert pass_through([]) == b""
    assert pass_through([b"line\n"]) == b"line\n"


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_any_bytes_come_through_a_terminal(pieces: list[bytes]) -> None:
    assert pass_through(pieces) == b"".join(pieces)
