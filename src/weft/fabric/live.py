"""What the daemon holds of a machine that runs, beside its record."""

import asyncio
from dataclasses import dataclass

from weft.guest.agent import Agent
from weft.guest.becoming import Become
from weft.host.pids import ExitWatch
from weft.model.machine import Exit


def new_future() -> "asyncio.Future[None]":
    """One that may fail though nobody waits."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


@dataclass(frozen=True, slots=True)
class Waking:
    """What a machine that goes on from a moment has yet to get: who it is, unless it is still the same, and the state
    of its devices, if it has not got that already.
    """

    device: bytes | None
    become: Become | None


@dataclass(slots=True)
class Live:
    """A run: the watch over its process, the tasks that attend to it, and what they have learnt."""

    watch: ExitWatch
    ended: asyncio.Task[None]
    serving: asyncio.Task[None]
    ready: asyncio.Future[None]
    agent: Agent | None = None
    entry: Exit | None = None
    broken: str = ""
    """Why its entry point could not be started."""
    cause: str = ""
    """Why it ended, as its QEMU says; only those with a system of their own are asked."""
    stuck: str = ""
    """Why it did not become ready."""
