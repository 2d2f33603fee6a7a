"""The main job: appliances slipped in front of a running machine, and out again, on real machines."""

import os
import re
import signal

import pytest
from tests.machine.fabrics import TestFabric, wait_for
from tests.machine.pings import pinging


@pytest.fixture(autouse=True)
def empty_chain(room: TestFabric) -> None:
    """Every test begins with nothing in front of web."""
    for name, _ in room.chain("web"):
        room.client.eject(name)


def lost(ping: str) -> int:
    found = re.search(r"(\d+) packets transmitted, (\d+) packets received", ping)
    assert found, ping
    sent, received = map(int, found.groups())
    return sent - received


def ping(room: TestFabric, count: int = 5) -> int:
    """Packets lost of `count`."""
    return lost(room.exec("client", "ping", "-c", str(count), "-i", "0.05", "-W", "2", "web", check=False))


def through(room: TestFabric, insert: str) -> int:
    """Packets that an appliance's network side has received."""
    return int(room.exec(insert, "cat", "/sys/class/net/eth0/statistics/rx_packets"))


def test_traffic_flows_while_a_sniffer_goes_in_and_out(room: TestFabric) -> None:
    with pinging(room, "client", "web") as echoes:
        room.run("insert", "sniffer", "--before", "web", "--name", "eye")
        assert room.chain("web") == [("eye", "active")]
        before = through(room, "eye")
        wait_for(lambda: through(room, "eye") > before + 5, "frames go through the sniffer")
        room.run("eject", "eye")
    echoes.check_all()
    assert room.chain("web") == []
    assert [machine["name"] for machine in room.json("ps", "-a")] == ["web", "client"]


def test_a_sniffer_goes_before_a_gateway_and_out_again(room: TestFabric) -> None:
    (network,) = room.json("network", "ls")
    with pinging(room, "client", network["gateway"]) as echoes:
        room.run("insert", "sniffer", "--before", "network:default", "--name", "eye")
        assert room.text("links", "network:default") == "net default ── eye ── gateway\n"
        before = through(room, "eye")
        wait_for(lambda: through(room, "eye") > before + 5, "frames go through the sniffer")
        room.run("eject", "eye")
    echoes.check_all()
    assert room.text("links", "network:default") == "net default ── gateway\n"


def test_what_reaches_a_gateway_is_seen(room: TestFabric) -> None:
    (network,) = room.json("network", "ls")
    sniffing = room.start("sniff", "network:default", "--count", "2", "icmp")

    def has_seen() -> bool:
        room.exec("client", "ping", "-c", "2", "-i", "0.05", "-W", "1", network["gateway"], check=False)
        return sniffing.poll() is not None

    wait_for(has_seen, "the sniffer has seen two packets")
    assert network["gateway"] in sniffing.communicate()[0].decode()


def test_a_chain_is_ordered_and_any_of_it_can_go(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "inner")
    room.run("insert", "sniffer", "--before", "web", "--name", "outer", "--at", "0")
    assert [name for name, _ in room.chain("web")] == ["outer", "inner"]
    assert "net default ── outer ── inner ── web" in room.text("links", "web")
    assert ping(room) == 0
    room.run("eject", "outer")
    assert [name for name, _ in room.chain("web")] == ["inner"]
    assert ping(room) == 0


def test_a_listener_gets_copies_and_is_not_in_the_way(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "ear", "--mode", "copy")
    before = through(room, "ear")
    assert ping(room) == 0
    wait_for(lambda: through(room, "ear") > before, "it has heard of them")
    room.client.kill_machine("ear")
    assert ping(room) == 0


def test_fail_open_lets_traffic_pass_a_dead_appliance(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "weak")
    os.kill(room.client.machine("weak")["pid"], signal.SIGKILL)
    wait_for(lambda: room.chain("web") == [("weak", "bypassed")], "it is bypassed")
    assert ping(room) == 0
    assert room.events("insert.bypassed")


def test_fail_open_lets_traffic_pass_a_stopped_appliance_until_it_is_back(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "sleepy")
    pid = room.client.machine("sleepy")["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: room.chain("web") == [("sleepy", "bypassed")], "it is bypassed")
    assert ping(room) == 0
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: room.chain("web") == [("sleepy", "active")], "it carries frames again")
    assert ping(room) == 0


def test_fail_closed_stops_traffic_until_the_policy_is_changed(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "strict", "--fail", "closed")
    os.kill(room.client.machine("strict")["pid"], signal.SIGKILL)
    wait_for(lambda: room.chain("web") == [("strict", "blocked")], "it is blocked")
    assert ping(room, 2) == 2
    assert room.events("insert.blocked")
    room.run("policy", "strict", "open")
    assert room.chain("web") == [("strict", "bypassed")]
    assert ping(room) == 0


def test_a_hung_guest_counts_as_failed(room: TestFabric) -> None:
    """QEMU runs on, but nothing comes through: the guest's own NIC is down."""
    room.run("insert", "sniffer", "--before", "web", "--name", "deaf")
    room.exec("deaf", "ip", "link", "set", "eth1", "down")
    wait_for(lambda: room.chain("web") == [("deaf", "bypassed")], "it is bypassed")
    assert ping(room) == 0
    room.exec("deaf", "ip", "link", "set", "eth1", "up")
    wait_for(lambda: room.chain("web") == [("deaf", "active")], "it carries frames again")


def test_an_insert_ends_by_itself(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "brief", "--for", "1s")
    wait_for(lambda: room.chain("web") == [], "its time is up")
    assert ping(room) == 0


def test_a_parked_appliance_goes_in_again_at_once(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "ready")
    room.run("eject", "ready", "--keep")
    assert room.chain("web") == []
    assert room.client.machine("ready")["state"] == "running"
    room.run("insert", "ready", "--before", "client")
    assert room.chain("client") == [("ready", "active")]
    assert ping(room) == 0
    room.run("eject", "ready")


def test_a_parked_appliance_that_lets_nothing_through_stays_parked(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    fabric.run("insert", "sniffer", "--before", "web", "--name", "ready")
    fabric.exec("ready", "ip", "link", "set", "eth1", "down")
    wait_for(lambda: fabric.chain("web") == [("ready", "bypassed")], "it is bypassed")
    fabric.run("eject", "ready", "--keep")
    (fabric.home / "weft.toml").write_text("boot_timeout = 15\n")
    fabric.run("shutdown")
    assert fabric.refusal("insert", "ready", "--before", "web") == "unavailable"
    assert fabric.chain("web") == []
    assert fabric.client.machine("ready")["state"] == "running"
    fabric.exec("ready", "ip", "link", "set", "eth1", "up")
    fabric.run("insert", "ready", "--before", "web")
    assert fabric.chain("web") == [("ready", "active")]


def test_a_machine_keeps_its_chain_when_it_restarts(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "loyal")
    room.run("restart", "web")
    assert room.chain("web") == [("loyal", "active")]
    before = through(room, "loyal")
    assert ping(room) == 0
    assert through(room, "loyal") > before


def test_a_restarted_appliance_goes_back_to_its_place(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "phoenix")
    room.client.kill_machine("phoenix")
    wait_for(lambda: room.chain("web") == [("phoenix", "bypassed")], "it is bypassed")
    room.run("start", "phoenix")
    wait_for(lambda: room.chain("web") == [("phoenix", "active")], "it carries frames again")
    assert ping(room) == 0


def test_an_appliance_that_dies_on_its_way_in_leaves_a_working_port(room: TestFabric) -> None:
    inserting = room.start("insert", "sniffer", "--before", "web", "--name", "stillborn", "--cold")
    pid = wait_for(lambda: next((m["pid"] for m in room.client.machines() if m["name"] == "stillborn"), None), "QEMU")
    os.kill(pid, signal.SIGKILL)
    _, complaint = inserting.communicate(timeout=60)
    assert inserting.returncode != 0
    assert complaint.startswith(b"weft: unavailable: "), complaint
    assert room.chain("web") == []
    assert ping(room) == 0
    assert "stillborn" not in room.text("ps", "-a")


def test_what_cannot_be_inserted_is_refused_before_anything_begins(room: TestFabric) -> None:
    for args, code in (
        (("sniffer", "--before", "nobody"), "not-found"),
        (("sniffer", "--before", "web:3"), "not-found"),
        (("nothing", "--before", "web"), "not-found"),
        (("web", "--before", "web"), "invalid"),
        (("sniffer", "--before", "web", "--name", "client"), "exists"),
    ):
        done = room.run("insert", *args, check=False)
        assert done.returncode == 1, args
        assert done.stderr.startswith(f"weft: {code}: ".encode()), (args, done.stderr)
    assert room.chain("web") == []
