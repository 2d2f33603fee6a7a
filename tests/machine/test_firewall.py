"""The firewall, with real traffic: a router between three networks, and a bridge in front of a machine."""

import re
import urllib.request
from collections.abc import Iterator

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.talks import assert_only, open_echo, open_ticks, serve_echo, serve_ticks

FIRST, SECOND, TICKS = 7000, 7001, 7002
"""Ports of what machine web serves besides its pages."""
OPEN = "policies=lan -> dmz accept"
GUARD = (
    "accept network -> machine tcp port 7000,7002 name talk; accept network -> machine tcp to web port 80; "
    "accept machine -> network icmp"
)
SHUT = "network -> machine drop; machine -> network drop"
"""Both: which end began a connection that was there before cannot be seen any more."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """`fw` between `wan` (machine `outer`), `lan` (`client`) and `dmz` (`web`). A port of the host leads to it."""
    with open_fabric(tmp_path_factory.mktemp("firewall") / "home") as fabric:
        fabric.run("network", "create", "wan", "--subnet", "10.20.0.0/24")
        fabric.run("network", "create", "lan", "--subnet", "10.20.1.0/24", "--gateway", "fw")
        fabric.run("network", "create", "dmz", "--subnet", "10.20.2.0/24", "--gateway", "fw")
        joined = (option for name in ("wan", "lan", "dmz") for option in ("--network", name))
        fabric.run("run", "-d", "--name", "fw", *joined, "-p", "127.0.0.1::80", "firewall")
        fabric.run("run", "-d", "--name", "web", "--network", "dmz", "web")
        fabric.run("run", "-d", "--name", "client", "--network", "lan", "base")
        fabric.run("run", "-d", "--name", "outer", "--network", "wan", "base")
        serve_echo(fabric, "web", FIRST)
        serve_echo(fabric, "web", SECOND)
        serve_ticks(fabric, "web", TICKS)
        yield fabric


@pytest.fixture(autouse=True)
def factory(room: TestFabric) -> None:
    """Each test begins with a firewall that has no settings, and nothing in front of web."""
    for name, _ in room.chain("web"):
        room.run("eject", name)
    view = room.client.config("fw", running=False)
    names = [setting["name"] for setting in view["settings"] if setting["is_set"]]
    if names:
        room.run("config", "unset", "fw", *names)


def address(room: TestFabric, machine: str) -> str:
    return str(room.client.machine(machine)["networks"][0]["address"])


def pings(room: TestFabric, machine: str, target: str) -> bool:
    return "1 packets received" in room.exec(machine, "ping", "-c", "1", "-W", "2", address(room, target), check=False)


def page(room: TestFabric, machine: str, where: str) -> bool:
    """Whether a page of machine web comes from there, as the firewall lets it."""
    told = room.exec(machine, "timeout", "2", "wget", "-qO-", f"http://{where}/hello.html", check=False)
    return "<html" in told


def page_of_host(room: TestFabric) -> bool:
    """The same by the host's port."""
    (published,) = room.json("port", "fw")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{published['host_port']}/hello.html", timeout=2) as answer:
            return b"<html" in answer.read()
    except OSError:
        return False


def counted(room: TestFabric, by: str, firewall: str = "fw") -> int:
    """Packets that a line of the settings has decided on."""
    said = room.exec(firewall, "nft", "list", "ruleset")
    found = re.search(rf'counter packets (\d+) .*comment "{re.escape(by)}', said)
    assert found, said
    return int(found[1])


def test_without_settings_the_inside_gets_out_and_nothing_else(room: TestFabric) -> None:
    assert pings(room, "client", "outer") and pings(room, "web", "outer")
    assert not pings(room, "outer", "client") and not pings(room, "client", "web") and not page_of_host(room)
    view = room.client.machine("fw")
    assert wait_for(
        lambda: room.client.machine("fw")["health"]["status"] == "healthy", "it is healthy", say=lambda: view
    )


def test_rules_and_policies_decide_and_count(room: TestFabric) -> None:
    rules = "rules=accept lan -> dmz tcp port 80 name pages; reject lan -> dmz tcp"
    room.run("config", "set", "fw", rules, "policies=dmz -> wan drop")
    assert page(room, "client", address(room, "web")) and counted(room, "rules[0]") > 0
    assert not page(room, "client", f"{address(room, 'web')}:{FIRST}") and counted(room, "rules[1]") > 0
    assert not pings(room, "client", "web") and counted(room, "policy lan -> dmz") > 0
    assert not pings(room, "web", "outer") and counted(room, "policies[0]") > 0
    done = room.run("config", "set", "fw", "rules=accept lan -> dnz tcp port 80", check=False)
    assert b"rules[0]: there is no zone 'dnz'" in done.stderr
    assert page(room, "client", address(room, "web"))


def test_a_forward_from_outside_and_its_reflection(room: TestFabric) -> None:
    room.run("config", "set", "fw", "forwards=tcp 80 -> web")
    assert page_of_host(room) and page(room, "outer", address(room, "fw"))
    assert page(room, "client", address(room, "fw")) and not page(room, "client", address(room, "web"))
    room.run("config", "set", "fw", "reflection=false")
    assert page(room, "outer", address(room, "fw")) and not page(room, "client", address(room, "fw"))
    room.run("config", "unset", "fw", "forwards")
    assert not page_of_host(room)


def test_sets_are_changed_without_their_rules(room: TestFabric) -> None:
    room.run("config", "set", "fw", "rules=accept lan -> dmz from @staff", "sets=staff = 10.20.1.200, 10.20.1.64/26")
    assert not page(room, "client", address(room, "web"))
    room.run("config", "set", "fw", f"sets=staff = {address(room, 'client')}")
    assert page(room, "client", address(room, "web"))


def test_open_connections_that_new_rules_allow_live_on(room: TestFabric) -> None:
    web = address(room, "web")
    room.run("config", "set", "fw", OPEN)
    first = open_echo(room, "client", "first", web, FIRST)
    second = open_echo(room, "client", "second", web, SECOND)
    room.run("config", "set", "fw", f"rules=accept lan -> dmz tcp port {FIRST}", "policies=lan -> dmz drop")
    assert_only(first, second)
    room.run("config", "set", "fw", OPEN)
    second.wait_lines()


def test_what_cuts_off_the_way_in_goes_back_unless_it_is_confirmed(room: TestFabric) -> None:
    web = address(room, "web")
    room.run("config", "set", "fw", OPEN)
    done = room.run("config", "set", "fw", "policies=lan -> dmz drop", "--confirm", "15")
    assert b"weft config confirm fw keeps it" in done.stderr and not page(room, "client", web)
    room.kill_daemon()
    wait_for(lambda: page(room, "client", web), "the settings before are back")
    wait_for(lambda: room.client.config("fw")["on_trial_until"] is None, "nothing is on trial")
    room.run("config", "set", "fw", "policies=lan -> dmz drop", "--confirm", "600")
    room.run("config", "confirm", "fw")
    assert not page(room, "client", web) and room.client.config("fw")["on_trial_until"] is None


def test_a_bridge_in_front_of_a_machine_keeps_what_its_rules_allow(room: TestFabric) -> None:
    web = address(room, "web")
    room.run("config", "set", "fw", OPEN)
    first = open_echo(room, "client", "kept", web, FIRST)
    ticks = open_ticks(room, "client", "ticks", web, TICKS)
    second = open_echo(room, "client", "cut", web, SECOND)
    room.run("insert", "firewall", "--before", "web", "--name", "guard", "--set", f"rules={GUARD}",
             "--set", f"policies={SHUT}")  # fmt: skip
    assert_only(first, second)
    ticks.wait_lines()
    assert page(room, "client", web) and not pings(room, "client", "web") and pings(room, "web", "outer")
    assert counted(room, "rules[0] talk", "guard") > 0 and counted(room, "policies[0]", "guard") > 0
    assert "inet" not in room.exec("guard", "/bin/ip", "-o", "address", "show", "up", "scope", "link")
    room.run("eject", "guard", "--keep")
    later = open_ticks(room, "client", "later", web, TICKS)
    assert pings(room, "client", "web")
    room.run("insert", "guard", "--before", "web")
    for talk in (first, ticks, later):
        talk.wait_lines()
    assert not pings(room, "client", "web")
    room.run("eject", "guard")
    second.wait_lines()
    assert pings(room, "client", "web")


def test_a_bridge_without_settings_lets_all_pass(room: TestFabric) -> None:
    room.run("config", "set", "fw", OPEN)
    pinging = room.start("exec", "client", "--", "ping", "-c", "60", "-i", "0.1", "-W", "2", address(room, "web"))
    room.run("insert", "firewall", "--before", "web", "--name", "guard")
    assert page(room, "client", address(room, "web")) and counted(room, "policy network -> machine", "guard") > 0
    room.run("eject", "guard")
    said = pinging.communicate(timeout=60)[0].decode()
    assert "60 packets received" in said, said
