"""What an image of a disk is, by its first bytes; the header is written here by hand, from QEMU's description of it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.host.disk_formats import HEAD, parse_format
from weft.model.errors import Invalid


def qcow2(version: int = 3, *, backing: int = 0, encryption: int = 0, features: int = 0) -> bytes:
    """The first bytes of such an image: one of version 2 has something else where the features of version 3 are."""
    start = struct.pack(">4sIQIIQI", b"QFI\xfb", version, backing, 0, 16, 1 << 30, encryption)
    tables = struct.pack(">IQQIIQ", 1, 0x30000, 0x10000, 1, 0, 0)
    return (start + tables + struct.pack(">Q", features)).ljust(HEAD, b"\0")


@pytest.mark.parametrize("features", [0, 0b1, 0b11, 0b1000, 0b10000])
def test_a_whole_qcow2_image_is_one(features: int) -> None:
    assert parse_format(qcow2(features=features)) == "qcow2"
    assert parse_format(qcow2(2)) == "qcow2"
    assert parse_format(qcow2(2, features=4)) == "qcow2", "version 2 has no features there"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (qcow2(backing=0x68), "rests on another file"),
        (qcow2(2, backing=0x48), "rests on another file"),
        (qcow2(features=4), "its data in another file"),
        (qcow2(features=0xFF), "its data in another file"),
        (qcow2(encryption=1), "encrypted"),
        (qcow2(1), "version 1"),
        (qcow2(4), "version 4"),
        (b"QFI\xfb", "version 0"),
        (b"KDMV\1\0\0\0", "VMDK"),
        (b"# Disk DescriptorFile\nversion=1\n", "VMDK"),
        (b"vhdxfile", "VHDX"),
        (b"conectix", "VHD"),
        (b"QED\0", "QED"),
        (b"<<< VirtualBox Disk Image >>>\n".ljust(64, b"\0") + b"\x7f\x10\xda\xbe", "VDI"),
    ],
)
def test_what_leads_elsewhere_or_is_for_other_programs_is_refused(head: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse_format(head)


@given(st.binary(max_size=HEAD))
def test_anything_else_is_raw(head: bytes) -> None:
    if not head.startswith((b"QFI\xfb", b"KDMV", b"# Disk", b"vhdx", b"conectix", b"QED\0")):
        assert parse_format(head) == "raw" or head[64:68] == b"\x7f\x10\xda\xbe"


@given(st.binary(max_size=HEAD - 4))
def test_a_qcow2_image_that_is_taken_needs_no_other_file(rest: bytes) -> None:
    head = (b"QFI\xfb" + rest).ljust(HEAD, b"\0")
    try:
        assert parse_format(head) == "qcow2"
    except Invalid:
        return
    assert head[8:16] == bytes(8)
    assert head[4:8] == b"\0\0\0\2" or not head[79] & 4
