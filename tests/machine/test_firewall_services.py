"""The firewall's own services on real machines: addresses, names, router advertisements, tunnels, and what it tells.

`fw` stands between `wan` and `lan`; `web` is in the lan. `branch` is another firewall in the wan, with a network of its
own: a client of the tunnel, and a site at the other end of one.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

WEB, FW_INSIDE, FW_TUNNEL, INTRA = "10.71.1.2", "10.71.1.1", "10.99.0.1", "10.72.1.1"
SETTINGS = (
    "dhcp=lan 10.71.1.2-10.71.1.50 1h",
    "leases=52:57:00:00:00:aa 10.71.1.77 cam",
    "ra=lan",
    "dns.hosts=10.71.1.99 printer printer.corp",
    "dns.block=ads.example",
)
ASK = "udhcpc -i eth0 -n -q -t 8 -s /tmp/told >/dev/null 2>&1 && cat /tmp/got"
PICKY = b"""#!/bin/sh
case $1 in --test) ;; *) ! grep -q interface=eth0 "${1#*=}" || { echo "dnsmasq: not there" >&2; exit 2; } ;; esac
exec /usr/bin/dnsmasq.real "$@"
"""
PING = "ping -c 1 -W 2 {} >/dev/null && echo yes || echo no"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("services") / "home") as fabric:
        fabric.run("network", "create", "wan", "--subnet", "10.71.0.0/24")
        fabric.run(
            "network", "create", "lan", "--subnet", "10.71.1.0/24", "--subnet6", "fd71:1::/64", "--gateway", "fw"
        )
        fabric.run("network", "create", "office", "--subnet", "10.72.1.0/24", "--gateway", "branch")
        fabric.run("run", "-d", "--name", "fw", "--network", "wan", "--network", "lan", *_set(*SETTINGS), "firewall")
        fabric.run("run", "-d", "--name", "branch", "--network", "wan", "--network", "office", "firewall")
        # It is to ask for addresses with hardware addresses that are not its own.
        nics = [{"network": "lan", "pinned": False}]
        fabric.client.create_machine({"name": "web", "image": "web", "nics": nics})
        fabric.exec(
            "web", "sh", "-c", "printf '#!/bin/sh\\n[ -z \"$ip\" ] || echo $ip $router $dns >/tmp/got\\n' >/tmp/told"
        )
        fabric.exec("web", "chmod", "+x", "/tmp/told")
        wait_for(lambda: resolve(fabric, "web.lan") == WEB, "the firewall has been told of the machine")
        yield fabric


def _set(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def change(fabric: TestFabric, name: str, *settings: str) -> None:
    fabric.run("config", "set", name, *settings)


def reaches(fabric: TestFabric, machine: str, address: str) -> bool:
    return fabric.exec(machine, "sh", "-c", PING.format(address)).strip() == "yes"


def ask_as(fabric: TestFabric, mac: str) -> str:
    """What `web` gets by DHCP with this hardware address: address, router, name server."""
    fabric.exec("web", "sh", "-c", f"ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up")
    return fabric.exec("web", "sh", "-c", ASK).strip()


def resolve(fabric: TestFabric, name: str) -> str | None:
    said = fabric.exec("web", "nslookup", "-type=a", name, FW_INSIDE, check=False)
    found = re.search(r"Name:\s+\S+\s+Address:\s+(\S+)", said)
    return found[1] if found else None


def view(fabric: TestFabric, *command: str) -> Any:
    return fabric.json("firewall", *command)


def counted(fabric: TestFabric, rule: str) -> int:
    return sum(one["packets"] or 0 for one in view(fabric, "rules", "fw") if one["rule"] == rule)


def test_addresses_are_given_and_kept(services: TestFabric) -> None:
    """A machine of the room gets its own, a fixed lease is somebody's, and the others come of the range."""
    own = re.search(r"link/ether (\S+)", services.exec("web", "ip", "link", "show", "eth0"))
    assert own
    assert ask_as(services, own[1]) == f"{WEB} {FW_INSIDE} {FW_INSIDE}"
    assert ask_as(services, "52:57:00:00:00:aa").split()[0] == "10.71.1.77"
    got = ask_as(services, "52:57:00:00:00:bb").split()[0]
    assert got not in (WEB, "10.71.1.77")
    services.exec("web", "sh", "-c", f"ip link set eth0 down; ip link set eth0 address {own[1]}; ip link set eth0 up")
    services.exec("web", "ip", "route", "replace", "default", "via", FW_INSIDE)
    before = {lease["address"]: lease["fixed"] for lease in view(services, "leases", "fw")}
    assert before == {WEB: True, "10.71.1.77": True, got: False}
    change(services, "fw", "dhcp=lan 10.71.1.2-10.71.1.60 2h")
    assert {lease["address"] for lease in view(services, "leases", "fw")} == set(before)


def test_machines_make_ipv6_addresses_of_what_it_tells(services: TestFabric) -> None:
    wait_for(
        lambda: re.search(r"inet6 fd71:1:\S+ scope global dynamic", services.exec("web", "ip", "-6", "addr")),
        "an address of the advertised network",
    )
    assert "default via fe80::" in services.exec("web", "ip", "-6", "route")


def test_names(services: TestFabric) -> None:
    assert resolve(services, "printer.corp") == "10.71.1.99"
    assert resolve(services, "cam.lan") == "10.71.1.77"
    assert resolve(services, "branch.wan") is not None
    assert resolve(services, "web.lan") == WEB
    assert resolve(services, "ads.example") is resolve(services, "www.ads.example") is None


def test_a_domain_has_a_server_of_its_own_and_names_change_without_a_restart(services: TestFabric) -> None:
    wan = services.client.machine("branch")["networks"][0]["address"]
    change(services, "branch", "dns.zones=wan", f"dns.hosts={INTRA} intra.branch.example")
    assert resolve(services, "intra.branch.example") is None
    pid = services.exec("fw", "cat", "/run/names/pid")
    change(services, "fw", f"dns.forward=branch.example {wan}", "dns.hosts=10.71.1.98 printer.corp")
    assert resolve(services, "intra.branch.example") == INTRA
    assert resolve(services, "printer.corp") == "10.71.1.98"
    assert services.exec("fw", "cat", "/run/names/pid") == pid


def test_what_its_server_refuses_leaves_it_as_it_was(services: TestFabric) -> None:
    """A server that takes its configuration in a test, and then does not start with it."""
    services.run("exec", "-i", "fw", "--", "tee", "/tmp/picky", input=PICKY)
    services.exec("fw", "sh", "-c", "chmod +x /tmp/picky; cd /usr/bin; cp dnsmasq dnsmasq.real; mv /tmp/picky dnsmasq")
    done = services.run("config", "set", "fw", "dns.zones=lan,wan", check=False)
    assert b"the appliance refuses: dnsmasq: not there" in done.stderr
    assert resolve(services, "printer.corp") == "10.71.1.98"
    services.exec("fw", "sh", "-c", "cd /usr/bin; mv dnsmasq.real dnsmasq")


def test_a_client_reaches_the_lan_through_the_tunnel_and_not_without_it(services: TestFabric) -> None:
    assert not reaches(services, "branch", WEB)
    made = services.json("firewall", "client", "add", "fw", "branch")
    file = dict(line.split(" = ", 1) for line in made["file"].splitlines() if " = " in line)
    assert (made["address"], file["Address"]) == ("10.99.0.2", "10.99.0.2/32")
    assert "10.71.1.0/24" in file["AllowedIPs"]
    peer = f"fw {file['PublicKey']} {FW_TUNNEL} 10.71.1.0/24 endpoint fw:51820 keepalive 25"
    change(
        services,
        "branch",
        "wireguard.address=10.99.0.2/24",
        f"wireguard.key={file['PrivateKey']}",
        f"wireguard.peers={peer}",
    )
    wait_for(lambda: view(services, "clients", "fw")[0]["handshake"], "the two have met")
    assert not reaches(services, "branch", WEB)
    change(services, "fw", "policies=wg -> lan accept")
    assert reaches(services, "branch", WEB)
    assert "<title>" in services.exec("branch", "wget", "-qO-", f"http://{WEB}/hello.html")
    (client,) = view(services, "clients", "fw")
    assert (client["name"], client["networks"]) == ("branch", ["10.99.0.2/32"])
    assert client["received"] > 0 and client["sent"] > 0


def test_a_change_of_settings_does_not_interrupt_the_tunnel(services: TestFabric) -> None:
    ping = services.start("exec", "branch", "--", "ping", "-c", "60", "-i", "0.1", WEB)
    other = services.json("firewall", "client", "add", "fw", "phone")
    assert other["address"] == "10.99.0.3"
    services.run("firewall", "client", "rm", "fw", "phone")
    change(services, "fw", "rules=accept lan -> self icmp", "dns.domain=corp")
    change(services, "branch", "policies=wg -> self accept")
    out, _ = ping.communicate(timeout=60)
    assert " 0% packet loss" in out.decode()
    assert [peer["name"] for peer in view(services, "clients", "fw")] == ["branch"]


def test_two_sites(services: TestFabric) -> None:
    """The network behind a peer: its route comes and goes with the peer's line."""
    assert not reaches(services, "web", INTRA)
    line = json.loads(
        services.run("config", "export", "fw").stdout.decode().split("wireguard.peers = ")[1].split("\n\n")[0]
    )[0]
    change(services, "fw", f"wireguard.peers={line} 10.72.1.0/24", "policies=wg -> lan accept;lan -> wg accept")
    change(services, "branch", "policies=wg -> self accept")
    assert reaches(services, "web", INTRA)
    assert "10.72.1.0/24 dev wg0" in services.exec("fw", "/bin/ip", "route")
    change(services, "fw", f"wireguard.peers={line}")
    assert "10.72.1.0/24" not in services.exec("fw", "/bin/ip", "route")


def test_rules_connections_and_the_log_say_what_happens(services: TestFabric) -> None:
    change(
        services, "fw", "rules=drop wg -> lan tcp port 99 log name ninety-nine;accept wg -> lan tcp port 80 name web"
    )
    assert counted(services, "rules[1]") == 0
    services.exec("branch", "wget", "-qO-", f"http://{WEB}/hello.html")
    services.exec("branch", "sh", "-c", f"echo | nc -w 1 {WEB} 99", check=False)
    assert counted(services, "rules[0]") >= counted(services, "rules[1]") == 1
    texts = {one["rule"]: one["text"] for one in view(services, "rules", "fw")}
    assert texts["rules[1]"] == "accept wg -> lan tcp port 80 name web"
    found = next(one for one in view(services, "connections", "fw") if (one["destination"], one["dport"]) == (WEB, 80))
    assert (found["protocol"], found["source"], found["answered"]) == ("tcp", "10.99.0.2", True)
    logged = wait_for(lambda: drops_of(services, 99), "a line of the log")
    assert {(one["action"], one["rule"], one["zone_in"], one["zone_out"]) for one in logged} == {
        ("drop", "rules[0]", "wg", "lan")
    }


def drops_of(fabric: TestFabric, port: int) -> list[dict[str, Any]]:
    """What the log has of packets to a port."""
    lines = fabric.text("firewall", "log", "fw", "--format", "json").splitlines()
    return [one for one in map(json.loads, lines) if one["dport"] == port]


def test_the_log_goes_on(services: TestFabric) -> None:
    """What was there before comes first, then a packet that is dropped while somebody looks."""
    with services.start("firewall", "log", "-f", "fw", "--format", "json") as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["time"] > 1e9
        services.exec("branch", "sh", "-c", f"echo | nc -w 1 {WEB} 99", check=False)
        services.exec("branch", "sh", "-c", f"echo | nc -w 1 {FW_TUNNEL} 98", check=False)
        assert any(json.loads(line)["dport"] == 98 for line in following.stdout)
        following.terminate()


def test_an_address_is_blocked_and_let_in_again(services: TestFabric) -> None:
    assert reaches(services, "branch", WEB)
    services.run("firewall", "block", "fw", "10.99.0.2", "--for", "10m")
    assert not reaches(services, "branch", WEB)
    assert view(services, "rules", "fw")[0]["text"].startswith("drop any -> any from 10.99.0.2 until ")
    services.run("firewall", "unblock", "fw", "10.99.0.2")
    assert reaches(services, "branch", WEB)
    assert services.refusal("firewall", "unblock", "fw", "10.99.0.2") == "not-found"
    assert services.refusal("firewall", "rules", "web") == "wrong-state"


def test_a_tunnel_ends_with_its_settings(services: TestFabric) -> None:
    services.run("firewall", "client", "rm", "fw", "branch")
    assert not reaches(services, "branch", FW_TUNNEL)
    services.run("config", "unset", "fw", "wireguard.address", "policies", "rules")
    assert "wg0" not in services.exec("fw", "/bin/ip", "link")
