"""Traffic control messages for the three things done here: hook, filter, and reading filters back.

Written by hand since a splice is several of these under load: a general encoder costs ten times the kernel's own
work. u32 with an empty match takes every frame, and unlike matchall every kernel has it. Layouts are those of
linux/pkt_cls.h and linux/tc_act/tc_mirred.h.
"""

import struct
from dataclasses import dataclass

from weft.host.netlink import attribute, nest, parse_attributes, parse_text

NEW_QDISC = 36
NEW_FILTER, DELETE_FILTER, GET_FILTER = 44, 45, 46
ALL_PROTOCOLS = 0x0003

REDIRECT, MIRROR = 1, 2
"""TCA_EGRESS_REDIR, TCA_EGRESS_MIRROR."""

_MESSAGE = struct.Struct("=BxxxiIII")  # tcmsg: family, index, handle, parent, info
_HOOK_PARENT, _HOOK = 0xFFFFFFF1, 0xFFFF0000
_KIND, _OPTIONS = 1, 2
_U32_SELECTOR, _U32_ACTION = 5, 7
_ACTION_KIND, _ACTION_OPTIONS = 1, 2
_MIRRED_PARAMETERS = 2
_MIRRED = struct.Struct("=IIiiiiI")  # index, capabilities, verdict, references, bindings, direction, target
_STOLEN, _CONTINUE = 4, -1

# One key whose mask is zero, in a selector that is terminal (its flag 1): always true, and with a verdict.
_MATCH_ALL = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + struct.pack("=IIii", 0, 0, 0, 0)
_SELECTOR = attribute(_U32_SELECTOR, _MATCH_ALL)
_U32 = attribute(_KIND, "u32")


@dataclass(frozen=True, slots=True)
class RawFilter:
    """A filter as the kernel numbers it: links by index, `direction` is REDIRECT or MIRROR."""

    slot: int
    protocol: int
    direction: int
    target: int


def dump_hook(link: int) -> bytes:
    """The ingress queueing discipline."""
    return _MESSAGE.pack(0, link, _HOOK, _HOOK_PARENT, 0) + attribute(_KIND, "ingress")


def dump_filter(link: int, slot: int, direction: int, target: int, protocol: int = ALL_PROTOCOLS) -> bytes:
    """A filter that takes every frame of a protocol (by ethertype)."""
    verdict = _STOLEN if direction == REDIRECT else _CONTINUE
    mirred = attribute(_MIRRED_PARAMETERS, _MIRRED.pack(0, 0, verdict, 0, 0, direction, target))
    action = nest(1, attribute(_ACTION_KIND, "mirred"), nest(_ACTION_OPTIONS, mirred))
    options = nest(_OPTIONS, _SELECTOR, nest(_U32_ACTION, action))
    return _dump_slot(link, slot, protocol) + options


def dump_slot(link: int, slot: int, protocol: int = ALL_PROTOCOLS) -> bytes:
    """Names one slot, to delete it. Slot zero would mean the whole hook, so it is refused."""
    if not 0 < slot <= 0xFFFF:
        raise ValueError(f"slot {slot}")
    return _dump_slot(link, slot, protocol)


def dump_hook_query(link: int) -> bytes:
    """Names a hook, to list its filters."""
    return _MESSAGE.pack(0, link, 0, _HOOK, 0)


def parse_filter(body: bytes) -> RawFilter | None:
    """A filter of the form made here; None for anything else, such as the hash tables u32 lists beside it."""
    _, _, _, _, info = _MESSAGE.unpack_from(body)
    options = parse_attributes(parse_attributes(body[_MESSAGE.size :]).get(_OPTIONS, b""))
    for action in parse_attributes(options.get(_U32_ACTION, b"")).values():
        parts = parse_attributes(action)
        values = parse_attributes(parts.get(_ACTION_OPTIONS, b"")).get(_MIRRED_PARAMETERS, b"")
        if parse_text(parts.get(_ACTION_KIND, b"")) == "mirred" and len(values) >= _MIRRED.size:
            *_, direction, target = _MIRRED.unpack_from(values)
            return RawFilter(info >> 16, _swap(info & 0xFFFF), direction, target)
    return None


def _dump_slot(link: int, slot: int, protocol: int) -> bytes:
    return _MESSAGE.pack(0, link, 0, _HOOK, slot << 16 | _swap(protocol)) + _U32


def _swap(protocol: int) -> int:
    """Ethertypes are in network order."""
    return (protocol & 0xFF) << 8 | protocol >> 8
