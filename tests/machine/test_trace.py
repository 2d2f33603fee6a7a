"""Traces through a real firewall, an inline one, and what does not run: plan and packet say the same."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

RULES = [
    "accept lan -> dmz tcp to web port 80,83 name web",
    "reject lan -> dmz tcp port 81",
    "accept lan -> dmz icmp",
    "accept lan -> dmz icmpv6 name six",
]
WEB = "rules[0] web"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A client in lan, a web server in dmz with a firewall in front of it, another one between them; and one that was
    never started."""
    with open_fabric(tmp_path_factory.mktemp("shop") / "home") as fabric:
        for number, (name, *gateway) in enumerate([("wan",), ("lan", "fw"), ("dmz", "fw")]):
            options = ["--gateway", *gateway, "--subnet6", f"fd00:{number}::/64"] if gateway else []
            fabric.run("network", "create", name, "--subnet", f"10.{number}.9.0/24", *options)
        settings = {"rules": RULES, "forwards": ["tcp 8080 -> web:80"]}
        make(fabric, "web", "web", "dmz", wait=False)
        make(fabric, "client", "base", "lan", wait=False)
        make(fabric, "idle", "base", "lan", start=False)
        make(fabric, "fw", "firewall", "wan", "lan", "dmz", settings=settings, publish=[{"guest_port": 8080}])
        guard = {"rules": ["drop network -> machine tcp port 83 name guarded"]}
        spec = {"name": "guard", "appliance": "firewall", "before": "web", "fail": "closed", "settings": guard}
        fabric.client.create_insert(spec)
        wait_for(lambda: {"web", "client"} <= running(fabric), "the machines are there")
        yield fabric


def running(fabric: TestFabric) -> set[str]:
    return {view["name"] for view in fabric.client.machines() if view["state"] == "running"}


def make(fabric: TestFabric, name: str, image: str, *networks: str, publish: Any = (), **how: Any) -> None:
    nics = [{"network": network} for network in networks]
    fabric.client.create_machine({"name": name, "image": image, "nics": nics, "publish": publish}, **how)


def trace(fabric: TestFabric, source: str, destination: str, *options: str) -> dict[str, Any]:
    """The view; the status says the same."""
    done = fabric.run("trace", *options, source, destination, "--format", "json", check=False)
    view: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if view["verdict"] == "passes" else 1)
    return view


def rules(view: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """What each place on the way there did, and by which rule."""
    return {hop["at"]: (hop["verdict"], hop["rule"]) for hop in view["hops"] if hop["way"] == "there"}


def outcome(view: dict[str, Any]) -> str:
    assert view["probe"] is not None, view
    return str(view["probe"]["outcome"])


def test_what_gets_through_says_by_which_rules(shop: TestFabric) -> None:
    view = trace(shop, "client", "web:80", "--timeout", "20")
    assert (view["verdict"], outcome(view), view["disagreements"]) == ("passes", "connected", []), view
    assert rules(view)["machine fw"] == ("passes", WEB)
    assert rules(view)["insert guard"][0] == "passes"
    seen = {hop["at"]: " ".join(hop["seen"]) for hop in view["hops"] if hop["seen"]}
    assert WEB in seen["machine fw"]
    assert seen["insert guard"]
    assert view["hops"][-1]["at"] == "machine client"
    assert outcome(trace(shop, "client", "web", "--timeout", "20")) == "answered"


def test_what_is_stopped_says_by_which_rule(shop: TestFabric) -> None:
    view = trace(shop, "client", "web:81")
    assert (view["verdict"], outcome(view), view["disagreements"]) == ("stops", "refused", []), view
    assert rules(view)["machine fw"] == ("stops", "rules[1]")
    view = trace(shop, "client", "web:82", "--timeout", "1")
    assert (outcome(view), rules(view)["machine fw"]) == ("silent", ("stops", "policy lan -> dmz")), view
    view = trace(shop, "client", "web:83", "--timeout", "1")
    assert (outcome(view), view["disagreements"]) == ("silent", []), view
    assert rules(view)["machine fw"] == ("passes", WEB)
    assert rules(view)["insert guard"] == ("stops", "rules[0] guarded")


def test_addresses_of_ipv6(shop: TestFabric) -> None:
    view = trace(shop, "client", "web", "-6", "--timeout", "20")
    assert (view["verdict"], outcome(view), view["disagreements"]) == ("passes", "answered", []), view
    assert view["packet"] == "icmp fd00:1::2 -> fd00:2::2"
    assert rules(view)["machine fw"] == ("passes", "rules[3] six")
    assert any(hop["seen"] for hop in view["hops"] if hop["at"] == "machine fw")


def test_a_published_port_leads_through_a_forward(shop: TestFabric) -> None:
    port = shop.client.machine("fw")["ports"][0]["host_port"]
    view = trace(shop, "outside", str(port), "--timeout", "20")
    assert (view["verdict"], outcome(view), view["disagreements"]) == ("passes", "connected", []), view
    assert rules(view)["machine fw"] == ("passes", "forwards[0]")
    assert "machine web" in rules(view)


def test_what_does_not_run_or_is_not_there(shop: TestFabric) -> None:
    view = trace(shop, "client", "idle", "--timeout", "1")
    assert view["why"] == "machine idle: it is created"
    assert outcome(view) in ("silent", "unreachable")
    assert trace(shop, "client", "10.2.9.77", "--no-probe")["why"] == "network dmz: nobody has 10.2.9.77"
    shop.run("room", "create", "other")
    shop.run("--room", "other", "network", "create", "lan")
    assert "nothing crosses between rooms" in trace(shop, "client", "other:network:lan")["why"]


def test_a_rule_that_no_setting_knows_is_found(shop: TestFabric) -> None:
    """Somebody has changed the rules by hand."""
    nft = ("/usr/sbin/nft", "insert", "rule", "inet", "weft", "forward", "tcp", "dport", "80", "drop")
    shop.exec("fw", *nft, "comment", '"by hand"')
    view = trace(shop, "client", "web:80", "--timeout", "1")
    assert outcome(view) == "silent"
    assert any("machine fw" in line and "by hand" in line for line in view["disagreements"]), view
    assert "weft-trace" not in shop.exec("fw", "/usr/sbin/nft", "list", "tables")


def test_wiring_that_somebody_has_cut(shop: TestFabric) -> None:
    keeper = json.loads((shop.home / "run" / "keeper.json").read_text())["pid"]
    cut = ("tc", "filter", "del", "dev", "p2.0", "ingress", "pref", "300")
    subprocess.run(["nsenter", "-t", str(keeper), "-n", *cut], check=True)
    view = trace(shop, "client", "web", "--timeout", "1")
    assert view["why"] == "port client:0, on the way back: its wiring is broken: p2.0 leads nowhere"
    assert outcome(view) in ("unreachable", "silent")
    shop.run("shutdown")
    assert trace(shop, "client", "web", "--timeout", "20")["verdict"] == "passes"


def test_a_blocked_insert_and_a_nic_that_is_down(shop: TestFabric) -> None:
    shop.run("kill", "guard")
    wait_for(lambda: shop.chain("web") == [("guard", "blocked")], "it is blocked")
    view = trace(shop, "client", "web:80", "--no-probe")
    assert view["why"].startswith("insert guard: blocked: ")
    shop.exec("client", "ip", "link", "set", "eth0", "down")
    assert "machine client has eth0 down" in trace(shop, "client", "web:80", "--no-probe")["disagreements"]
