"""Lines of `forwards`, `snat` and `management`, read into what they say. Pure."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from weft.firewall.addresses import MachineName, SetName, Target, parse_target, parse_targets
from weft.firewall.rule_lines import PROTOCOLS, TCP, UDP, parse_port, parse_ports, split_line

_HOST = re.compile(r"\[(?P<six>[^\]]+)\](:(?P<port6>\d+))?|(?P<host>[^:]+)(:(?P<port>\d+))?|(?P<bare>[0-9a-fA-F:.]+)")


@dataclass(frozen=True, slots=True)
class Forward:
    """Flows to a port of the firewall that go on to a machine. `port` None: it stays the same."""

    protocol: int
    first: int
    last: int
    host: Target
    port: int | None = None
    zone: str | None = None
    source: tuple[Target, ...] = ()

    @property
    def inner(self) -> tuple[int, int]:
        """The ports at the machine, first and last."""
        return (self.first, self.last) if self.port is None else (self.port, self.port)


@dataclass(frozen=True, slots=True)
class Snat:
    """Flows to the outside from there that get this address."""

    source: Target
    address: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Management:
    """A way to the firewall itself that has to stay open."""

    zone: str
    protocol: int
    port: int
    source: tuple[Target, ...] = ()


def parse_forward(line: str) -> Forward:
    """`tcp 443 -> web:8443 on wan from 10.0.0.0/24`. Raises ValueError."""
    words = split_line(line)
    if len(words) < 4 or words[2] != "->" or len(words) % 2:
        raise ValueError("it is tcp|udp PORT[-PORT] -> HOST[:PORT] [on ZONE] [from A], like tcp 443 -> web:8443")
    ports = parse_ports(words[1])
    if len(ports) != 1 or "," in words[1]:
        raise ValueError(f"{words[1]!r} is no port and no range of ports")
    (first, last), (host, port) = ports[0], _parse_host(words[3])
    if port is not None and first != last:
        raise ValueError(f"a range keeps its ports; {words[3]!r} must not name one")
    options = _parse_options(words[4:], ("on", "from"))
    source = parse_targets(options["from"]) if "from" in options else ()
    return Forward(_parse_transport(words[0]), first, last, host, port, options.get("on"), source)


def parse_snat(line: str) -> Snat:
    """`10.1.0.0/24 -> 192.0.2.7`. Raises ValueError."""
    words = split_line(line)
    if len(words) != 3 or words[1] != "->":
        raise ValueError("it is SOURCE -> ADDRESS, like 10.1.0.0/24 -> 192.0.2.7")
    return Snat(parse_target(words[0]), ip_address(words[2]))


def parse_management(line: str) -> Management:
    """`lan tcp 22 from 10.1.0.9`. Raises ValueError."""
    words = split_line(line)
    if len(words) not in (3, 5):
        raise ValueError("it is ZONE tcp|udp PORT [from A], like lan tcp 22")
    options = _parse_options(words[3:], ("from",))
    source = parse_targets(options["from"]) if options else ()
    return Management(words[0], _parse_transport(words[1]), parse_port(words[2]), source)


def _parse_transport(word: str) -> int:
    if PROTOCOLS.get(word) not in (TCP, UDP):
        raise ValueError(f"{word!r} is not tcp or udp")
    return PROTOCOLS[word]


def _parse_host(text: str) -> tuple[Target, int | None]:
    """A machine's name or address, with a port or without; IPv6 with a port in brackets."""
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no HOST or HOST:PORT")
    host, port = match["six"] or match["host"] or match["bare"], match["port6"] or match["port"]
    target = parse_target(host)
    if isinstance(target, SetName) or (not isinstance(target, MachineName) and target.num_addresses != 1):
        raise ValueError(f"{host!r} is not one machine")
    return target, None if port is None else parse_port(port)


def _parse_options(words: list[str], known: tuple[str, ...]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word, value in zip(words[::2], words[1::2], strict=True):
        if word not in known:
            raise ValueError(f"{word!r} is not understood; expected {', '.join(known)}")
        if word in options:
            raise ValueError(f"{word} is said twice")
        options[word] = value
    return options
