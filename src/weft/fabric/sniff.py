"""Sniffing: a sniffer inserted, its capture streamed, the sniffer ejected again."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weft.fabric.inserts import Inserts
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.pcapng import PcapngWriter
from weft.guest.streams import ExecStream
from weft.host.process import ProcessFailed, run
from weft.model.errors import Invalid, Unavailable
from weft.model.insert import InsertSpec, Mode

SNIFFER = "sniffer"
"""The image whose tcpdump does it."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What to capture: a pcap filter (None: everything), how many packets, as text or pcapng."""

    port: str
    filter: str | None = None
    count: int | None = None
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

    def __init__(self, inserts: Inserts, lifecycle: Lifecycle) -> None:
        self._inserts = inserts
        self._lifecycle = lifecycle

    @asynccontextmanager
    async def open(self, capture: Capture) -> AsyncIterator[AsyncIterator[bytes]]:
        """A sniffer in place and its capture, in pieces that end with whole packets; ejected when left.

        Raises Invalid for a wrong filter before anything is inserted.
        """
        if capture.filter:
            await check_filter(capture.filter)
        name = self._inserts.choose_name(f"sniff-{capture.port.replace(':', '-')}")
        spec = InsertSpec(name=name, appliance=SNIFFER, before=capture.port, mode=capture.mode)
        await (await self._inserts.create(spec))
        try:
            agent = self._lifecycle.agent(name)
            agent.set_time(time.time_ns())
            async with await agent.exec(_argv(capture)) as stream:
                yield _read(stream, capture)
        finally:
            await self._inserts.eject(name)


def _argv(capture: Capture) -> list[str]:
    """tcpdump on the network side: it sees both directions, whichever way frames came into the appliance."""
    what = ["-l", "-n"] if capture.text else ["-U", "-w", "-", "--time-stamp-precision=nano"]
    count = ["-c", str(capture.count)] if capture.count else []
    # Heartbeats are the fabric's own business.
    expression = f"not ether proto 0x88b5 and ({capture.filter})" if capture.filter else "not ether proto 0x88b5"
    return ["tcpdump", "-i", "eth0", "--immediate-mode", *what, *count, expression]


async def _read(stream: ExecStream, capture: Capture) -> AsyncIterator[bytes]:
    writer = PcapngWriter(capture.port)
    complaints = b""
    async for channel, data in stream:
        if channel == "stderr":
            complaints = (complaints + data)[-2000:]
        elif capture.text:
            yield data
        else:
            for block in writer.feed(data):
                yield block
    status = await stream.wait()
    if status.code:
        raise Unavailable("the sniffer's tcpdump failed", detail=complaints.decode(errors="replace"))
