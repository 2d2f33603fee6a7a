"""Suricata as an appliance: attacks on a machine become events of the fabric, and after it has gone they do not."""

from collections.abc import Iterator

import pytest
from tests.machine.fabrics import TestFabric, wait_for

RULE = 'alert icmp any any -> any any (msg:"a \\"ping\\""; itype:8; sid:2000001; rev:1;)'


@pytest.fixture(scope="module")
def watched(room: TestFabric) -> Iterator[TestFabric]:
    room.run("insert", "ids", "--before", "web", "--mode", "copy")
    wait_for(
        lambda: "Engine started" in room.text("logs", "ids"), "Suricata looks", say=lambda: room.text("logs", "ids")
    )
    yield room


def alerts(room: TestFabric) -> list[str]:
    return [event["data"]["said"] for event in room.events("machine.told") if event["data"]["what"] == "alert"]


def attack(room: TestFabric) -> None:
    room.exec("client", "wget", "-qO-", "http://web/x?file=/etc/passwd", check=False)


def test_it_gets_copies_and_an_attack_is_an_event(watched: TestFabric) -> None:
    assert watched.json("links", "web")[0]["chain"][0]["mode"] == "copy"
    watched.exec("client", "wget", "-qO-", "http://web/hello.html")
    attack(watched)
    (told,) = wait_for(lambda: alerts(watched), "an alert")
    client, web = (watched.client.machine(name)["networks"][0]["address"] for name in ("client", "web"))
    assert told.startswith(f"Web: a system file is asked for, TCP {client}:")
    assert told.endswith(f" -> {web}:80 (rule 1000021, priority 1)")


def test_rules_of_ones_own_are_taken_live_or_refused(watched: TestFabric) -> None:
    watched.run("config", "set", "ids", f"rules={RULE}", "built-in=false")
    watched.exec("client", "ping", "-c", "1", "web")
    wait_for(
        lambda: any(told.startswith('a "ping", ICMP') for told in alerts(watched)),
        "an alert",
        say=lambda: alerts(watched),
    )
    done = watched.run("config", "set", "ids", "rules=alert icmp any any -> any", check=False)
    assert done.returncode == 1
    assert b"the appliance refuses: detect-parse: no rule options" in done.stderr
    assert watched.client.config("ids")["revision"] == 1


def test_without_it_nobody_looks(watched: TestFabric) -> None:
    watched.run("eject", "ids")
    before = alerts(watched)
    watched.exec("client", "ping", "-c", "1", "web")
    attack(watched)
    assert alerts(watched) == before
