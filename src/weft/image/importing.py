"""Taking in a kernel that was built elsewhere."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from weft.image.pack import pack_vmlinux
from weft.image.store import KernelStore
from weft.image.vmlinux import Vmlinux, load_vmlinux
from weft.model.errors import NotFound
from weft.model.image import KernelInfo
from weft.model.names import DEFAULT_KERNEL, parse_name


async def import_kernel(file: Path, home: Path, *, name: str = DEFAULT_KERNEL) -> KernelInfo:
    """Keep the kernel in `file`, a vmlinux or a bzImage, under `name`; one of that name is replaced.

    Raises NotFound, Invalid for a file that is no kernel we can start, Unavailable."""
    parse_name(name, "kernel")
    try:
        data = await asyncio.to_thread(file.read_bytes)
    except OSError as err:
        raise NotFound(f"cannot read {file}: {err.strerror}") from err
    kernel = await load_vmlinux(data, str(file))
    return await keep_kernel(home, name, kernel, origin="imported", key="")


async def keep_kernel(
    home: Path, name: str, kernel: Vmlinux, *, origin: Literal["built", "imported"], key: str
) -> KernelInfo:
    """Pack a kernel and put it into the store of the fabric at `home`. Raises Unavailable when that fails."""
    return await asyncio.to_thread(_write_kernel, home, name, kernel, origin, key)


def _write_kernel(home: Path, name: str, kernel: Vmlinux, origin: Literal["built", "imported"], key: str) -> KernelInfo:
    store = KernelStore(home)
    info = KernelInfo(
        name=name,
        release=kernel.release,
        digest="sha256:" + "0" * 64,
        size=0,
        origin=origin,
        key=key,
        created=datetime.now(UTC),
    )
    with store.open_draft() as draft:
        path = draft / "vmlinux"
        path.write_bytes(pack_vmlinux(kernel.data))
        return store.add(info, path)
