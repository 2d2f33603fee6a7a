"""Answers to who looks for an IPv6 router while it boots."""

import struct
from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from weft.host.handout.routers import answer_solicitation, link_local

OWN, ASKER = bytes.fromhex("020000000001"), bytes.fromhex("525700000002")


def solicit(source: bytes = link_local(ASKER), kind: int = 133) -> bytes:
    head = bytes.fromhex("333300000002") + ASKER + b"\x86\xdd"
    return head + struct.pack("!IHBB", 6 << 28, 8, 58, 255) + source + bytes(16) + bytes([kind]) + bytes(7)


def everybody(_mac: str) -> bool:
    return True


def test_there_is_a_router_that_is_none():
    answer = answer_solicitation(solicit(), OWN, lambda mac: mac == "52:57:00:00:00:02")
    assert answer is not None
    assert (answer[:6], answer[6:12], answer[12:14]) == (ASKER, OWN, b"\x86\xdd")
    assert (answer[20], answer[21]) == (58, 255)
    assert str(IPv6Address(answer[22:38])) == "fe80::ff:fe00:1"
    assert answer[38:54] == link_local(ASKER)
    kind, code, _sum, _hops, flags, lifetime = struct.unpack_from("!BBHBBH", answer, 54)
    assert (kind, code, flags, lifetime, len(answer)) == (134, 0, 0, 0, 70)


@given(st.binary(min_size=6, max_size=6), st.binary(min_size=16, max_size=16))
def test_its_sum_is_right(own: bytes, source: bytes):
    answer = answer_solicitation(solicit(source), own, everybody)
    assert answer is not None
    words = answer[22:54] + struct.pack("!II", 16, 58) + answer[54:]
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


def test_who_has_no_address_yet_is_answered_with_all():
    answer = answer_solicitation(solicit(bytes(16)), OWN, everybody)
    assert answer is not None
    assert str(IPv6Address(answer[38:54])) == "ff02::1"


def test_nobody_else_is_answered():
    assert answer_solicitation(solicit(), OWN, lambda _mac: False) is None
    assert answer_solicitation(solicit(kind=135), OWN, everybody) is None
    assert answer_solicitation(solicit()[:-1], OWN, everybody) is None
