"""Sniffing: a sniffer inserted, its capture streamed, the sniffer ejected again."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weft.fabric.inserts import Inserts
from weft.fabric.pcapng import PcapngWriter
from weft.fabric.runs import Runs
from weft.guest.streams import ExecStream
from weft.host.process import ProcessFailed, run
from weft.model.errors import Invalid, Unavailable
from weft.model.insert import InsertSpec, Mode

SNIFFER = "sniffer"
"""The image whose tcpdump does it."""
LISTENING = b"listening on"
"""What tcpdump says when it has begun."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What to capture: a pcap filter (None: everything), how many packets and seconds at most, as text or pcapng."""

    port: str
    filter: str | None = None
    count: int | None = None
    seconds: float | None = None
    text: bool = False
    mode: Mode = Mode.INLINE


async def check_filter(expression: str) -> None:
    """Raises Invalid with libpcap's own words for an expression that does not compile."""
    try:
        await run(["tcpdump", "-y", "EN10MB", "-d", "--", expression], timeout=10)
    except ProcessFailed as err:
        words = (err.detail or "").strip().splitlines()
        reason = re.sub(r"^tcpdump: ", "", words[-1]) if words else "it does not compile"
        raise Invalid(f"filter {expression!r}: {reason}", hint="see pcap-filter(7)") from err


class Sniffers:
    """Captures at ports of a fabric."""

    def __init__(self, inserts: Inserts, runs: Runs) -> None:
        self._inserts = inserts
        self._runs = runs

    @asynccontextmanager
    async def open(self, capture: Capture) -> AsyncIterator[AsyncIterator[bytes]]:
        """A sniffer in place and its capture, in pieces that end with whole packets; ejected when left.

        Raises Invalid for a wrong filter before anything is inserted.
        """
        if capture.filter:
            await check_filter(capture.filter)
        name = self._inserts.choose_name(f"sniff-{capture.port.replace(':', '-')}")
        spec = InsertSpec(name=name, appliance=SNIFFER, before=capture.port, mode=capture.mode)
        await (await self._inserts.create(spec, ephemeral=True))
        try:
            agent = self._runs.agent(name)
            agent.set_time(time.time_ns())
            async with await agent.exec(_argv(capture)) as stream:
                yield _read(stream, capture)
        finally:
            # A task of its own: whoever hung up may be cancelled again and again while it lasts.
            await asyncio.shield(asyncio.create_task(self._inserts.eject(name)))


def _argv(capture: Capture) -> list[str]:
    """tcpdump on the network side: it sees both directions, whichever way frames came into the appliance."""
    what = ["-l", "-n"] if capture.text else ["-U", "-w", "-", "--time-stamp-precision=nano"]
    count = ["-c", str(capture.count)] if capture.count else []
    # Heartbeats are the fabric's own business.
    expression = f"not ether proto 0x88b5 and ({capture.filter})" if capture.filter else "not ether proto 0x88b5"
    return ["tcpdump", "-i", "eth0", "-Z", "root", "--immediate-mode", *what, *count, expression]


async def _read(stream: ExecStream, capture: Capture) -> AsyncIterator[bytes]:
    """An empty piece once tcpdump listens, then what it captures. Raises Unavailable when it fails."""
    writer = PcapngWriter(capture.port)
    complaints, listening = b"", False
    async for channel, data in _until(stream, capture.seconds):
        if channel == "stderr":
            complaints = (complaints + data)[-2000:]
            if not listening and LISTENING in complaints:
                listening = True
                yield b""
        elif capture.text:
            yield data
        else:
            for block in writer.feed(data):
                yield block
    if not listening:
        raise Unavailable("the sniffer's tcpdump failed", detail=complaints.decode(errors="replace"))


async def _until(stream: ExecStream, seconds: float | None) -> AsyncIterator[tuple[str, bytes]]:
    """A program's output for at most so long. The time-out is entered anew for every piece: whoever iterates may be
    another task each time."""
    loop = asyncio.get_running_loop()
    deadline = None if seconds is None else loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                piece = await anext(stream)
        except (StopAsyncIteration, TimeoutError):
            return
        yield piece
