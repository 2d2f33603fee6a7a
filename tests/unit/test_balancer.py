"""The balancer's settings: what is refused, and the configuration that comes of them."""

from typing import Any

import pytest

from weft.balancer import CONF, BalancerModel, Listener, Server, parse_listener, parse_server
from weft.model.place import Place, Stance, Zone

PLACE = Place(
    stance=Stance.ROUTER,
    zones=(
        Zone(name="lan", nic="eth0", mac="52:57:00:00:01:00", addresses=("10.1.0.2/24",), subnets=("10.1.0.0/24",)),
    ),
    resolvers=("10.1.0.1",),
)
DEFAULTS: dict[str, Any] = {
    "listen": ["http 80"],
    "balance": "roundrobin",
    "check.interval": 2,
    "check.fall": 3,
    "check.rise": 2,
    "idle": 60,
    "drain": 30,
}


def render(**values: Any) -> str:
    wanted = DEFAULTS | values
    assert BalancerModel().check(wanted, PLACE) == []
    return BalancerModel().render(wanted, PLACE)[CONF]


def server_lines(text: str, port: int) -> list[str]:
    part = text.partition(f"listen port{port}\n")[2].partition("\n\n")[0]
    return [line.strip() for line in part.splitlines() if line.strip().startswith("server ")]


@pytest.mark.parametrize(
    ("line", "listener"),
    [("http 80", Listener("http", 80, 80)), ("tcp 5432 -> 6432", Listener("tcp", 5432, 6432))],
)
def test_a_listener(line: str, listener: Listener) -> None:
    assert parse_listener(line) == listener


@pytest.mark.parametrize(
    ("line", "server"),
    [
        ("web", Server("web")),
        ("Web.LAN:8080 weight 3", Server("web.lan", 8080, 3)),
        ("10.1.0.7 backup on 80,443", Server("10.1.0.7", backup=True, on=(80, 443))),
        ("[fd00:1::7]:81", Server("fd00:1::7", 81)),
        ("[fd00:1::7]", Server("fd00:1::7")),
    ],
)
def test_a_server(line: str, server: Server) -> None:
    assert parse_server(line) == server


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"listen": ["https 80"]}, "listen[0]: it is http|tcp PORT [-> PORT], like http 80 -> 8080"),
        ({"listen": ["tcp 80 to 81"]}, "listen[0]: it is http|tcp PORT [-> PORT], like http 80 -> 8080"),
        ({"listen": ["tcp 0"]}, "listen[0]: '0' is no port"),
        ({"listen": ["tcp 80", "http 80 -> 8080"]}, "listen[1]: port 80 is that of listen[0]"),
        ({"servers": ["web", "we_b!"]}, "servers[1]: 'we_b!' is neither a machine nor an address"),
        ({"servers": ["web weight 0"]}, "servers[0]: weight '0' is not a number from 1 to 256"),
        ({"servers": ["web on 81"]}, "servers[0]: nothing listens at port 81"),
        ({"servers": ["web on"]}, "servers[0]: '' is no port"),
    ],
)
def test_what_does_not_fit_is_named_with_its_item(values: dict[str, Any], problem: str) -> None:
    assert BalancerModel().check(DEFAULTS | values, None) == [problem]


def test_an_unknown_word_says_how_a_server_is_written() -> None:
    (problem,) = BalancerModel().check(DEFAULTS | {"servers": ["web heavy"]}, None)
    assert problem.startswith("servers[0]: 'heavy': it is MACHINE|ADDRESS[:PORT] [weight N]")


def test_machines_are_asked_for_by_name_and_addresses_are_not() -> None:
    text = render(servers=["web", "10.1.0.7:8080 weight 2 backup"])
    check = "check inter 2000ms fall 3 rise 2"
    assert server_lines(text, 80) == [
        f"server web web:80 {check} weight 1 resolvers fabric init-addr libc,none",
        f"server 10.1.0.7 10.1.0.7:8080 {check} weight 2 backup",
    ]
    assert "    nameserver ns0 10.1.0.1:53\n" in text


def test_a_server_answers_where_it_is_said_to_and_for_all_otherwise() -> None:
    text = render(listen=["http 80", "tcp 5432"], servers=["web on 80", "db:6432 on 5432", "both"])
    assert [line.split()[1:3] for line in server_lines(text, 80)] == [["web", "web:80"], ["both", "both:80"]]
    assert [line.split()[1:3] for line in server_lines(text, 5432)] == [["db", "db:6432"], ["both", "both:5432"]]


def test_one_host_with_two_ports_has_two_names() -> None:
    text = render(servers=["web:81", "web:82", "[fd00::1]"])
    assert [line.split()[1:3] for line in server_lines(text, 80)] == [
        ["web", "web:81"],
        ["web-82", "web:82"],
        ["fd00..1", "[fd00::1]:80"],
    ]


def test_no_time_at_all_is_not_for_ever() -> None:
    assert "    hard-stop-after 1ms\n" in render(drain=0)


def test_a_check_by_http_asks_for_its_path() -> None:
    assert "    option httpchk GET /health\n" in render(**{"check.path": "/health"})


def test_servers_that_are_machines_are_known_as_such() -> None:
    servers = ["web-1", "10.1.0.7:80", "www.example.org", "we_b!", "web-2 backup"]
    assert list(BalancerModel().find_machines({"servers": servers})) == [
        ("servers[0]", "web-1"),
        ("servers[4]", "web-2"),
    ]
