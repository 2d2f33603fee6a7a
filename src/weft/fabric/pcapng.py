"""From tcpdump's stream to pcapng.

The appliance's tcpdump writes classic pcap with nanoseconds; readers of a live stream want pcapng, where the
interface has a name and every block stands for itself. Formats: the pcap and pcapng Internet drafts
(draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng). No kept library writes pcapng to a stream.
"""

import struct
from collections.abc import Iterator

from weft.model.errors import Internal

_PCAP_NANO = {b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}
_GLOBAL_SIZE, _RECORD_SIZE = 24, 16
_MAX_PACKET = 1 << 18
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_OPT_END, _OPT_COMMENT, _OPT_NAME, _OPT_RESOLUTION, _OPT_APPLICATION = 0, 1, 2, 9, 4


class PcapngWriter:
    """Takes pcap in pieces of any size, gives pcapng in whole blocks: what is in was not yet handed out is at most
    one packet."""

    def __init__(self, interface: str, application: str = "weft") -> None:
        self._interface = interface
        self._application = application
        self._pending = b""
        self._order = ""
        self.packets = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The blocks that `data` completes. Raises Internal when it is not nanosecond pcap."""
        self._pending += data
        if not self._order:
            if len(self._pending) < _GLOBAL_SIZE:
                return
            yield self._begin()
        while block := self._next_packet():
            self.packets += 1
            yield block

    def _begin(self) -> bytes:
        order = _PCAP_NANO.get(self._pending[:4])
        if order is None:
            raise Internal(f"the sniffer sent no capture but {self._pending[:40]!r}")
        self._order = order
        snap_length, link_type = struct.unpack_from(order + "16xII", self._pending)
        self._pending = self._pending[_GLOBAL_SIZE:]
        section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options((_OPT_APPLICATION, self._application.encode()))
        interface = struct.pack("<HHI", link_type & 0xFFFF, 0, snap_length) + _options(
            (_OPT_NAME, self._interface.encode()), (_OPT_RESOLUTION, b"\x09")
        )
        return _block(_SECTION, section) + _block(_INTERFACE, interface)

    def _next_packet(self) -> bytes | None:
        if len(self._pending) < _RECORD_SIZE:
            return None
        seconds, nanoseconds, captured, length = struct.unpack_from(self._order + "IIII", self._pending)
        if captured > _MAX_PACKET:
            raise Internal(f"the sniffer sent a packet of {captured} bytes")
        end = _RECORD_SIZE + captured
        if len(self._pending) < end:
            return None
        data, self._pending = self._pending[_RECORD_SIZE:end], self._pending[end:]
        time = seconds * 1_000_000_000 + nanoseconds
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, captured, length)
        return _block(_PACKET, head + _padded(data))


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _options(*options: tuple[int, bytes]) -> bytes:
    parts = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options]
    return b"".join([*parts, struct.pack("<HH", _OPT_END, 0)])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
