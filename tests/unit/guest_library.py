"""The guest's own parsers, built for this host: tests hold the two ends of the protocol against each other."""

import ctypes
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from weft.guest.frames import Frame

GUEST = Path(__file__).parents[2] / "guest"
_PARSER_BYTES = 8 + 8192 + 64
_CONFIG_BYTES = 1 << 20


class _Frame(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_uint8),
        ("stream", ctypes.c_uint16),
        ("length", ctypes.c_uint32),
        ("payload", ctypes.POINTER(ctypes.c_uint8)),
    )


@cache
def load() -> ctypes.CDLL:
    if not shutil.which("gcc") or not shutil.which("make"):
        pytest.skip("needs gcc and make")
    subprocess.run(["make", "-s", "-C", str(GUEST), "build/libweftpure.so"], check=True)
    library = ctypes.CDLL(str(GUEST / "build/libweftpure.so"))
    library.frame_parser_feed.restype = ctypes.c_size_t
    library.config_parse.restype = ctypes.c_bool
    library.parse_exec.restype = ctypes.c_bool
    library.parse_hello.restype = ctypes.c_bool
    library.parse_committed.restype = ctypes.c_bool
    library.gather.restype = ctypes.c_bool
    library.dump_event.restype = ctypes.c_size_t
    return library


def parse_frames(pieces: list[bytes]) -> list[Frame]:
    """What the guest makes of a stream that comes in these pieces."""
    library, parser = load(), ctypes.create_string_buffer(_PARSER_BYTES)
    frames = []
    for piece in pieces:
        while piece:
            frame, complete = _Frame(), ctypes.c_bool()
            used = library.frame_parser_feed(
                parser, piece, ctypes.c_size_t(len(piece)), ctypes.byref(frame), ctypes.byref(complete)
            )
            piece = piece[used:]
            if complete:
                frames.append(Frame(frame.kind, frame.stream, ctypes.string_at(frame.payload, frame.length)))
    return frames


def accepts_exec(payload: bytes) -> bool:
    out = ctypes.create_string_buffer(1 << 16)
    return bool(
        load().parse_exec(ctypes.create_string_buffer(payload, len(payload) + 1), ctypes.c_size_t(len(payload)), out)
    )


def accepts_committed(payload: bytes) -> bool:
    accepted, why = ctypes.c_bool(), ctypes.c_char_p()
    buffer = ctypes.create_string_buffer(payload, len(payload) + 1)
    length = ctypes.c_size_t(len(payload))
    return bool(load().parse_committed(buffer, length, ctypes.byref(accepted), ctypes.byref(why)))


def dump_event(text: bytes) -> bytes:
    """The payload that the guest makes of what a program tells it."""
    out = ctypes.create_string_buffer(len(text) + 2)
    length = load().dump_event(out, ctypes.c_char_p(text))
    return out.raw[:length]


def accepts_hello(payload: bytes) -> bool:
    out = ctypes.create_string_buffer(256)
    return bool(load().parse_hello(payload, ctypes.c_size_t(len(payload)), out))


class _Told(ctypes.Structure):
    _fields_ = (
        ("id", ctypes.c_void_p),
        ("seed", ctypes.c_void_p),
        ("wall_ns", ctypes.c_uint64),
        ("text", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
    )


def gather(payloads: list[bytes]) -> list[tuple[bytes, bytes, int, bytes]]:
    """What a guest is told by these payloads of BECOME: id, seed, time and text, as often as it is whole."""
    gathering, told, found = ctypes.create_string_buffer(_CONFIG_BYTES), _Told(), []
    for payload in payloads:
        buffer = ctypes.create_string_buffer(payload, len(payload) + 1)
        if load().gather(gathering, buffer, ctypes.c_size_t(len(payload)), ctypes.byref(told)):
            text = ctypes.string_at(told.text, told.length)
            found.append((ctypes.string_at(told.id, 16), ctypes.string_at(told.seed, 32), told.wall_ns, text))
    return found


def accepts_config(text: bytes) -> bool:
    out = ctypes.create_string_buffer(_CONFIG_BYTES)
    return bool(load().config_parse(out, ctypes.create_string_buffer(text, len(text) + 1), ctypes.c_size_t(len(text))))


def config_hostname(text: bytes) -> bytes | None:
    """The first field of the guest's structure."""
    out = ctypes.create_string_buffer(_CONFIG_BYTES)
    buffer = ctypes.create_string_buffer(text, len(text) + 1)
    assert load().config_parse(out, buffer, ctypes.c_size_t(len(text)))
    hostname: bytes | None = ctypes.cast(out, ctypes.POINTER(ctypes.c_char_p))[0]
    return hostname
