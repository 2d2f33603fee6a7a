"""Files to test with, made from nothing: ELF files, kernels, bzImages and packages' archives."""

import io
import struct
import tarfile

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RUNPATH = 0, 1, 5, 10, 29
HEADER_SIZE, PROGRAM_HEADER_SIZE = 64, 56
PVH_NOTE = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x200000)
BANNER = b"\0Linux version 6.1.99-sample (weft@weft) (gcc) #1 SMP\0"


def make_elf(
    *,
    machine: int = 62,
    interpreter: str | None = None,
    needed: tuple[str, ...] = (),
    runpath: str | None = None,
    notes: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """A 64-bit ELF file whose addresses are its file offsets."""
    strings, dynamic = _dynamic(needed, runpath)
    interp = interpreter.encode() + b"\0" if interpreter else b""
    parts = [(PT_INTERP, interp), (PT_NOTE, notes), (0, strings), (PT_DYNAMIC, dynamic)]
    parts = [(kind, data) for kind, data in parts if data]
    count = sum(1 for kind, _ in parts if kind) + 1
    at, headers, body = HEADER_SIZE + PROGRAM_HEADER_SIZE * count, b"", b""
    strings_at = 0
    for kind, data in parts:
        if kind:
            headers += _program_header(kind, at + len(body), len(data))
        else:
            strings_at = at + len(body)
        body += data
    body = body.replace(struct.pack("<QQ", DT_STRTAB, 0), struct.pack("<QQ", DT_STRTAB, strings_at))
    headers = _program_header(PT_LOAD, 0, at + len(body)) + headers
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, at, HEADER_SIZE, 0, 0, 64, PROGRAM_HEADER_SIZE, count, 64, 0, 0
    )
    return ident + header + headers + body + tail


def _dynamic(needed: tuple[str, ...], runpath: str | None) -> tuple[bytes, bytes]:
    strings, tags = b"\0", []
    for tag, text in [*((DT_NEEDED, name) for name in needed), *([(DT_RUNPATH, runpath)] if runpath else [])]:
        tags.append((tag, len(strings)))
        strings += text.encode() + b"\0"
    tags += [(DT_STRTAB, 0), (DT_STRSZ, len(strings)), (DT_NULL, 0)]
    return strings, b"".join(struct.pack("<QQ", *tag) for tag in tags)


def _program_header(kind: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, 5, offset, offset, offset, size, size, 4)


def make_vmlinux() -> bytes:
    """The smallest file that passes for a kernel with a PVH entry."""
    return make_elf(notes=PVH_NOTE, tail=BANNER)


def make_bzimage(payload: bytes, *, version: int = 0x20F, setup_sectors: int = 2) -> bytes:
    """A bzImage around a payload, which lies 0x100 bytes into the protected-mode part."""
    setup = bytearray((setup_sectors + 1) * 512)
    setup[0x1F1] = setup_sectors
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    struct.pack_into("<II", setup, 0x248, 0x100, len(payload))
    return bytes(setup) + bytes(0x100) + payload


def make_tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_member(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    return info
