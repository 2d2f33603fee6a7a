"""What the firewall's own services need to hear: flows to it that its rules let in without being told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """Packets to the firewall itself that are let in.

    `zone` None: by whatever side they come. `protocol` is `tcp`, `udp` or `icmpv6`; `ports` are destination ports, or
    ICMPv6 types. `setting` is what it follows from. Some come from or to addresses that are nobody's (DHCP), so only
    zone, protocol and port may be looked at.
    """

    zone: str | None
    protocol: str
    ports: tuple[int, ...]
    setting: str
