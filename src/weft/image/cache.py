"""Where downloads and built kernels are kept between fabrics, and the lock that lets one process at a time fill it."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from weft.model.errors import Unavailable

LOCK_POLL_SECONDS = 0.1


def cache_home(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_CACHE_HOME/weft`, or `~/.cache/weft` (XDG Base Directory Specification: a relative value is ignored)."""
    value = (os.environ if environ is None else environ).get("XDG_CACHE_HOME", "")
    base = Path(value) if value.startswith("/") else Path.home() / ".cache"
    return base / "weft"


@asynccontextmanager
async def open_cache_folder(folder: Path, *, timeout: float) -> AsyncIterator[Path]:
    """Make `folder` and hold its lock. Raises Unavailable when it cannot be made, or after `timeout` seconds.

    The lock is an flock: the kernel drops it when its holder dies, so nothing stale can stay behind."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as err:
        raise Unavailable(f"cannot use {folder}: {err.strerror}", hint="XDG_CACHE_HOME names another place") from err
    try:
        await _wait_locked(descriptor, folder, timeout)
        yield folder
    finally:
        os.close(descriptor)


async def _wait_locked(descriptor: int, folder: Path, timeout: float) -> None:
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if asyncio.get_running_loop().time() >= deadline:
                raise Unavailable(f"{folder} is still in use by another build after {timeout:g} s") from None
        await asyncio.sleep(LOCK_POLL_SECONDS)
