"""Machines that send what is not their own, from inside, watched at the victim; and that honest ones are not hindered.

Which frames pass is tested one by one in tests/host/test_pins.py, against the rules alone."""

import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from benchmarks.harness.frames import (
    NEIGHBOR_ADVERT,
    NEIGHBOR_SOLICIT,
    ROUTER_ADVERT,
    arp,
    dhcp_question,
    ethernet,
    icmp6,
    neighbor,
    udp,
)
from benchmarks.harness.inject import INSIDE, dump_frames, make_injector
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.raw_frames import open_wiretap

from weft.host.namespace import find_keeper
from weft.plan.pin_table import TABLE
from weft.plan.pins import find_own_addresses

GATEWAY = "10.87.0.1"
VICTIM_TAP = "t1.0"


@dataclass(frozen=True)
class Place:
    """Where a machine is."""

    mac: str
    address: str

    @property
    def local(self) -> str:
        return str(find_own_addresses(self.mac, None)[0])


@pytest.fixture(scope="module")
def lair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with `victim`, `rogue`, and `loose`, which nothing holds to its addresses."""
    with open_fabric(tmp_path_factory.mktemp("lair") / "home") as fabric:
        fabric.run("run", "-d", "--name", "victim", "base")
        fabric.run("run", "-d", "--name", "rogue", "base")
        fabric.run("run", "-d", "--name", "loose", "--network", "default,pinned=no", "base")
        tool = make_injector(fabric.home.parent)
        for machine in ("rogue", "loose"):
            fabric.run("cp", str(tool), f"{machine}:{INSIDE}")
        yield fabric


def find(fabric: TestFabric, machine: str) -> Place:
    (nic,) = fabric.json("inspect", machine)["networks"]
    return Place(nic["mac"], nic["address"])


def inject(fabric: TestFabric, machine: str, frames: list[bytes]) -> None:
    """Have a machine send frames."""
    fabric.run("exec", "-i", machine, "--", INSIDE, "eth0", input=dump_frames(frames).encode())


def pings(fabric: TestFabric, machine: str, *target: str) -> bool:
    said = fabric.exec(machine, "ping", "-q", "-c", "2", "-i", "0.2", "-W", "3", *target, check=False)
    assert "2 packets received" in said or " 0 packets received" in said, said
    return "2 packets received" in said


def forge(me: Place, victim: Place) -> dict[str, bytes]:
    """What a machine might send to pass for another."""
    tagged = struct.pack(">HH", 7, 0x0800) + udp(me.mac, victim.address, GATEWAY, (9, 9))[14:]
    return {
        "another's MAC": udp(victim.mac, victim.address, "10.87.0.255", (9, 9)),
        "another's address": udp(me.mac, victim.address, "10.87.0.255", (9, 9)),
        "the gateway's address": udp(me.mac, GATEWAY, victim.address, (53, 9)),
        "ARP": arp(me.mac, GATEWAY, victim.address, operation=2),
        "ARP, gratuitous": arp(me.mac, GATEWAY, GATEWAY, operation=2),
        "a probe that makes it doubt": arp(me.mac, "0.0.0.0", victim.address),
        "a neighbour": neighbor(me.mac, me.local, NEIGHBOR_ADVERT, victim.local, option=me.mac),
        "detection that makes it doubt": neighbor(me.mac, "::", NEIGHBOR_SOLICIT, victim.local),
        "routes": icmp6(me.mac, me.local, "ff02::1", ROUTER_ADVERT, bytes(12)),
        "an answer of DHCP": udp(me.mac, me.address, "255.255.255.255", (67, 68), bytes(240)),
        "a question of DHCP for another": dhcp_question(me.mac, victim.mac),
        "a tag": ethernet(me.mac, 0x8100, tagged),
        "a heartbeat": ethernet(me.mac, 0x88B5, b"beat"),
    }


async def test_nothing_forged_reaches_the_victim(lair: TestFabric) -> None:
    victim, rogue, loose = (find(lair, name) for name in ("victim", "rogue", "loose"))
    last = ethernet(rogue.mac, 0x88B6, b"this is all")
    frames = forge(rogue, victim)
    async with open_wiretap(lair.home, VICTIM_TAP) as tap:
        inject(lair, "rogue", [*frames.values(), last])
        seen = tap.collect_until(last)
        assert [name for name, frame in frames.items() if frame in seen] == []
        # The same by somebody whom nothing holds: it arrives, all but heartbeats, which enter no network.
        last, frames = ethernet(loose.mac, 0x88B6, b"this is all"), forge(loose, victim)
        inject(lair, "loose", [*frames.values(), last])
        seen = tap.collect_until(last)
        assert [name for name, frame in frames.items() if frame not in seen] == ["a heartbeat"]
    told = {"mac": 1, "address": 2, "arp": 3, "neighbour": 2, "service": 3, "frame": 1}
    wait_for(lambda: told_of(lair, "rogue") == told, "it is told", say=lambda: lair.events("port.spoofed"))
    assert {(event["subject"], event["data"]["nic"]) for event in lair.events("port.spoofed")} == {("rogue", 0)}
    (stats,) = lair.client.stats(["rogue"])
    assert stats["nics"][0]["forged"] == 12
    assert [lair.json("inspect", name)["networks"][0]["pinned"] for name in ("rogue", "loose")] == [True, False]


def told_of(fabric: TestFabric, machine: str) -> Counter[str]:
    """What a machine has forged, by all that was told of it: somebody may have looked in the middle of it."""
    events = [event for event in fabric.events("port.spoofed") if event["subject"] == machine]
    return sum((Counter(event["data"]["forged"]) for event in events), Counter[str]())


def test_a_machine_that_takes_another_address_is_alone(lair: TestFabric) -> None:
    victim, rogue = find(lair, "victim"), find(lair, "rogue")
    assert pings(lair, "rogue", victim.address)
    lair.exec("rogue", "sh", "-c", "ip addr add 10.87.0.99/24 dev eth0 && ip addr add fd09::9/64 dev eth0")
    assert not pings(lair, "rogue", "-I", "10.87.0.99", victim.address)
    lair.exec("rogue", "ip", "link", "set", "eth0", "address", "52:57:00:00:00:99")
    assert not pings(lair, "rogue", victim.address)
    lair.exec("rogue", "ip", "link", "set", "eth0", "address", rogue.mac)
    assert pings(lair, "rogue", victim.address)


def test_honest_machines_are_not_hindered(lair: TestFabric) -> None:
    victim, rogue = find(lair, "victim"), find(lair, "rogue")
    before = lair.client.stats(["victim"])[0]["nics"][0]["forged"]
    lair.exec("victim", "sh", "-c", "ip -6 addr flush dev eth0; ip link set eth0 down; ip link set eth0 up")
    lair.exec("victim", "ip", "route", "replace", "default", "via", GATEWAY)
    wait_for(lambda: "tentative" not in lair.exec("victim", "ip", "-6", "addr", "show", "dev", "eth0"), "it is known")
    assert pings(lair, "victim", "-6", f"{rogue.local}%eth0")
    assert pings(lair, "rogue", "-6", f"{victim.local}%eth0")
    assert pings(lair, "victim", rogue.address) and pings(lair, "victim", GATEWAY)
    assert "DUP" in lair.exec("victim", "ping", "-6", "-c", "2", "-w", "3", "ff02::1%eth0"), "nobody else answers"
    lair.exec("victim", "arping", "-D", "-c", "2", "-w", "3", "-I", "eth0", victim.address)
    lair.exec("victim", "arping", "-U", "-c", "1", "-w", "2", "-I", "eth0", victim.address, check=False)
    assert "rogue" in lair.exec("victim", "nslookup", "rogue", GATEWAY)
    assert lair.client.stats(["victim"])[0]["nics"][0]["forged"] == before == 0


def test_a_table_that_is_gone_comes_back_with_the_daemon(lair: TestFabric) -> None:
    victim = find(lair, "victim")
    keeper = find_keeper(lair.home / "run")
    assert keeper is not None
    lair.kill_daemon()
    enter = ["nsenter", f"--target={keeper.process.pid}", "--net", "--"]
    subprocess.run([*enter, "nft", "delete", "table", *TABLE.split()], check=True)
    assert lair.json("inspect", "rogue")["networks"][0]["pinned"]
    assert pings(lair, "rogue", victim.address)
    assert not pings(lair, "rogue", "-I", "10.87.0.99", victim.address)
