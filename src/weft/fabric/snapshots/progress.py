"""How far work on large files is, told from the threads that do it."""

import asyncio

from weft.host.blocks import Tell
from weft.image.progress import Progress


def meter(progress: Progress, text: str, total: int) -> Tell:
    """What threads call with the bytes of each part that is done; `total` of them in all."""
    loop, done = asyncio.get_running_loop(), 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        progress(f"{text}, {done / 1e6:.0f} of {total / 1e6:.0f} MB", min(done / total, 1.0) if total else None)

    def tell(more: int) -> None:
        loop.call_soon_threadsafe(add, more)

    progress(text, 0.0)
    return tell
