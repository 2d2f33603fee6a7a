"""What machines boot from: DHCP, TFTP and HTTP by real servers to real clients, each behind a port of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from tests.host.outside import Machine, make_gateway, start_machine
from tests.host.waiting import wait_until

from weft.host.kernel_links import KernelLinks
from weft.host.namespace import Namespace
from weft.host.netboot import FILES, HOSTS, OPTIONS, TOLD, BootServers, Told, files_of
from weft.host.nft import load_ruleset
from weft.host.pids import stop_processes
from weft.host.records import find_record
from weft.host.sandbox import Identity
from weft.model.errors import Unavailable
from weft.plan.callers import Caller, GatewayPort
from weft.plan.netboot import BootClient, BootNetwork, dump_hosts, dump_options, plan_boot_file, plan_dnsmasq
from weft.plan.ruleset import RuledNetwork, plan_ruleset

pytestmark = pytest.mark.host

GATEWAY = "10.66.0.1"
RULED = RuledNetwork("g1", "10.66.0.0/24", GATEWAY)
NETWORK = BootNetwork("lan", "g1", IPv4Address(GATEWAY), IPv4Network("10.66.0.0/24"), (GATEWAY,), 1400)
MAC, OTHER_MAC = "52:57:00:00:00:02", "52:57:00:00:00:03"
ADDRESS = IPv4Address("10.66.0.2")
WEB = BootClient("web", MAC, ADDRESS, plan_boot_file(NETWORK.gateway))
DB = BootClient("db", OTHER_MAC, ADDRESS, "boot/9bootpxe")
ASK = "#!/bin/sh\n[ $1 = bound ] && echo $ip $mask $router $dns $hostname $mtu $boot_file $bootfile $siaddr\n"


@dataclass
class Scene:
    """A network's servers, and one machine on it."""

    servers: BootServers
    machine: Machine
    script: Path

    async def start(self, *clients: BootClient, timeout: float = 10) -> None:
        told = Told(dump_hosts(clients), dump_options(NETWORK, clients))
        options = plan_dnsmasq(NETWORK, TOLD / HOSTS, TOLD / OPTIONS, FILES)
        hands_out = any(client.file for client in clients)
        await self.servers.start(options, told, hands_out=hands_out, timeout=timeout)

    async def ask(self, mac: str, tries: int = 10) -> str:
        """What DHCP says to a client with this hardware address."""
        await self.machine.run("ip", "link", "set", "eth0", "address", mac)
        await self.machine.run("ip", "addr", "flush", "dev", "eth0")
        client = ["busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-t", str(tries), "-T", "1", "-O", "bootfile"]
        said = await self.machine.run(*client, "-O", "mtu", "-s", str(self.script))
        await self.machine.run("ip", "addr", "add", f"{ADDRESS}/24", "dev", "eth0")
        return said

    async def get(self, url: str, seconds: int = 9) -> str:
        return await self.machine.run("curl", "-sf", "--path-as-is", "--max-time", str(seconds), url)

    def put(self, files: Mapping[str, str], address: IPv4Address = ADDRESS) -> None:
        for name, text in files.items():
            path = files_of(self.servers.directory, str(address)) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


@pytest.fixture
async def scene(
    namespace: Namespace, links: KernelLinks, tmp_path: Path, identity: Identity | None
) -> AsyncIterator[Scene]:
    script = tmp_path / "told"
    script.write_text(ASK)
    script.chmod(0o755)
    async with AsyncExitStack() as stack:
        await make_gateway(links, RULED, 1)
        machine = await stack.enter_async_context(start_machine(namespace, links, RULED, 1))
        servers = BootServers(namespace, tmp_path / "boot", "g1", GATEWAY, identity)
        stack.push_async_callback(servers.stop)
        yield Scene(servers, machine, script)


async def test_a_machine_gets_its_address_and_its_files(scene: Scene):
    scene.put({"boot.ipxe": "#!ipxe", "cfg/pxe/52570000": "bootfile=9pc"})
    scene.put({"secret": "of another"}, IPv4Address("10.66.0.9"))
    await scene.start(WEB)
    script = f"http://{GATEWAY}/boot.ipxe"
    assert await scene.ask(MAC) == f"10.66.0.2 24 {GATEWAY} {GATEWAY} web 1400 {script} {GATEWAY}"
    assert await scene.get(script) == "#!ipxe"
    assert await scene.get(f"tftp://{GATEWAY}/cfg/pxe/52570000") == "bootfile=9pc"
    assert await scene.get(f"http://{GATEWAY}/cfg/pxe/52570000") == "bootfile=9pc"
    assert await scene.get(f"tftp://{GATEWAY}//cfg/pxe/52570000") == "bootfile=9pc", "GRUB asks so"
    out = ("../10.66.0.9/secret", "cfg/../../10.66.0.9/secret", "..\\10.66.0.9\\secret", "%2e%2e/10.66.0.9/secret")
    for path in (*out, "nothing", "cfg", "cfg/", "10.66.0.9/secret", "../../hosts.d/m525700000002"):
        for scheme in ("http", "tftp"):
            assert await scene.get(f"{scheme}://{GATEWAY}/{path}") == "no"


async def test_who_is_not_to_boot_so_gets_no_answer(scene: Scene):
    await scene.start(WEB)
    assert await scene.ask(OTHER_MAC, tries=2) == "no"
    assert (await scene.ask(MAC)).startswith("10.66.0.2 ")


async def test_who_boots_otherwise_gets_its_address_alone(scene: Scene):
    await scene.start(BootClient("live", MAC, ADDRESS))
    assert await scene.ask(MAC) == f"10.66.0.2 24 {GATEWAY} {GATEWAY} live 1400 {GATEWAY}"
    assert not (scene.servers.directory / "http.json").exists()
    await scene.start(WEB)
    assert scene.servers.running
    await scene.start(BootClient("live", MAC, ADDRESS))
    assert not (scene.servers.directory / "http.json").exists()


async def test_one_machine_after_another_gets_the_same_address(scene: Scene):
    await scene.start(WEB)
    assert (await scene.ask(MAC)).startswith("10.66.0.2 ")
    await scene.start(DB)
    said = await scene.ask(OTHER_MAC)
    assert said == f"10.66.0.2 24 {GATEWAY} {GATEWAY} db 1400 boot/9bootpxe {GATEWAY}"


async def test_servers_that_run_are_adopted_and_told_of_who_comes(scene: Scene):
    await scene.start(WEB)
    assert (await scene.ask(MAC)).startswith("10.66.0.2 ")
    before = scene.servers.running, *_pids(scene.servers)
    third = BootClient("third", OTHER_MAC, IPv4Address("10.66.0.3"))
    await scene.start(WEB, third)
    assert (await scene.ask(OTHER_MAC)).startswith("10.66.0.3 ")
    assert (await scene.ask(MAC)).startswith("10.66.0.2 ")
    assert (scene.servers.running, *_pids(scene.servers)) == before
    await scene.start(WEB)
    assert await scene.ask(OTHER_MAC, tries=2) == "no", "who is gone is answered no more"


async def test_the_rules_let_callers_in_and_nobody_else(scene: Scene, namespace: Namespace):
    await scene.start(WEB)
    scene.put({"boot.ipxe": "#!ipxe"})
    await load_ruleset(namespace, plan_ruleset([RULED]))
    assert await scene.ask(MAC, tries=2) == "no"
    for scheme in ("http", "tftp"):
        assert await scene.get(f"{scheme}://{GATEWAY}/boot.ipxe", seconds=1) == "no"
    ports = (GatewayPort.DHCP, GatewayPort.TFTP, GatewayPort.HTTP)
    callers = [Caller("g1", address, port) for port in ports for address in port.addresses(ADDRESS)]
    await load_ruleset(namespace, plan_ruleset([RULED], callers=callers))
    assert (await scene.ask(MAC)).startswith("10.66.0.2 ")
    for scheme in ("http", "tftp"):
        assert await scene.get(f"{scheme}://{GATEWAY}/boot.ipxe") == "#!ipxe"


async def test_stopping_leaves_nothing(scene: Scene):
    await scene.start(WEB)
    found = [find_record(path) for path in scene.servers.directory.glob("*.json")]
    children = [child for record in found if record for child in record[0].children()]
    assert len(children) == 2
    await scene.servers.stop()
    assert not any(child.alive() for child in children)
    assert not scene.servers.running
    assert not scene.servers.directory.exists()


async def test_one_that_has_died_comes_back_alone(scene: Scene):
    await scene.start(WEB)
    dhcp, http = _pids(scene.servers)
    found = find_record(scene.servers.directory / "dhcp.json")
    assert found is not None
    await stop_processes(found[0].children(), term_for=0)
    await wait_until(lambda: not scene.servers.running)
    await scene.start(WEB)
    assert _pids(scene.servers)[1] == http
    assert _pids(scene.servers)[0] != dhcp
    assert (await scene.ask(MAC)).startswith("10.66.0.2 ")


async def test_servers_that_cannot_answer_are_told_and_go(namespace: Namespace, tmp_path: Path):
    servers = BootServers(namespace, tmp_path / "boot", "lo", GATEWAY)
    with pytest.raises(Unavailable, match=f"no DHCP and TFTP at {GATEWAY}, its log ends: dnsmasq: "):
        await servers.start(["--conf-file=/nowhere"], Told({}, {}))
    assert not servers.running
    assert not list(servers.directory.glob("*.json"))


def _pids(servers: BootServers) -> list[str]:
    return [path.read_text() for path in sorted(servers.directory.glob("*.json"))]
