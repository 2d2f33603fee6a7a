"""What a firewall appliance is asked for: its rules with their counters, open connections, its log, peers, leases."""

from pydantic import BaseModel, ConfigDict, Field


class RuleView(BaseModel):
    """A rule in force, or a line of the settings that makes none now. Counters begin anew with each change of rules."""

    rule: str = Field(description="as the log and a trace name it: `rules[3]`, `policies[0]`, `policy lan -> wan`")
    text: str = Field(description="the line of the settings; empty for what no line says")
    packets: int | None = Field(description="packets that it decided about; of a connection mostly the first one only")
    bytes: int | None


class ConnectionView(BaseModel):
    """A connection that the firewall follows. Ports of ICMP are none."""

    protocol: str
    state: str | None = Field(description="of TCP")
    source: str
    sport: int | None
    destination: str
    dport: int | None
    translated_source: str | None = Field(description="ADDRESS or ADDRESS:PORT, where it is not the source")
    translated_destination: str | None = Field(description="the same of the destination")
    answered: bool
    packets: int | None = Field(description="both ways")
    bytes: int | None
    timeout: int = Field(description="seconds after which it is forgotten")


class LogView(BaseModel):
    """A packet that went to the firewall's log. `time` is in seconds since the epoch."""

    time: float
    action: str
    rule: str
    zone_in: str | None
    zone_out: str | None
    protocol: str | None
    source: str | None
    sport: int | None
    destination: str | None
    dport: int | None
    length: int | None


class PeerView(BaseModel):
    """Another end of the firewall's tunnel: as it is set, and what is seen of it while the firewall runs."""

    name: str
    key: str = Field(description="public")
    networks: list[str]
    endpoint: str | None = None
    handshake: float | None = Field(default=None, description="when it was last heard of; seconds since the epoch")
    received: int | None = None
    sent: int | None = None


class ClientWish(BaseModel):
    """A client that is to reach what is behind the firewall. `endpoint`: how it reaches the firewall, HOST:PORT."""

    model_config = ConfigDict(extra="forbid")

    peer: str
    address: str | None = Field(default=None, description="in the tunnel; a free one if not said")
    endpoint: str | None = Field(default=None, description="the firewall's address outside if not said")


class ClientView(BaseModel):
    """A client that was added. `file` is for wg-quick, with its private key, which nobody but the reader has."""

    peer: str
    address: str
    key: str = Field(description="public")
    revision: int = Field(description="of the settings that have it")
    file: str
    notes: list[str] = Field(default=[], description="what is left to be done, a sentence each")


class LeaseView(BaseModel):
    """An address that somebody has from the firewall."""

    address: str
    mac: str
    name: str | None
    expires: float | None = Field(description="seconds since the epoch; None: never")
    fixed: bool = Field(description="set for it, or that of a machine of the room")


class BlockWish(BaseModel):
    """An address or network from which nothing is to get through, for so many seconds or until it is unblocked."""

    model_config = ConfigDict(extra="forbid")

    address: str
    seconds: float | None = Field(default=None, gt=0)
