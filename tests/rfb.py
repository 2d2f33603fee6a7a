"""As much of a VNC viewer as a test needs (RFC 6143): it says hello, and asks for a part of the screen."""

import socket
import struct

VERSION = b"RFB 003.008\n"
RAW = 0


def begin(viewer: socket.socket) -> tuple[int, int]:
    """Says hello, and that it wants the screen to itself. The width and height of that."""
    assert _take(viewer, len(VERSION)) == VERSION
    viewer.sendall(VERSION)
    assert 1 in _take(viewer, _take(viewer, 1)[0]), "nobody asks for a password"
    viewer.sendall(b"\1")
    assert _take(viewer, 4) == bytes(4)
    viewer.sendall(b"\0")
    width, height, bits, name = struct.unpack(">HHB15xI", _take(viewer, 24))
    assert bits == 32
    _take(viewer, name)
    return width, height


def ask_for(viewer: socket.socket, width: int, height: int) -> bytes:
    """Pixels of what comes when the upper left corner is asked for, 4 bytes each: that, or more."""
    viewer.sendall(struct.pack(">BxHi", 2, 1, RAW))
    viewer.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
    kind, count = struct.unpack(">BxH", _take(viewer, 4))
    assert kind == 0
    pixels = b""
    for _ in range(count):
        _, _, wide, high, encoding = struct.unpack(">HHHHi", _take(viewer, 12))
        assert encoding == RAW
        pixels += _take(viewer, wide * high * 4)
    return pixels


def _take(viewer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = viewer.recv(count - len(data))
        assert piece, "the screen has hung up"
        data += piece
    return data
