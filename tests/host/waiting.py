"""Waiting for a condition, with a bound, instead of for a time."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0
"""Seconds that anything may take on a busy host before it counts as never."""


async def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true in time"
        await asyncio.sleep(0.002)


def is_program(pid: int, name: str) -> bool:
    """Whether a process has become this program: a latched one is a shell at first."""
    return Path(f"/proc/{pid}/comm").read_text().strip() == name
