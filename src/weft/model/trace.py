"""Traces: why something gets, or does not get, from one place to another."""

from enum import StrEnum

from pydantic import BaseModel, Field

from weft.model.machine import Spec


class Passage(StrEnum):
    """Whether a packet gets past a place. `unknown`: that is up to somebody who cannot be asked."""

    PASSES = "passes"
    STOPS = "stops"
    UNKNOWN = "unknown"


class Way(StrEnum):
    """The way to the destination, or that of the answer."""

    THERE = "there"
    BACK = "back"


class Outcome(StrEnum):
    """What came of a real packet. `silent`: no answer in time, which for UDP is nothing unusual."""

    CONNECTED = "connected"
    ANSWERED = "answered"
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"


class TraceRequest(Spec):
    """From where to where. Each is `[ROOM:]MACHINE`, `network:NAME`, `outside` or an address; the destination may have
    a port, `/tcp`, `/udp` or `/icmp` behind it, or be a port of the host that is published.
    """

    source: str
    destination: str
    probe: bool = Field(default=True, description="send a real packet too")
    timeout: float = Field(default=2.0, gt=0, le=30, description="seconds its answer may take")
    ipv6: bool = Field(default=False, description="by addresses of IPv6, where machines are named")


class HopView(BaseModel):
    """One place on the way. `seen` is what a firewall said of the real packet, in its words."""

    way: Way
    at: str
    verdict: Passage
    why: str
    rule: str | None = Field(default=None, description="the firewall's rule that decided, by its name")
    seen: list[str] = Field(default_factory=list)


class ProbeView(BaseModel):
    """What came of the real packet."""

    outcome: Outcome
    milliseconds: float
    detail: str = ""


class TraceView(BaseModel):
    """A trace. `disagreements`: where what should happen is not what did."""

    source: str
    destination: str
    packet: str = Field(description="what was traced, like `tcp 10.0.0.2 -> 10.1.0.3:80`")
    verdict: Passage
    why: str = Field(description="what decided")
    hops: list[HopView]
    probe: ProbeView | None = Field(default=None, description="None: none was sent")
    unprobed: str = Field(default="", description="why none was sent")
    disagreements: list[str] = Field(default_factory=list)
