"""Kernel files: what is accepted, every compression, and that damaged files are refused in one line."""

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.image_samples import PVH_NOTE, make_bzimage, make_elf, make_vmlinux

from weft.image.vmlinux import MAX_VMLINUX, check_pvh, decompress_payload, find_payload, load_vmlinux
from weft.model.errors import Invalid, WeftError

VMLINUX = make_vmlinux()
SIZE = struct.pack("<I", len(VMLINUX))


def piped(*argv: str) -> Callable[[bytes], bytes]:
    def compress(data: bytes) -> bytes:
        if not shutil.which(argv[0]):
            pytest.skip(f"needs {argv[0]}")
        return subprocess.run(argv, input=data, stdout=subprocess.PIPE, check=True).stdout

    return compress


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": piped("zstd", "-cq"),
    "lz4": piped("lz4", "-lcq"),
    "none": bytes,
}


async def test_a_vmlinux_is_taken_as_it_is() -> None:
    kernel = await load_vmlinux(VMLINUX, "k")
    assert (kernel.data, kernel.release) == (VMLINUX, "6.1.99-sample")


@pytest.mark.parametrize("name", COMPRESSIONS)
async def test_a_bzimage_gives_its_vmlinux(name: str) -> None:
    compressed = COMPRESSIONS[name](VMLINUX)
    payload = compressed if name == "gzip" else compressed + SIZE  # gzip ends with the size by itself
    kernel = await load_vmlinux(make_bzimage(payload), "k")
    assert kernel.data[: len(VMLINUX)] == VMLINUX
    assert kernel.release == "6.1.99-sample"


async def test_no_setup_sectors_means_four() -> None:
    image = bytearray(make_bzimage(gzip.compress(VMLINUX), setup_sectors=4))
    image[0x1F1] = 0
    assert (await load_vmlinux(bytes(image), "k")).data == VMLINUX


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "neither"),
        (b"#!/bin/sh\n" * 100, "neither"),
        (make_bzimage(gzip.compress(VMLINUX), version=0x207), "too old"),
        (make_bzimage(gzip.compress(VMLINUX))[:-4], "cut short"),
        (make_bzimage(b"unknown compression" + SIZE), "unknown way"),
        (make_bzimage(b"\x1f\x8b\x08" + bytes(50) + SIZE), "does not decompress"),
        (make_bzimage(lzma.compress(VMLINUX) + struct.pack("<I", len(VMLINUX) + 1)), "unpacks to"),
        (make_bzimage(gzip.compress(VMLINUX)[:-4] + struct.pack("<I", MAX_VMLINUX + 1)), "which no kernel does"),
        (VMLINUX[:70], "not a sound ELF"),
        (make_elf(tail=b"Linux version 1"), "no PVH entry"),
        (make_elf(machine=183, notes=PVH_NOTE), "not for x86-64"),
        (make_elf(notes=PVH_NOTE), "which Linux"),
    ],
)
async def test_anything_else_is_refused_in_one_line(data: bytes, complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint) as caught:
        await load_vmlinux(data, "/boot/k")
    assert "/boot/k" in caught.value.message
    assert "\n" not in caught.value.message


def test_the_note_is_found_among_others() -> None:
    other = struct.pack("<III", 4, 3, 99) + b"GNU\0" + b"abc\0"
    check_pvh(make_elf(notes=other + PVH_NOTE), "k")
    with pytest.raises(Invalid, match="no PVH"):
        check_pvh(make_elf(notes=other), "k")


@given(st.binary(max_size=300), st.integers(0, len(VMLINUX)))
def test_no_damage_raises_anything_but_our_errors(noise: bytes, at: int) -> None:
    damaged = VMLINUX[:at] + noise + VMLINUX[at + len(noise) :]
    try:
        check_pvh(damaged, "k")
    except WeftError as err:
        assert "k" in str(err)


@given(st.binary(max_size=2000))
def test_no_header_raises_anything_but_our_errors(noise: bytes) -> None:
    image = bytearray(make_bzimage(bytes(64)))
    image[0x206 : 0x206 + len(noise)] = noise
    try:
        find_payload(bytes(image), "k")
    except WeftError as err:
        assert "k" in str(err)


@given(st.sampled_from([b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh", b"\x5d\0\0"]), st.binary(min_size=8, max_size=200))
async def test_no_payload_raises_anything_but_our_errors(magic: bytes, noise: bytes) -> None:
    try:
        await decompress_payload(magic + noise, "k")
    except WeftError as err:
        assert "k" in str(err)
