"""Taking in a kernel that was built elsewhere."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from weft.image.store import DEFAULT_KERNEL, KernelStore
from weft.image.vmlinux import load_vmlinux
from weft.model.errors import NotFound, Unavailable
from weft.model.image import KernelInfo


async def import_kernel(file: Path, home: Path, *, name: str = DEFAULT_KERNEL) -> KernelInfo:
    """Keep the kernel in `file`, a vmlinux or a bzImage, under `name`; one of that name is replaced.

    Raises NotFound, Invalid for a file that is no kernel we can start, Unavailable."""
    try:
        data = file.read_bytes()
    except OSError as err:
        raise NotFound(f"cannot read {file}: {err.strerror}") from err
    kernel = await load_vmlinux(data, str(file))
    return keep_kernel(home, name, kernel.data, kernel.release, origin="imported", key="")


def keep_kernel(
    home: Path, name: str, data: bytes, release: str, *, origin: Literal["built", "imported"], key: str
) -> KernelInfo:
    """Write a checked vmlinux into the store of the fabric at `home`."""
    store = KernelStore(home)
    info = KernelInfo(
        name=name,
        release=release,
        digest="sha256:" + "0" * 64,
        size=0,
        origin=origin,
        key=key,
        created=datetime.now(UTC),
    )
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".draft-", dir=store.folder) as draft:
            path = Path(draft) / "vmlinux"
            path.write_bytes(data)
            return store.add(info, path)
    except OSError as err:
        raise Unavailable(f"cannot write to {store.folder}: {err.strerror}") from err
