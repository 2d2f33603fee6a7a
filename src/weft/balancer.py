"""The balancer's settings model: which ports lead to which servers, and haproxy's configuration for it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from weft.model.network import find_address
from weft.model.place import Place
from weft.model.setting_lines import LABEL, Values, find_twice, parse_items

CONF = "haproxy.cfg"
_SERVER = "MACHINE|ADDRESS[:PORT] [weight N] [backup] [on PORT,…], like web-1:8080 weight 2"


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that is listened at, and the servers' port that it leads to. `mode` is `http` or `tcp`."""

    mode: str
    port: int
    target: int


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers. `host` is a machine's name, which the fabric's name server knows, or an address.

    `port` None: that of the listener. `on` empty: it answers for all listeners.
    """

    host: str
    port: int | None = None
    weight: int = 1
    backup: bool = False
    on: tuple[int, ...] = ()


def parse_listener(line: str) -> Listener:
    """`http 80` or `tcp 5432 -> 6432`. Raises ValueError."""
    words = line.split()
    if len(words) not in (2, 4) or words[0] not in ("http", "tcp") or words[2:3] not in ([], ["->"]):
        raise ValueError("it is http|tcp PORT [-> PORT], like http 80 -> 8080")
    return Listener(words[0], parse_port(words[1]), parse_port(words[-1]))


def parse_server(line: str) -> Server:
    """A server's line. Raises ValueError."""
    host, port = _split_host(line.split()[0])
    options: dict[str, str] = {}
    words = iter(line.split()[1:])
    for word in words:
        if word not in ("weight", "backup", "on"):
            raise ValueError(f"{word!r}: it is {_SERVER}")
        options[word] = "" if word == "backup" else next(words, "")
    weight = options.get("weight", "1")
    if not weight.isdecimal() or not 0 < int(weight) <= 256:
        raise ValueError(f"weight {weight!r} is not a number from 1 to 256")
    on = tuple(map(parse_port, options["on"].split(","))) if "on" in options else ()
    return Server(host, port, int(weight), "backup" in options, on)


def parse_port(text: str) -> int:
    """A port's number. Raises ValueError."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is no port")
    return int(text)


def _split_host(text: str) -> tuple[str, int | None]:
    """`web:80`, `10.1.0.5:80`, `[fd00::5]:80`, each with or without the port."""
    inner, bracket, rest = text[1:].partition("]") if text.startswith("[") else ("", "", "")
    host, _, port = (inner, "", rest.removeprefix(":")) if bracket else text.partition(":")
    address = find_address(host)
    host = str(address) if address else host.lower()
    if not address and not all(LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError(f"{text!r} is neither a machine nor an address")
    return host, parse_port(port) if port else None


class BalancerModel:
    """Checks the balancer's settings, and writes `haproxy.cfg`."""

    def check(self, values: Values, place: Place | None) -> list[str]:
        """What is wrong; each problem begins with its setting, of a list with the item."""
        problems: list[str] = []
        listeners = parse_items(values, "listen", parse_listener, problems)
        servers = parse_items(values, "servers", parse_server, problems)
        problems += find_twice({where: listener.port for where, listener in listeners.items()}, "port")
        ports = {listener.port for listener in listeners.values()}
        for where, server in servers.items():
            problems += [f"{where}: nothing listens at port {port}" for port in server.on if port not in ports]
        return problems

    def render(self, values: Values, place: Place) -> dict[str, str]:
        """The file that haproxy runs with. Settings have passed `check`."""
        listeners = parse_items(values, "listen", parse_listener).values()
        servers = list(parse_items(values, "servers", parse_server).values())
        lines = [*_dump_global(values), "", *_dump_defaults(values), "", *_dump_resolvers(place)]
        for listener in listeners:
            lines += ["", *_dump_listener(listener, servers, values)]
        return {CONF: "".join(f"{line}\n" for line in lines)}

    def find_machines(self, values: Values) -> Iterator[tuple[str, str]]:
        """The servers that are machines, each with its item. A name with a domain is somebody else's to know."""
        for where, server in parse_items(values, "servers", parse_server).items():
            if not find_address(server.host) and "." not in server.host:
                yield where, server.host


def _dump_global(values: Values) -> list[str]:
    """Buffers are small: they are what a connection costs in a machine of 64 MB."""
    return [
        "global",
        "    user haproxy",
        "    group haproxy",
        "    nbthread 1",
        "    maxconn 1000",
        "    tune.bufsize 8192",
        "    log stdout format raw local0 notice",
        "    stats socket /run/balancer/socket mode 600 level admin expose-fd listeners",
        f"    hard-stop-after {_milliseconds(values['drain'])}",
    ]


def _dump_defaults(values: Values) -> list[str]:
    idle = _milliseconds(values["idle"])
    return [
        "defaults",
        "    log global",
        f"    balance {values['balance']}",
        "    option redispatch",
        "    retries 3",
        "    timeout connect 3s",
        "    timeout check 3s",
        f"    timeout client {idle}",
        f"    timeout server {idle}",
        f"    timeout http-request {idle}",
    ]


def _dump_resolvers(place: Place) -> list[str]:
    """The fabric knows its machines by name from the moment they are made; what it has forgotten is gone."""
    lines = [
        "resolvers fabric",
        "    timeout resolve 1s",
        "    hold valid 2s",
        "    hold nx 2s",
        "    hold obsolete 5s",
    ]
    return lines + [f"    nameserver ns{number} {address}:53" for number, address in enumerate(place.resolvers)]


def _dump_listener(listener: Listener, servers: list[Server], values: Values) -> Iterator[str]:
    yield f"listen port{listener.port}"
    yield f"    bind :::{listener.port} v4v6"
    yield f"    mode {listener.mode}"
    if listener.mode == "http":
        yield "    option forwardfor"
    if path := values.get("check.path"):
        yield f"    option httpchk GET {path}"
    interval = _milliseconds(values["check.interval"])
    check = f"check inter {interval} fall {values['check.fall']} rise {values['check.rise']}"
    for name, server in _name_servers(server for server in servers if not server.on or listener.port in server.on):
        host = f"[{server.host}]" if ":" in server.host else server.host
        words = [f"    server {name} {host}:{server.port or listener.target} {check} weight {server.weight}"]
        words += ["backup"] if server.backup else []
        words += [] if find_address(server.host) else ["resolvers fabric init-addr libc,none"]
        yield " ".join(words)


def _name_servers(servers: Iterator[Server]) -> Iterator[tuple[str, Server]]:
    """Names for logs: the host, with its port where it is there twice."""
    seen: set[str] = set()
    for number, server in enumerate(servers):
        name = server.host.replace(":", ".")
        name = name if name not in seen else f"{name}-{server.port or number}"
        seen.add(name)
        yield name, server


def _milliseconds(seconds: float) -> str:
    """Nothing at all would mean for ever."""
    return f"{max(1, round(seconds * 1000))}ms"
