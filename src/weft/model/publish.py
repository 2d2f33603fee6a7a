"""Published ports: a port of the host that leads to one of a machine."""

from ipaddress import IPv4Address
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Protocol = Literal["tcp", "udp"]


class PublishSpec(BaseModel):
    """`host_port` of the host leads to `guest_port` of the machine; None takes any that is free."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    guest_port: int = Field(ge=1, le=65535)
    host_port: int | None = Field(default=None, ge=1, le=65535)
    host_address: IPv4Address = IPv4Address("0.0.0.0")
    protocol: Protocol = "tcp"
