"""Taking in a kernel that was built elsewhere."""

import asyncio
import stat
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from weft.image.multiboot_header import check_multiboot, describe_multiboot, find_header, find_top
from weft.image.pack import pack_vmlinux
from weft.image.store import KernelStore
from weft.image.vmlinux import MAX_VMLINUX, Vmlinux, load_vmlinux
from weft.model.errors import Invalid, NotFound
from weft.model.image import KernelInfo
from weft.model.names import DEFAULT_KERNEL, parse_name

GZIP_MAGIC = b"\x1f\x8b\x08"


async def import_kernel(file: Path, home: Path, *, name: str = DEFAULT_KERNEL) -> KernelInfo:
    """Keep the kernel in `file`, a vmlinux, a bzImage or a multiboot kernel, under `name`; one of that name is
    replaced.

    Raises NotFound, Invalid for a file that is no kernel we can start, Unavailable."""
    parse_name(name, "kernel")
    try:
        data = await asyncio.to_thread(_read, file)
    except OSError as err:
        raise NotFound(f"cannot read {file}: {err.strerror}") from err
    if data.startswith(GZIP_MAGIC):
        data = await asyncio.to_thread(_unpack, data, str(file))
    header = find_header(data)
    if header is None:
        return await keep_kernel(home, name, await load_vmlinux(data, str(file)), origin="imported", key="")
    check_multiboot(data, header, str(file))
    if name == DEFAULT_KERNEL:
        raise Invalid(f"{file} is a multiboot kernel, which cannot be the default one", hint="give it a --name")
    info = _describe(name, describe_multiboot(data), origin="imported", format="multiboot")
    info = info.model_copy(update={"least_memory": find_top(data, header)})
    return await asyncio.to_thread(_write_kernel, home, info, data)


async def keep_kernel(
    home: Path, name: str, kernel: Vmlinux, *, origin: Literal["built", "imported"], key: str
) -> KernelInfo:
    """Pack a kernel and put it into the store of the fabric at `home`. Raises Unavailable when that fails."""
    packed = await asyncio.to_thread(pack_vmlinux, kernel.data)
    info = _describe(name, kernel.release, origin=origin, key=key)
    return await asyncio.to_thread(_write_kernel, home, info, packed)


def _read(file: Path) -> bytes:
    """What is in it. Raises OSError, and Invalid for what is no file, or could have no end."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise Invalid(f"{file} is no file")
    if found.st_size > MAX_VMLINUX:
        raise Invalid(f"{file} is larger than any kernel")
    return file.read_bytes()


def _unpack(data: bytes, what: str) -> bytes:
    """What is in a gzip file: QEMU does not look into one. Raises Invalid."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, MAX_VMLINUX)
    except zlib.error as err:
        raise Invalid(f"{what} does not decompress: {err}") from err
    if not unpacker.eof:
        raise Invalid(f"{what} does not decompress: it is cut short, or larger than any kernel")
    return content


def _describe(
    name: str,
    release: str,
    *,
    origin: Literal["built", "imported"],
    format: Literal["linux", "multiboot"] = "linux",
    key: str = "",
) -> KernelInfo:
    """A record of a kernel whose file the store has not seen yet."""
    unknown = "sha256:" + "0" * 64
    now = datetime.now(UTC)
    return KernelInfo(
        name=name, release=release, digest=unknown, size=0, origin=origin, format=format, key=key, created=now
    )


def _write_kernel(home: Path, info: KernelInfo, data: bytes) -> KernelInfo:
    store = KernelStore(home)
    with store.open_draft() as draft:
        path = draft / "vmlinux"
        path.write_bytes(data)
        return store.add(info, path)
