"""A whole outside world for the tests of uplink, names and rules; runs in a network namespace of its own.

It has a default route, a web server at 203.0.113.1 and a resolver at 198.51.100.2; then it makes a fabric with two
networks, `open` with an uplink and `shut` without, each with one machine, and prints what each machine can reach,
as JSON. A machine is a namespace at the end of a port.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.host.waiting import PATIENCE, is_program, wait_until

from weft.host.dns import find_name_server, start_name_server
from weft.host.kernel_links import KernelLinks, open_links
from weft.host.namespace import Namespace, open_namespace
from weft.host.nft import load_ruleset
from weft.host.pids import stop_processes
from weft.host.process import run, start_latched
from weft.host.sandbox import Identity
from weft.host.uplink import RESOLVER, find_uplink, set_forwarding, start_uplink
from weft.plan.address import UPSTREAM
from weft.plan.ruleset import RuledNetwork, plan_ruleset
from weft.plan.splice import Ends, plan_bypass

WEB, OUTSIDE = "203.0.113.1", "198.51.100.2"
OPEN = RuledNetwork("g1", "10.77.1.0/24", "10.77.1.1", uplink=True)
SHUT = RuledNetwork("g2", "10.77.2.0/24", "10.77.2.1")
TRY_TCP = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); print('yes')"
ASK = """
import socket, struct, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.settimeout(3); sock.connect((sys.argv[1], 53))
labels = b"".join(bytes([len(l)]) + l.encode() for l in sys.argv[2].split("."))
sock.send(struct.pack("!6H", 7, 256, 1, 0, 0, 0) + labels + bytes([0, 0, 1, 0, 1]))
answer = sock.recv(512)
print(socket.inet_ntoa(answer[-4:]) if answer[7] and not answer[3] & 15 else "no")
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A namespace in the fabric's namespaces, at the end of a port."""

    namespace: Namespace
    pid: int

    async def run(self, *argv: str) -> str:
        """What a program in the machine prints, or `no` when it fails."""
        enter = ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--"]
        done = await run(self.namespace.argv([*enter, *argv]), check=False, timeout=PATIENCE)
        return done.text.strip() if done.status == 0 else "no"

    async def reaches(self, address: str, port: int) -> str:
        return await self.run(sys.executable, "-c", TRY_TCP, address, str(port))

    async def asks(self, server: str, name: str) -> str:
        return await self.run(sys.executable, "-c", ASK, server, name)

    async def pings(self, address: str) -> str:
        return "yes" if await self.run("ping", "-c1", "-W3", address) != "no" else "no"


@asynccontextmanager
async def start_machine(
    namespace: Namespace, links: KernelLinks, network: RuledNetwork, slot: int
) -> AsyncIterator[Machine]:
    await links.create_port(f"b{slot}.0", f"p{slot}.0", bridge=f"n{slot}", mtu=1500, alias="test")
    latched = start_latched(namespace.argv(["unshare", "--net", "sh", "-c", "exec sleep 3600"]))
    latched.release()
    try:
        machine = Machine(namespace, latched.pid)
        await wait_until(lambda: is_program(latched.pid, "sleep"))
        await run(namespace.argv(["ip", "link", "set", f"p{slot}.0", "netns", str(latched.pid), "name", "eth0"]))
        address = network.gateway.removesuffix(".1") + f".{slot + 1}/24"
        for command in (f"addr add {address} dev eth0", "link set eth0 up", f"route add default via {network.gateway}"):
            await machine.run("ip", *command.split())
        yield machine
    finally:
        await stop_processes([latched.process])


async def make_gateway(links: KernelLinks, network: RuledNetwork, slot: int) -> None:
    """A bridge, and a gateway at a port of it."""
    await links.create_bridge(f"n{slot}", mtu=1500, alias="test")
    await links.create_port(f"gb{slot}", f"gp{slot}", bridge=f"n{slot}", mtu=1500, alias="test")
    mac, addresses = f"02:00:00:00:00:{slot:02x}", [f"{network.gateway}/24", f"{UPSTREAM}/32"]
    await links.create_gateway(f"gt{slot}", network.link, mtu=1500, alias="test", mac=mac, addresses=addresses)
    ends = Ends(f"gp{slot}", f"gt{slot}")
    await links.apply_filters(plan_bypass(ends, {}))


async def make_outside(stack: AsyncExitStack) -> None:
    for command in (
        "link set lo up",
        "link add out0 type veth peer name out1",
        f"addr add {OUTSIDE}/24 dev out0",
        f"addr add {WEB}/32 dev out0",
        "link set out0 up",
        "link set out1 up",
        "route add default via 198.51.100.1",
    ):
        await run(["ip", *command.split()])
    web = await asyncio.start_server(lambda reader, writer: writer.close(), "0.0.0.0", 80)
    stack.push_async_callback(web.wait_closed)
    stack.callback(web.close)


async def look(folder: Path) -> dict[str, str]:
    identity = Identity(70124, 70124) if os.geteuid() == 0 and os.environ.get("AS_ROOT") else None
    async with AsyncExitStack() as stack:
        await make_outside(stack)
        namespace = await open_namespace(folder)
        stack.push_async_callback(namespace.stop)
        links = await open_links(namespace)
        machines = []
        for slot, network in enumerate((OPEN, SHUT), 1):
            await make_gateway(links, network, slot)
            machines.append(await stack.enter_async_context(start_machine(namespace, links, network, slot)))
            server = await start_name_server(
                namespace,
                folder / network.link,
                network=f"net{slot}",
                gateway=network.gateway,
                names={f"net{slot}": {"web": [f"10.77.{slot}.9"]}},
                resolver=RESOLVER if network.uplink else None,
                identity=identity,
            )
            stack.push_async_callback(server.stop)
        inside, shut = machines
        await load_ruleset(namespace, plan_ruleset([OPEN, SHUT]))
        found = {"before the uplink": await inside.reaches(WEB, 80)}
        uplink = await start_uplink(namespace, folder)
        stack.push_async_callback(uplink.stop)
        await set_forwarding(namespace, True)
        again = await start_uplink(namespace, folder)
        server = await start_name_server(
            namespace,
            folder / "g1",
            network="net1",
            gateway=OPEN.gateway,
            names={"net1": {"web": ["10.77.1.9"], "db": ["10.77.1.8"]}},
            identity=identity,
        )
        adopted = find_name_server(folder / "g1") == server
        found |= {
            "uplink is adopted": str(again == uplink == find_uplink(folder)),
            "name server is adopted": str(adopted),
        }
        looks = {
            "open: web outside": inside.reaches(WEB, 80),
            "open: own gateway pings": inside.pings(OPEN.gateway),
            "open: own gateway pings by its other name": inside.pings(str(UPSTREAM)),
            "open: web, by its other name": inside.asks(str(UPSTREAM), "web"),
            "shut: web, by its other name": shut.asks(str(UPSTREAM), "web"),
            "open: other gateway pings": inside.pings(SHUT.gateway),
            "open: other network": inside.pings("10.77.2.3"),
            "open: the host's loopback": inside.reaches("198.51.100.1", 80),
            "open: the uplink's address": inside.reaches(OUTSIDE, 80),
            "open: gateway's other ports": inside.reaches(OPEN.gateway, 80),
            "open: other network's names": inside.asks(SHUT.gateway, "web"),
            "open: web": inside.asks(OPEN.gateway, "web"),
            "open: web.net1": inside.asks(OPEN.gateway, "web.net1"),
            "open: db": inside.asks(OPEN.gateway, "db"),
            "open: missing.net1": inside.asks(OPEN.gateway, "missing.net1"),
            "shut: web outside": shut.reaches(WEB, 80),
            "shut: web": shut.asks(SHUT.gateway, "web"),
            "shut: a name outside": shut.asks(SHUT.gateway, "example.org"),
            "shut: own gateway pings": shut.pings(SHUT.gateway),
        }
        found |= dict(zip(looks, await asyncio.gather(*looks.values()), strict=True))
        # A machine that claims an address of nobody's network gets nowhere.
        await inside.run("ip", "addr", "add", "10.99.0.5/24", "dev", "eth0")
        await inside.run("ip", "route", "replace", "default", "via", OPEN.gateway, "src", "10.99.0.5")
        found["open: a forged address"] = await inside.reaches(WEB, 80)
        return found


if __name__ == "__main__":
    found = asyncio.run(look(Path(sys.argv[1])))
    left = sorted(path.name for path in Path(sys.argv[1]).iterdir())
    sys.stdout.write(json.dumps({**found, "left": left}) + "\n")
