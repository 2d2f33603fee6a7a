"""From pcap in pieces to pcapng in whole blocks; tshark is the judge of both."""

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.fabric.pcapng import PcapngWriter
from weft.model.errors import Internal

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
ETHERNET = 1


@dataclass(frozen=True, slots=True)
class Packet:
    """`time` in nanoseconds since the epoch; `length` as it was on the wire, perhaps more than was captured."""

    time: int
    data: bytes
    length: int


packets = st.builds(
    lambda time, data, cut: Packet(time, data, len(data) + cut),
    st.integers(min_value=0, max_value=(1 << 32) * 10**9 - 1),
    st.binary(max_size=200),
    st.integers(min_value=0, max_value=2000),
)


def dump_pcap(packets: list[Packet], order: str = "<") -> bytes:
    head = struct.pack(order + "IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, ETHERNET)
    records = [
        struct.pack(order + "IIII", p.time // 10**9, p.time % 10**9, len(p.data), p.length) + p.data for p in packets
    ]
    return b"".join([head, *records])


def split(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """In pieces of these sizes, and then the rest."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def parse_blocks(data: bytes) -> list[tuple[int, bytes]]:
    """(kind, body) of every block, with both lengths checked."""
    blocks = []
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0 and size <= len(data)
        assert struct.unpack_from("<I", data, size - 4)[0] == size
        blocks.append((kind, data[8 : size - 4]))
        data = data[size:]
    return blocks


def parse_packet(body: bytes) -> Packet:
    interface, high, low, captured, length = struct.unpack_from("<IIIII", body)
    assert interface == 0
    padding = body[20 + captured :]
    assert padding == bytes(-captured % 4)
    return Packet((high << 32) + low, body[20 : 20 + captured], length)


@given(st.lists(packets, max_size=20), st.lists(st.integers(min_value=0, max_value=50)), st.sampled_from("<>"))
def test_every_packet_comes_out_whole_however_it_came_in(sent: list[Packet], sizes: list[int], order: str) -> None:
    writer = PcapngWriter("web:0")
    blocks = [block for piece in split(dump_pcap(sent, order), sizes) for block in writer.feed(piece)]
    kinds = [kind for block in blocks for kind, _ in parse_blocks(block)]
    assert kinds == [SECTION, INTERFACE, *[PACKET] * len(sent)]
    assert [parse_packet(body) for kind, body in parse_blocks(b"".join(blocks)) if kind == PACKET] == sent
    assert writer.packets == len(sent)


def test_a_packet_is_handed_out_with_its_last_byte() -> None:
    data = dump_pcap([Packet(1, b"x" * 60, 60)])
    writer = PcapngWriter("web:0")
    assert len(list(writer.feed(data[:24]))) == 1
    assert list(writer.feed(data[24:-1])) == []
    assert len(list(writer.feed(data[-1:]))) == 1


def test_what_is_no_capture_with_nanoseconds_is_refused() -> None:
    microseconds = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, ETHERNET)
    for data in (microseconds, b"tcpdump: eth0: no such device"):
        with pytest.raises(Internal, match="the sniffer sent no capture"):
            list(PcapngWriter("web:0").feed(data))


def test_a_length_beyond_reason_is_refused() -> None:
    head = dump_pcap([]) + struct.pack("<IIII", 0, 0, 1 << 20, 1 << 20)
    with pytest.raises(Internal, match="a packet of 1048576 bytes"):
        list(PcapngWriter("web:0").feed(head))


@settings(max_examples=5)
@given(st.lists(packets.filter(lambda packet: packet.data != b""), min_size=1, max_size=5))
def test_tshark_reads_what_was_written(sent: list[Packet]) -> None:
    capture = b"".join(PcapngWriter("web:0").feed(dump_pcap(sent)))
    fields = ["frame.interface_name", "frame.time_epoch", "frame.cap_len", "frame.len"]
    argv = ["tshark", "-n", "-r", "-", "-T", "fields", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(argv, input=capture, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == [
        f"web:0\t{p.time // 10**9}.{p.time % 10**9:09}\t{len(p.data)}\t{p.length}" for p in sent
    ]
