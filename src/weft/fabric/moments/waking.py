"""Waking: a machine that was started to go on from a moment gets the state of its devices, and goes on."""

from pathlib import Path

from weft.host.migration import load_device
from weft.host.qemu import open_qmp


async def wake(path: Path, device: bytes) -> None:
    """Tell the QEMU whose monitor is at `path`. Raises Unavailable, Internal with what it says."""
    qmp = await open_qmp(path)
    try:
        await load_device(qmp, device)
        await qmp.resume()
    finally:
        await qmp.close()
