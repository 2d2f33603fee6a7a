"""The bytes of 9P2000: one form for each message, any pieces, and nothing but Malformed for what is no message."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ninep_messages import messages, stats, texts, u32

from weft.ninep import messages as m
from weft.ninep.codec import dump, find_tag, parse
from weft.ninep.cursor import Malformed
from weft.ninep.frames import Frames
from weft.ninep.stats import (
    UNTOUCHED,
    dump_change,
    dump_stat,
    parse_change,
    parse_stats,
    refuse_fixed,
    touches_fixed,
)
from weft.ninep.words import Mode, NinepError, Qid, QidType, Stat, StatChange

tags = st.integers(0, 0xFFFF)
places = st.lists(st.integers(0, 1 << 20), max_size=10)
ROOT = Qid(QidType.DIR, 2, 0x0102030405060708)

# Written out by hand from the manual's pages of section 5.
VECTORS = [
    (0xFFFF, m.Tversion(8216, "9P2000"), "13000000 64 ffff 18200000 0600 395032303030"),
    (0xFFFF, m.Rversion(8192, "9P2000"), "13000000 65 ffff 00200000 0600 395032303030"),
    (1, m.Tauth(3, "bo", ""), "11000000 66 0100 03000000 0200 626f 0000"),
    (1, m.Rauth(Qid(QidType.AUTH, 1, 9)), "14000000 67 0100 08 01000000 0900000000000000"),
    (1, m.Tattach(0, 0xFFFFFFFF, "bo", "x"), "16000000 68 0100 00000000 ffffffff 0200 626f 0100 78"),
    (1, m.Rattach(ROOT), "14000000 69 0100 80 02000000 0807060504030201"),
    (2, m.Rerror("no"), "0b000000 6b 0200 0200 6e6f"),
    (3, m.Tflush(2), "09000000 6c 0300 0200"),
    (3, m.Rflush(), "07000000 6d 0300"),
    (4, m.Twalk(0, 1, ("a", "b")), "17000000 6e 0400 00000000 01000000 0200 0100 61 0100 62"),
    (4, m.Twalk(0, 1), "11000000 6e 0400 00000000 01000000 0000"),
    (4, m.Rwalk((ROOT,)), "16000000 6f 0400 0100 80 02000000 0807060504030201"),
    (5, m.Topen(1, 0x10), "0c000000 70 0500 01000000 10"),
    (5, m.Ropen(ROOT, 8192), "18000000 71 0500 80 02000000 0807060504030201 00200000"),
    (6, m.Tcreate(1, "d", 0x800001ED, 0), "13000000 72 0600 01000000 0100 64 ed010080 00"),
    (6, m.Rcreate(ROOT, 0), "18000000 73 0600 80 02000000 0807060504030201 00000000"),
    (7, m.Tread(1, 512, 100), "17000000 74 0700 01000000 0002000000000000 64000000"),
    (7, m.Rread(b"hi"), "0d000000 75 0700 02000000 6869"),
    (8, m.Twrite(1, 0, b"hi"), "19000000 76 0800 01000000 0000000000000000 02000000 6869"),
    (8, m.Rwrite(2), "0b000000 77 0800 02000000"),
    (9, m.Tclunk(1), "0b000000 78 0900 01000000"),
    (9, m.Rclunk(), "07000000 79 0900"),
    (10, m.Tremove(1), "0b000000 7a 0a00 01000000"),
    (10, m.Rremove(), "07000000 7b 0a00"),
    (11, m.Tstat(1), "0b000000 7c 0b00 01000000"),
    (
        11,
        m.Rstat(Stat(ROOT, 0x800001ED, "n", 0, 1, 2, "u", "g", "m")),
        "3e000000 7d 0b00 3500 3300 0000 00000000 80 02000000 0807060504030201 ed010080 01000000 02000000"
        "0000000000000000 0100 6e 0100 75 0100 67 0100 6d",
    ),
    (
        12,
        m.Twstat(1, UNTOUCHED),
        "3e000000 7e 0c00 01000000 3100 2f00 ffff ffffffff ff ffffffff ffffffffffffffff ffffffff ffffffff ffffffff"
        "ffffffffffffffff 0000 0000 0000 0000",
    ),
    (12, m.Rwstat(), "07000000 7f 0c00"),
]


@pytest.mark.parametrize(("tag", "message", "written"), VECTORS, ids=[type(vector[1]).__name__ for vector in VECTORS])
def test_bytes_are_those_of_the_manual(tag: int, message: m.Message, written: str) -> None:
    frame = bytes.fromhex(written)
    assert dump(tag, message).hex(" ") == frame.hex(" ")
    assert parse(frame) == (tag, message)


@given(tags, messages)
def test_a_message_comes_back(tag: int, message: m.Message) -> None:
    frame = dump(tag, message)
    assert parse(frame) == (tag, message)
    assert find_tag(frame) == tag


@given(st.lists(st.tuples(tags, messages), max_size=5), places)
def test_messages_come_back_however_they_are_cut(some: list[tuple[int, m.Message]], places: list[int]) -> None:
    data = b"".join(dump(tag, message) for tag, message in some)
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    frames, seen = Frames(1 << 20), []
    for start, end in pairwise(bounds):
        frames.feed(data[start:end])
        while (frame := frames.take()) is not None:
            seen.append(parse(frame))
    assert seen == some
    assert frames.held == 0


def judge(frame: bytes) -> None:
    """Whatever these bytes are: a message that is dumped to the same, or Malformed."""
    try:
        tag, message = parse(frame)
    except Malformed:
        return
    assert dump(tag, message)[4:] == frame[4:]


@given(tags, messages)
def test_what_was_cut_off_is_malformed(tag: int, message: m.Message) -> None:
    frame = dump(tag, message)
    for end in range(7, len(frame)):
        with pytest.raises(Malformed):
            parse(frame[:end])


@given(tags, messages, st.binary(min_size=1, max_size=4))
def test_what_has_more_is_malformed(tag: int, message: m.Message, more: bytes) -> None:
    with pytest.raises(Malformed):
        parse(dump(tag, message) + more)


@given(tags, messages, st.data())
def test_any_change_is_a_message_or_malformed(tag: int, message: m.Message, data: st.DataObject) -> None:
    frame = bytearray(dump(tag, message))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(4, len(frame) - 1))] = data.draw(st.integers(0, 255))
    judge(bytes(frame))


@given(st.binary(min_size=7, max_size=200))
def test_any_bytes_are_a_message_or_malformed(frame: bytes) -> None:
    judge(frame)


@given(st.integers(100, 127), st.binary(max_size=100))
def test_any_body_is_a_message_or_malformed(code: int, body: bytes) -> None:
    judge(bytes([7 + len(body), 0, 0, 0, code, 1, 0]) + body)


@pytest.mark.parametrize("size", [0, 6, 101, 0xFFFFFFFF])
def test_a_size_that_no_message_has_ends_the_stream(size: int) -> None:
    frames = Frames(100)
    frames.feed(size.to_bytes(4, "little") + bytes(3))
    with pytest.raises(Malformed, match=f"message of {size} bytes"):
        frames.take()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("0c000000 6b 0200 0300 6e006f", "NUL"),
        ("0b000000 6b 0200 0200 ff6f", "UTF-8"),
        ("07000000 6a 0200", "unknown message type 106"),
        ("11000000 6e 0400 00000000 01000000 1100", "16 names"),
    ],
)
def test_what_is_wrong_is_said(frame: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse(bytes.fromhex(frame))


@pytest.mark.parametrize(
    "message",
    [
        m.Rerror("a\0b"),
        m.Rerror("\ud800"),
        m.Rerror("x" * 65536),
        m.Tclunk(-1),
        m.Rwrite(1 << 32),
        m.Rstat(Stat(ROOT, 0, "n", length=-1)),
    ],
)
def test_what_cannot_be_sent_is_refused(message: m.Message) -> None:
    with pytest.raises(Malformed, match="cannot be sent"):
        dump(1, message)


@given(st.lists(stats, max_size=5))
def test_a_directory_comes_back(some: list[Stat]) -> None:
    data = b"".join(map(dump_stat, some))
    assert parse_stats(data) == some
    if data:
        with pytest.raises(Malformed):
            parse_stats(data[:-1])


small = st.integers(0, 0xFFFFFFFE)


@given(
    st.builds(
        StatChange,
        st.none() | small,
        st.none() | texts.filter(bool),
        st.none() | small,
        st.none() | small,
        st.none() | texts.filter(bool),
    )
)
def test_a_change_comes_back(change: StatChange) -> None:
    assert parse_change(dump_change(change)) == change


def test_a_wstat_of_nothing_is_a_sync() -> None:
    assert parse_change(UNTOUCHED).is_sync
    assert not touches_fixed(UNTOUCHED)


@given(stats)
def test_what_is_there_already_may_be_asked_for(stat: Stat) -> None:
    refuse_fixed(stat, stat)


@given(u32)
def test_an_access_time_is_passed_over(atime: int) -> None:
    asked = Stat(**{name: getattr(UNTOUCHED, name) for name in UNTOUCHED.__slots__} | {"atime": atime})
    assert parse_change(asked).is_sync


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"uid": "eve"}, "uid"), ({"type": 3}, "type"), ({"qid": ROOT}, "qid"), ({"mode": int(Mode.DIR)}, "directory")],
)
def test_what_is_fixed_cannot_be_changed(changed: dict[str, object], word: str) -> None:
    asked = Stat(**{name: getattr(UNTOUCHED, name) for name in UNTOUCHED.__slots__} | changed)
    assert touches_fixed(asked)
    with pytest.raises(NinepError, match=word):
        refuse_fixed(asked, Stat(Qid(QidType.FILE, 0, 1), 0o644, "n"))
