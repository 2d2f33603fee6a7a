"""A firewall takes over the gateway of a network under traffic, and hands it back."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.outside import ADDRESS, ECHO, open_outside
from tests.machine.talks import Talk, open_echo

GATEWAY = "10.30.0.1"
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read()[:5])"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with open_outside(tmp_path_factory.mktemp("outside") / "www") as enter:
        yield enter


@pytest.fixture(scope="module")
def lan(outside: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """`client` and `web`, which has a port of the host, on a network with an uplink."""
    with open_fabric(tmp_path_factory.mktemp("takeover") / "home", prefix=outside) as fabric:
        fabric.run("network", "create", "lan", "--uplink", "--subnet", "10.30.0.0/24")
        fabric.run("run", "-d", "--name", "web", "--network", "lan", "-p", "127.0.0.1::80", "web")
        fabric.run("run", "-d", "--name", "client", "--network", "lan", "base")
        yield fabric


@pytest.fixture(scope="module")
def talk(lan: TestFabric) -> Talk:
    """A connection that was there before any of it, and goes on through all of it."""
    return open_echo(lan, "client", "talk", ADDRESS, ECHO)


@pytest.fixture(scope="module")
def taken(lan: TestFabric, talk: Talk) -> TestFabric:
    lan.run("insert", "firewall", "--before", "network:lan", "--name", "fw")
    return lan


def fetches(lan: TestFabric) -> bool:
    said = lan.exec("client", "timeout", "5", "wget", "-qO-", f"http://{ADDRESS}/", check=False)
    return said == "outside\n"


def pings(lan: TestFabric) -> bool:
    return "1 packets received" in lan.exec("client", "ping", "-c", "1", "-W", "2", GATEWAY, check=False)


def is_published(lan: TestFabric, outside: list[str]) -> bool:
    port = lan.json("port", "web")[0]["host_port"]
    command = [*outside, sys.executable, "-c", FETCH, f"http://127.0.0.1:{port}/"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def test_the_firewall_is_the_gateway_and_flows_go_on(taken: TestFabric, talk: Talk) -> None:
    (insert,) = taken.json("links", "network:lan")[0]["chain"]
    assert (insert["mode"], insert["state"]) == ("routed", "active")
    talk.wait_lines()
    assert fetches(taken)
    assert "10.30.0." in taken.exec("client", "nslookup", "web").partition("Name:")[2]
    assert not pings(taken), "the fabric's gateway answers, and the firewall's does not"


def test_its_rules_are_in_force(taken: TestFabric, talk: Talk) -> None:
    taken.run("config", "set", "fw", f"rules=drop lan -> uplink tcp to {ADDRESS} port 80; accept lan -> self icmp")
    assert not fetches(taken)
    assert pings(taken)
    talk.wait_lines()
    taken.run("config", "unset", "fw", "rules")


def test_published_ports_are_for_its_rules_to_allow(taken: TestFabric, outside: list[str]) -> None:
    assert not is_published(taken, outside)
    taken.run("config", "set", "fw", "rules=accept uplink -> lan tcp port 80")
    assert is_published(taken, outside)
    taken.run("config", "unset", "fw", "rules")


def test_a_machine_that_comes_later_finds_it(taken: TestFabric) -> None:
    taken.run("run", "-d", "--name", "late", "--network", "lan", "base")
    assert "10.30.0." in taken.exec("late", "nslookup", "client").partition("Name:")[2]
    taken.run("rm", "-f", "late")


def test_translated_flows_end_on_it_and_new_ones_pass(taken: TestFabric, talk: Talk) -> None:
    taken.run("config", "set", "fw", "masquerade=lan")
    translated = open_echo(taken, "web", "translated", ADDRESS, ECHO)
    ejecting = taken.start("eject", "--keep", "--drain", "10m", "fw")
    wait_for(lambda: "fw[ejecting]" in taken.text("links", "network:lan"), "it drains")
    wait_for(lambda: pings(taken), "its rules are gone")
    assert fetches(taken)
    translated.wait_lines()
    assert ejecting.poll() is None
    taken.exec("web", "killall", "nc")
    assert ejecting.wait(timeout=60) == 0, ejecting.communicate()
    assert taken.text("links", "network:lan") == "net lan ── gateway\n"
    talk.wait_lines()


def test_it_comes_back_with_its_rules(taken: TestFabric, talk: Talk) -> None:
    taken.run("config", "unset", "fw", "masquerade")
    taken.run("insert", "fw", "--before", "network:lan")
    assert not pings(taken)
    talk.wait_lines()


def test_the_gateway_is_handed_back_and_flows_go_on(taken: TestFabric, talk: Talk, outside: list[str]) -> None:
    taken.run("eject", "--keep", "fw")
    assert taken.text("links", "network:lan") == "net lan ── gateway\n"
    talk.wait_lines()
    assert fetches(taken) and pings(taken) and is_published(taken, outside)


def test_when_it_dies_the_fabric_is_the_gateway_until_it_is_back(taken: TestFabric) -> None:
    """What was inside it is lost, and pasta takes its time to send that again: so nothing is said of `talk`."""
    taken.run("insert", "fw", "--before", "network:lan")
    assert not pings(taken)
    taken.run("kill", "fw")
    wait_for(lambda: "fw[bypassed]" in taken.text("links", "network:lan"), "it is bypassed")
    assert pings(taken) and fetches(taken)
    taken.run("start", "fw")
    wait_for(lambda: "── fw ──" in taken.text("links", "network:lan"), "it is the gateway again")
    assert not pings(taken)
    taken.run("eject", "fw")
    assert [machine["name"] for machine in taken.json("ps", "-a")] == ["web", "client"]
