"""Reading what is in a message, and never beyond it: numbers, texts, qids. Writing them.

All numbers are little-endian; a text is its length in two bytes and UTF-8 without NUL (intro(5)).
"""

from struct import Struct, error

from weft.ninep.words import NinepError, Qid, QidType

U16 = Struct("<H")
U32 = Struct("<I")
QID = Struct("<BIQ")
_QID_TYPES = tuple(map(QidType, range(256)))


class Malformed(NinepError):
    """Bytes that are no message, or values that fit into none."""


class Cursor:
    """Goes through bytes from a place on. Every method raises Malformed where they end too early or make no sense."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, layout: Struct) -> tuple[int, ...]:
        try:
            numbers = layout.unpack_from(self.data, self.at)
        except error:
            raise Malformed("malformed message: too short") from None
        self.at += layout.size
        return numbers

    def u16(self) -> int:
        return self.take(U16)[0]

    def u32(self) -> int:
        return self.take(U32)[0]

    def bytes(self, count: int) -> bytes:
        start = self.at
        if len(self.data) - start < count:
            raise Malformed("malformed message: too short")
        self.at = start + count
        return self.data[start : self.at]

    def text(self) -> str:
        return parse_text(self.bytes(self.u16()))

    def qid(self) -> Qid:
        return make_qid(*self.take(QID))

    def end(self) -> None:
        """There must be no more."""
        if self.at != len(self.data):
            raise Malformed("malformed message: too long")


def make_qid(kind: int, version: int, path: int) -> Qid:
    """Of numbers from a message."""
    return Qid(_QID_TYPES[kind], version, path)


def parse_text(data: bytes) -> str:
    """Raises Malformed for what is not UTF-8, and for NUL."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed("malformed message: text is not UTF-8") from None
    if "\0" in text:
        raise Malformed("malformed message: NUL in a text")
    return text


def dump_text(text: str) -> bytes:
    """Raises Malformed for what cannot be sent: NUL, half a surrogate pair, more than 65535 bytes."""
    try:
        data = text.encode()
        if "\0" not in text:
            return U16.pack(len(data)) + data
    except (UnicodeEncodeError, error):
        pass
    raise Malformed("text that cannot be sent")


def dump_qid(qid: Qid) -> bytes:
    """Raises Malformed for numbers that have no room."""
    return dump_numbers(QID, qid.type, qid.version, qid.path)


def dump_numbers(layout: Struct, *numbers: int) -> bytes:
    """Raises Malformed for numbers that have no room."""
    try:
        return layout.pack(*numbers)
    except error:
        raise Malformed("number that cannot be sent") from None
