"""Filters of system calls, run by an interpreter of the few instructions that they consist of."""

import struct

import pytest

from weft.host.confinement import CONFINEMENT
from weft.host.file_server import RULES
from weft.host.frugality import plan_frugality
from weft.host.seccomp import Rule, dump_filter

X86_64, I386 = 0xC000003E, 0x40000003
KILLED, ALLOWED = 0x80000000, 0x7FFF0000


def judge(program: bytes, number: int, *arguments: int, architecture: int = X86_64) -> int:
    """The verdict on a call, as the kernel reads the program (include/uapi/linux/seccomp.h, struct seccomp_data)."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(*arguments, *[0] * (6 - len(arguments))))
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    value, at = 0, 0
    while True:
        code, yes, no, constant = steps[at]
        at += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, constant)
            case 0x06:
                return int(constant)
            case 0x15 | 0x35 | 0x45:
                holds = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[code]
                at += yes if holds else no
            case _:
                raise AssertionError(f"instruction {code:#x}")


FILTER = dump_filter([Rule(117, 0), Rule(268, 1, argument=2, bits=0o6000)])


def test_a_call_that_no_rule_speaks_of_is_let_through() -> None:
    assert judge(FILTER, 0) == judge(dump_filter([]), 117) == ALLOWED


def test_a_call_can_be_left_out_as_if_it_had_been_made() -> None:
    assert judge(FILTER, 117, 5, 5, 5) == 0x50000


@pytest.mark.parametrize(
    ("mode", "verdict"), [(0o755, ALLOWED), (0o4755, 0x50001), (0o2000, 0x50001), (0o1777, ALLOWED)]
)
def test_a_call_can_be_refused_for_its_bits(mode: int, verdict: int) -> None:
    assert judge(FILTER, 268, 0, 0o6000, mode) == verdict


def test_a_call_can_be_left_out_for_one_value_of_an_argument() -> None:
    program = dump_filter([Rule(28, 0, argument=2, value=14)])
    assert judge(program, 28, 0, 14, 14) == 0x50000
    assert judge(program, 28, 0, 14, 4) == judge(program, 27, 0, 0, 14) == ALLOWED


def test_there_is_no_way_around_by_another_table_of_calls() -> None:
    assert judge(FILTER, 0, architecture=I386) == judge(FILTER, 0x40000000 | 268) == KILLED


def test_a_file_server_stays_who_it_is_and_makes_nothing_that_is_more() -> None:
    program = dump_filter(RULES)
    assert [judge(program, number) for number in (116, 117, 119)] == [0x50000] * 3
    assert judge(program, 257, 3, 0, 0o101, 0o104755) == judge(program, 259, 3, 0, 0o104755) == 0x50001
    assert judge(program, 257, 3, 0, 0o101, 0o644) == judge(program, 91, 3, 0o755) == ALLOWED


@pytest.mark.parametrize(
    ("accel", "borrowed", "disks", "huge", "punch"),
    [
        ("tcg", True, False, 0x50000, 0x50000),
        ("kvm", True, False, ALLOWED, 0x50000),
        ("tcg", True, True, 0x50000, ALLOWED),
        ("kvm", False, False, ALLOWED, ALLOWED),
    ],
)
def test_qemu_is_frugal_with_memory_and_true_to_its_disks(
    accel: str, borrowed: bool, disks: bool, huge: int, punch: int
) -> None:
    program = dump_filter(plan_frugality(accel, borrowed=borrowed, disks=disks))
    assert (judge(program, 28, 0, 1 << 21, 14), judge(program, 285, 9, 3)) == (huge, punch)
    assert judge(program, 28, 0, 1 << 21, 4) == judge(program, 285, 9, 0) == ALLOWED


def test_a_qemu_without_a_filter_of_its_own_has_threads_and_no_children() -> None:
    program = dump_filter(CONFINEMENT)
    thread, child = 0x3D0F00, 0x1200011
    assert (judge(program, 56, thread), judge(program, 56, child)) == (ALLOWED, 0x50001)
    assert (judge(program, 57), judge(program, 58), judge(program, 435)) == (0x50001, 0x50001, 0x50026)
    assert judge(program, 59) == judge(program, 117) == ALLOWED, "the way to it leads by execve and setresuid"
