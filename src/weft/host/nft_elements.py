"""Elements of nftables sets, changed over netlink: a program would take longer than the machine that waits for it.

A change is one batch, which the kernel carries out as a whole or not at all, inside send(). Layouts and numbers are
those of linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h. Fields are in network order, if not their values.
"""

import itertools
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

from weft.host.namespace import Namespace
from weft.host.netlink import ACK, CREATE, REQUEST, attribute, nest, parse_messages
from weft.model.elements import ElementChanges, SetElement
from weft.model.errors import Internal

_NETFILTER = 12  # NETLINK_NETFILTER
_TABLES = 10  # NFNL_SUBSYS_NFTABLES
_BATCH_BEGIN, _BATCH_END, _ERROR = 0x10, 0x11, 2
_NEW, _DELETE = _TABLES << 8 | 12, _TABLES << 8 | 14  # NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEMENT = 1, 2, 3, 1
_KEY, _DATA, _KEY_END = 1, 2, 10
_VALUE, _VERDICT = 1, 2
_CODE, _CHAIN = 1, 2
_ACCEPT, _GOTO = 1, -4 & 0xFFFFFFFF
_FAMILIES = {"inet": 1, "bridge": 7}
_HEADER, _SUBHEADER = struct.Struct("=IHHII"), struct.Struct(">BBH")
_MOST = 200
"""Elements in one message: an attribute holds 64 KB."""
_SEND_BUFFER, _SNDBUFFORCE = 1 << 22, 32
_RECEIVE = 1 << 16


async def change_elements(namespace: Namespace, table: str, changes: ElementChanges) -> None:
    """Change what is in the sets of a table, like `bridge weft`. Raises Internal, and then nothing has changed:
    something was there already, or was not; Unavailable."""
    family, name = table.split()
    with await namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as sock:
        with suppress(PermissionError):  # older kernels: not in a user namespace
            sock.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, _SEND_BUFFER)
        sock.setblocking(False)
        try:
            sock.send(dump_batch(_FAMILIES[family], name, changes))
            code = _find_refusal(sock)
        except OSError as err:
            raise Internal(f"the table {table} cannot be changed: {err.strerror}") from err
    if code:
        raise Internal(f"the kernel refuses a change of the table {table}: {os.strerror(code)}")


def dump_batch(family: int, table: str, changes: ElementChanges) -> bytes:
    """The messages of a change."""
    bodies = [(_DELETE, body) for body in _dump_bodies(table, changes.gone, whole=False)]
    bodies += [(_NEW, body) for body in _dump_bodies(table, changes.come, whole=True)]
    messages = [_dump_message(_BATCH_BEGIN, 0, _TABLES, 0)]
    messages += [
        _dump_message(kind, family, 0, number, body, CREATE if kind == _NEW else 0)
        for number, (kind, body) in enumerate(bodies, 1)
    ]
    return b"".join([*messages, _dump_message(_BATCH_END, 0, _TABLES, len(messages))])


def _dump_bodies(table: str, elements: Iterable[SetElement], *, whole: bool) -> Iterator[bytes]:
    for name, found in itertools.groupby(elements, key=lambda element: element.name):
        for some in _portions(list(found)):
            items = (nest(_LIST_ELEMENT, *_dump_element(element, whole=whole)) for element in some)
            yield attribute(_LIST_TABLE, table) + attribute(_LIST_SET, name) + nest(_LIST_ELEMENTS, *items)


def _portions(elements: list[SetElement]) -> Iterator[list[SetElement]]:
    for start in range(0, len(elements), _MOST):
        yield elements[start : start + _MOST]


def _dump_element(element: SetElement, *, whole: bool) -> Iterator[bytes]:
    """The parts of an element; for one that goes its key says all."""
    yield nest(_KEY, attribute(_VALUE, element.key))
    if element.last is not None:
        yield nest(_KEY_END, attribute(_VALUE, element.last))
    if element.chain is not None and whole:
        goes_on = [attribute(_CHAIN, element.chain)] if element.chain else []
        code = struct.pack(">I", _GOTO if goes_on else _ACCEPT)
        yield nest(_DATA, nest(_VERDICT, attribute(_CODE, code), *goes_on))


def _dump_message(kind: int, family: int, resource: int, number: int, body: bytes = b"", flags: int = 0) -> bytes:
    flags |= REQUEST | (ACK if body else 0)
    size = _HEADER.size + _SUBHEADER.size + len(body)
    return _HEADER.pack(size, kind, flags, number, 0) + _SUBHEADER.pack(family, 0, resource) + body


def _find_refusal(sock: socket.socket) -> int:
    """The first error number among the answers, which are all there; zero if there is none."""
    codes = []
    while True:
        try:
            answer = sock.recv(_RECEIVE)
        except BlockingIOError:
            break
        codes += [
            -struct.unpack_from("=i", content)[0] for kind, _, _, content in parse_messages(answer) if kind == _ERROR
        ]
    if not codes:
        raise OSError(0, "it does not answer")
    return next((code for code in codes if code), 0)
