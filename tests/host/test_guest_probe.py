"""The init's `probe` on this host, in a namespace: one packet, and what came of it."""

import re
import socket
import subprocess
from pathlib import Path

import pytest

from weft.host.namespace import Namespace
from weft.host.process import run

pytestmark = pytest.mark.host
GUEST = Path(__file__).parents[2] / "guest"
LONG, SHORT = "20000", "100"


@pytest.fixture(scope="module")
def init() -> Path:
    subprocess.run(["make", "-s", "-C", GUEST], check=True)
    return GUEST / "build/weft-init"


@pytest.fixture
async def probe(namespace: Namespace, init: Path) -> "Probe":
    for kind in ("all", "default", "lo"):
        await namespace.set_sysctl(f"ipv6/conf/{kind}/disable_ipv6", "0")
    await run(namespace.argv(["ip", "link", "set", "lo", "up"]))
    return Probe(namespace, init)


class Probe:
    """Runs it; what it says, without the time."""

    def __init__(self, namespace: Namespace, init: Path) -> None:
        self.namespace = namespace
        self._init = init

    async def __call__(self, *args: str) -> str:
        done = await run(self.namespace.argv([str(self._init), "probe", *args]))
        outcome = re.fullmatch(r"([a-z]+) \d+\.\d{3}( .*)?\n", done.stdout.decode())
        assert outcome, done
        return f"{outcome[1]}{outcome[2] or ''}"


ADDRESSES = pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)


@ADDRESSES
async def test_connections(probe: Probe, family: int, address: str) -> None:
    with await probe.namespace.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        assert await probe("tcp", address, str(port), LONG) == "refused"
        listener.listen()
        assert await probe("tcp", address, str(port), LONG, "51234") == "connected"
        connection, source = listener.accept()
        connection.close()
        assert source[1] == 51234


@ADDRESSES
async def test_datagrams(probe: Probe, family: int, address: str) -> None:
    with await probe.namespace.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((address, 0))
        port = str(server.getsockname()[1])
        assert await probe("udp", address, port, SHORT, "51234") == "silent"
        said, source = server.recvfrom(100)
        assert (said, source[1]) == (b"weft probe\n", 51234)
        server.close()
        assert await probe("udp", address, port, LONG) == "refused"


async def test_a_name_server_gets_a_question(probe: Probe) -> None:
    with await probe.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        assert await probe("udp", "127.0.0.1", "53", SHORT) == "silent"
        said, _ = server.recvfrom(100)
        assert said == bytes.fromhex("5765 0100 0001 0000 0000 0000 00 0002 0001")


@ADDRESSES
async def test_echo_requests(probe: Probe, family: int, address: str) -> None:
    assert await probe("icmp", address, "0", LONG, "4660") == "answered"


@pytest.mark.parametrize("kind", ["tcp", "udp", "icmp"])
async def test_no_way(probe: Probe, kind: str) -> None:
    assert (await probe(kind, "10.0.0.1", "80", LONG)).startswith("unreachable Network")


@pytest.mark.parametrize(
    ("kind", "match"),
    [("tcp", "meta l4proto tcp"), ("udp", "meta l4proto udp"), ("icmp", "icmp type echo-request")],
    ids=["tcp", "udp", "icmp"],
)
async def test_no_answer_and_a_refusal_on_the_way(probe: Probe, kind: str, match: str) -> None:
    rules = "add table inet t\nadd chain inet t i {type filter hook input priority 0;}\nadd rule inet t i "
    for verdict, outcome in (("drop", "silent"), ("reject with icmp type admin-prohibited", "unreachable")):
        await run(probe.namespace.argv(["nft", "-f", "-"]), input=f"{rules} {match} {verdict}\n".encode())
        assert (await probe(kind, "127.0.0.1", "80", SHORT)).startswith(outcome)
        await run(probe.namespace.argv(["nft", "flush", "ruleset"]))


@pytest.mark.parametrize(
    "args",
    ["", "tcp", "sctp 10.0.0.1 80 100", "tcp 10.0.0 80 100", "tcp 10.0.0.1 x 100", "tcp 10.0.0.1 80 60001",
     "tcp 10.0.0.1 65536 100", "tcp 10.0.0.1 80 100 -1", "tcp 10.0.0.1 80 100 1 1", "tcp 10.0.0.1 80 "],
)  # fmt: skip
def test_nonsense(init: Path, args: str) -> None:
    done = subprocess.run([init, "probe", *args.split(" ")], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"probe: usage: ")
