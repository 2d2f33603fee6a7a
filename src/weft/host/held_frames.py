"""Frames that are led to a tap of ours instead of another's, to be handed on to that later."""

import asyncio
import os
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from weft.host.links import Links
from weft.host.namespace import Namespace

_HEADER = 10
"""Bytes of the virtio header before each frame. It says nothing here: our tap asks for whole frames with checksums."""
_LONGEST = 65_550
_DRAIN_POLL = 0.0005


class HeldFrames:
    """Keeps what leaves by the tap `keeper`, in its queue, and sends it out of the tap `target` when it is told to."""

    def __init__(self, keeper: str, target: str, fd: int, out: socket.socket) -> None:
        self.keeper = keeper
        self.target = target
        self._fd = fd
        self._out = out

    def hand_on(self) -> int:
        """Send all that is there now, in its order; how many frames that were."""
        for count in range(1 << 16):
            try:
                frame = os.read(self._fd, _LONGEST)
            except BlockingIOError:
                return count
            with suppress(OSError):  # its queue is full: then it is lost, as on any wire
                self._out.send(frame[_HEADER:])
        return 1 << 16

    def close(self) -> None:
        """What is still there is lost."""
        self._out.close()
        os.close(self._fd)


async def open_held_frames(links: Links, namespace: Namespace, keeper: str, target: str, alias: str) -> HeldFrames:
    """Make the tap `keeper`, to which nothing leads yet; its link stays. Raises Unavailable, Exists."""
    await links.create_tap(keeper, mtu=1500, alias=alias)
    fd = await links.open_tap(keeper)
    try:
        out = await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        out.setblocking(False)
        out.bind((target, 0))
    except BaseException:
        os.close(fd)
        raise
    return HeldFrames(keeper, target, fd, out)


async def wait_drained(taps: Sequence[int], timeout: float) -> None:
    """Until who has these taps has read all that was sent to them; at most for `timeout` seconds."""
    poll = select.poll()
    for tap in taps:
        poll.register(tap, select.POLLIN)
    deadline = time.monotonic() + timeout
    while True:
        if not poll.poll(0) or time.monotonic() > deadline:
            return
        await asyncio.sleep(_DRAIN_POLL)
