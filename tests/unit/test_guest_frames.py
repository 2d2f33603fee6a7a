"""Framing: whatever comes, in whatever pieces, both ends see the same frames, and find back after a loss."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.guest_library import parse_frames

from weft.guest.frames import MAX_PAYLOAD, PADDING, Frame, FrameParser, Kind, dump_frame

frames = st.builds(
    Frame,
    kind=st.integers(0, 255),
    stream=st.integers(0, 0xFFFF),
    payload=st.binary(max_size=60) | st.binary(min_size=MAX_PAYLOAD, max_size=MAX_PAYLOAD),
)
# Bytes that look like the beginnings of frames are what a parser stumbles over.
noise = st.lists(
    st.binary(max_size=30)
    | st.sampled_from([b"W", b"WW", b"W\x05\x01\0\xff\xff\0\0", b"W\x05\x01\0\x04\0\0\0", b"\0" * 9]),
    max_size=8,
).map(b"".join)


def dump(some: list[Frame]) -> bytes:
    return b"".join(dump_frame(frame.kind, frame.stream, frame.payload) for frame in some)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def feed(pieces: list[bytes]) -> list[Frame]:
    parser = FrameParser()
    return [frame for piece in pieces for frame in parser.feed(piece)]


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 1 << 20), max_size=10))
def test_frames_come_back_however_they_are_cut(some: list[Frame], places: list[int]) -> None:
    assert feed(cut(dump(some), places)) == some


@given(
    st.lists(st.one_of(noise, frames.map(lambda frame: dump([frame]))), max_size=8), st.lists(st.integers(0, 1 << 20))
)
def test_both_ends_see_the_same_in_any_noise(parts: list[bytes], places: list[int]) -> None:
    data = b"".join(parts)
    assert feed(cut(data, places)) == feed([data]) == parse_frames(cut(data, places))


@given(noise, st.lists(frames, min_size=1, max_size=3), frames)
def test_padding_always_finds_back(before: bytes, lost: list[Frame], wanted: Frame) -> None:
    """Wherever an earlier connection broke off, the frame after the padding is the last one seen, whole."""
    data = before + dump(lost)
    for end in {0, 1, 7, 8, 9, len(data) - 1, len(data)}:
        assert feed([data[: max(end, 0)], PADDING, dump([wanted])])[-1] == wanted


@given(noise)
def test_little_is_held(data: bytes) -> None:
    parser = FrameParser()
    parser.feed(data * 50)
    assert len(parser._held) < 8 + MAX_PAYLOAD


def test_skipped_counts_what_is_not_padding() -> None:
    parser = FrameParser()
    assert parser.feed(b"\0\0ab\0" + dump_frame(Kind.PING, 1)) == [Frame(Kind.PING, 1)]
    assert parser.skipped == 2


def test_too_much_does_not_fit() -> None:
    with pytest.raises(ValueError, match="8193"):
        dump_frame(Kind.STDIN, 1, bytes(MAX_PAYLOAD + 1))
