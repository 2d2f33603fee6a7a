"""Filters of system calls for programs in walls, as bwrap's `--seccomp` takes them: classic BPF (seccomp(2), bpf(4)).

For x86-64 alone, as everything that runs machines here. A call that no rule speaks of is let through.
"""

import os
import struct
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Load a word of the call's data; jump if the loaded value is, is at least, or has bits of a constant; the verdict."""
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_X86_64 = 0xC000003E
_X32_BIT = 0x40000000
"""Set in numbers of a second table of the same calls, which would be a way around any rule."""
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000


@dataclass(frozen=True, slots=True)
class Rule:
    """System call `number` is not made, and returns `error`, or 0 as if it had been made.

    With `bits`, only when its argument of this index has one of these bits, with `lacks` only when it has none of
    these; with `value`, only when the argument is it. Of an argument only the low 32 bits are looked at: as much as the
    kernel takes of an `int`.
    """

    number: int
    error: int
    argument: int = 0
    bits: int | None = None
    value: int | None = None
    lacks: int | None = None


def dump_filter(rules: Iterable[Rule]) -> bytes:
    """The program."""
    steps = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_EQUAL, 1, 0, _X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _AT_NUMBER),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
    ]
    for rule in rules:
        steps += _plan_rule(rule)
    return b"".join(struct.pack("=HBBI", *step) for step in [*steps, (_RETURN, 0, 0, _ALLOW)])


def open_filter(stack: ExitStack, rules: Iterable[Rule]) -> int:
    """The program in a descriptor, which is open as long as `stack`."""
    fd = os.memfd_create("filter", os.MFD_CLOEXEC)
    stack.callback(os.close, fd)
    os.write(fd, dump_filter(rules))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _plan_rule(rule: Rule) -> list[tuple[int, int, int, int]]:
    verdict = (_RETURN, 0, 0, _ERROR | rule.error)
    if rule.bits is not None:
        condition = (_HAS_BITS, 0, 1, rule.bits)
    elif rule.lacks is not None:
        condition = (_HAS_BITS, 1, 0, rule.lacks)
    elif rule.value is not None:
        condition = (_EQUAL, 0, 1, rule.value)
    else:
        return [(_LOAD, 0, 0, _AT_NUMBER), (_EQUAL, 0, 1, rule.number), verdict]
    argument = (_LOAD, 0, 0, _AT_ARGUMENTS + 8 * rule.argument)
    return [(_LOAD, 0, 0, _AT_NUMBER), (_EQUAL, 0, 3, rule.number), argument, condition, verdict]
