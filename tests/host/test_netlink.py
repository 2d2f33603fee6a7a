"""Route netlink on the wire, without a kernel."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.host import rtnl, tc
from weft.host.netlink import Refused, _check, attribute, nest, parse_attributes, parse_messages, parse_text


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=300)))
def test_attributes_round_trip(values: dict[int, bytes]):
    assert parse_attributes(b"".join(attribute(kind, value) for kind, value in values.items())) == values


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_without_harm(data: bytes):
    parse_attributes(data)
    list(parse_messages(data))
    parse_text(data)
    if len(data) >= 20:
        tc.parse_filter(data)
        rtnl.parse_link(data)
        rtnl.parse_news(data)


def test_attributes_are_padded_and_nested():
    assert attribute(1, "ab") == b"\x07\0\x01\0ab\0\0"
    assert nest(2, attribute(3, 5)) == b"\x0c\0\x02\x80\x08\0\x03\0\x05\0\0\0"


def test_what_is_cut_off_is_left_out():
    whole = attribute(1, b"abcd") + attribute(2, b"efgh")
    assert parse_attributes(whole[:-1]) == {1: b"abcd"}
    assert parse_attributes(b"\x02\0\x01\0") == {}


def test_a_refusal_carries_the_kernels_words():
    request = struct.pack("=IHHII", 40, 44, 5, 1, 0) + bytes(24)
    words = attribute(1, "no such thing")
    for flags, quoted in ((0x200, request), (0x300, request[:16])):
        with pytest.raises(Refused, match="no such thing") as caught:
            _check(struct.pack("=i", -2) + quoted + words, flags)
        assert caught.value.errno == 2
    with pytest.raises(Refused, match="No such file"):
        _check(struct.pack("=i", -2) + request[:16], 0)
    _check(struct.pack("=i", 0), 0)


@pytest.mark.parametrize("slot", [0, -1, 0x10000])
def test_no_message_ever_names_the_whole_hook(slot: int):
    with pytest.raises(ValueError, match="slot"):
        tc.dump_slot(7, slot)


@given(st.integers(1, 0xFFFF), st.sampled_from([tc.REDIRECT, tc.MIRROR]), st.integers(1, 1 << 30))
def test_a_filter_reads_back_as_it_was_written(slot: int, direction: int, target: int):
    body = tc.dump_filter(3, slot, direction, target, protocol=0x88B5)
    assert tc.parse_filter(body) == tc.RawFilter(slot, 0x88B5, direction, target)
