"""Networks: names and addresses on them, nothing between them, and whatever frames there are through an insert."""

import re
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.captures import read_fields, sniffing
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.outside import open_outside
from tests.machine.raw_frames import open_wiretap

from weft.host.dns import find_name_server
from weft.host.namespace import find_keeper
from weft.host.uplink import find_uplink

BODY = bytes(range(46))
SOMEBODY = bytes.fromhex("020000000001")
BROADCAST = b"\xff" * 6


def frame(target: bytes, kind: int, payload: bytes) -> bytes:
    return target + SOMEBODY + struct.pack(">H", kind) + payload


FRAMES = {
    "broadcast": frame(BROADCAST, 0x0806, BODY),
    "IPv4 multicast": frame(bytes.fromhex("01005e000001"), 0x0800, BODY),
    "IPv6 multicast": frame(bytes.fromhex("333300000001"), 0x86DD, BODY),
    "VLAN": frame(BROADCAST, 0x8100, struct.pack(">HH", 0x2064, 0x0800) + BODY),
    "VLAN in VLAN": frame(BROADCAST, 0x88A8, struct.pack(">HHHH", 200, 0x8100, 100, 0x0800) + BODY),
    "LLDP": frame(bytes.fromhex("0180c200000e"), 0x88CC, BODY),
    "STP": frame(bytes.fromhex("0180c2000000"), 0x0026, bytes.fromhex("424203") + BODY[:35]),
    "unknown kind": frame(BROADCAST, 0x88B6, BODY),
}


@pytest.fixture(scope="module")
def lab(room: TestFabric) -> TestFabric:
    """The room with a second network, `lab`, for large frames: `alone` is on it, `both` on either, and there nothing
    holds them to their addresses."""
    room.run("network", "create", "lab", "--mtu", "9000", "--subnet", "10.55.0.0/24")
    room.run("run", "-d", "--name", "alone", "--network", "lab,pinned=no", "base")
    room.run("run", "-d", "--name", "both", "--network", "default", "--network", "lab,pinned=no", "base")
    return room


def reaches(fabric: TestFabric, machine: str, *args: str, count: int = 2) -> bool:
    """Whether every echo request comes back; none must for the answer to be no."""
    command = ("ping", "-q", "-c", str(count), "-i", "0.05", "-W", "3", *args)
    output = fabric.exec(machine, *command, check=False)
    match = re.search(r"(\d+) packets transmitted, (\d+) packets received", output)
    received = int(match[2]) if match else 0
    assert received in (0, count), output
    return received == count


def resolves(fabric: TestFabric, machine: str, name: str) -> bool:
    """Whether a machine's own resolver knows a name; `ping` says so before it sends anything."""
    output = fabric.run("exec", machine, "--", "ping", "-c", "1", "-W", "1", name, check=False)
    return b"bad address" not in output.stderr


def inside(fabric: TestFabric) -> list[str]:
    """The links in the fabric's namespace."""
    keeper = find_keeper(fabric.home / "run")
    assert keeper is not None
    rows = Path(f"/proc/{keeper.process.pid}/net/dev").read_text().splitlines()[2:]
    return [row.split(":")[0].strip() for row in rows]


def test_names_of_the_room_resolve_on_all_its_networks(lab: TestFabric) -> None:
    assert reaches(lab, "client", "web")
    assert reaches(lab, "client", "web.default")
    assert reaches(lab, "client", "both")
    assert reaches(lab, "alone", "both.lab")
    alone, both = (lab.json("inspect", name)["networks"] for name in ("alone", "both"))
    assert alone[0]["address"] in lab.exec("client", "nslookup", "alone.lab")
    assert resolves(lab, "client", "alone") and resolves(lab, "alone", "web")
    for asker, address in (("client", both[0]["address"]), ("alone", both[1]["address"])):
        assert address in lab.exec(asker, "nslookup", "both"), "the own network's comes first"
    assert both[1]["address"] in lab.exec("client", "nslookup", "both.lab")
    assert not resolves(lab, "client", "web.lab") and not resolves(lab, "client", "nobody")


def test_a_name_server_that_somebody_ends_comes_back(lab: TestFabric) -> None:
    server = find_name_server(lab.home / "networks" / "default")
    assert server is not None
    server.process.children()[0].send(signal.SIGKILL)
    wait_for(lambda: find_name_server(lab.home / "networks" / "default") not in (None, server), "there is another")
    wait_for(lambda: resolves(lab, "client", "web"), "names are known again")
    assert [event["subject"] for event in lab.events("network.names")] == ["default"]


def test_a_machine_on_two_networks_knows_the_names_of_both(lab: TestFabric) -> None:
    assert reaches(lab, "both", "web")
    assert reaches(lab, "both", "alone")
    assert reaches(lab, "both", "alone.lab")
    assert {one["network"]: one["address"] for one in lab.json("inspect", "both")["networks"]} == {
        "default": "10.87.0.4",
        "lab": "10.55.0.3",
    }


def test_nothing_passes_between_networks(lab: TestFabric) -> None:
    assert reaches(lab, "alone", "10.55.0.1")
    assert not reaches(lab, "alone", "10.87.0.1")
    assert not reaches(lab, "alone", "10.87.0.2")
    assert not reaches(lab, "client", "10.55.0.2")
    # Nor does a machine on both carry anything across.
    lab.exec("alone", "ip", "route", "add", "10.87.0.2", "via", "10.55.0.3")
    assert not reaches(lab, "alone", "10.87.0.2")
    lab.exec("alone", "ip", "route", "del", "10.87.0.2")


def test_a_name_goes_with_its_machine_and_its_address_is_given_again(lab: TestFabric) -> None:
    lab.run("run", "-d", "--name", "brief", "base")
    address = lab.json("inspect", "brief")["networks"][0]["address"]
    assert reaches(lab, "client", "brief")
    lab.run("rm", "-f", "brief")
    assert not resolves(lab, "client", "brief")
    lab.run("run", "-d", "--no-wait", "--name", "next", "base")
    assert lab.json("inspect", "next")["networks"][0]["address"] == address
    lab.run("rm", "-f", "next")


def test_jumbo_frames_pass_inserts_whole(lab: TestFabric, tmp_path: Path) -> None:
    lab.run("insert", "sniffer", "--before", "alone", "--name", "eye")
    with sniffing(lab, tmp_path / "jumbo", "alone", "--count", "4", "icmp"):
        assert reaches(lab, "both", "-s", "8972", "alone")
    assert read_fields((tmp_path / "jumbo").read_bytes(), "frame.len") == [["9014"]] * 4
    lab.run("eject", "eye")


async def test_every_frame_reaches_the_machine_untouched_through_an_insert(lab: TestFabric) -> None:
    lab.run("insert", "sniffer", "--before", "web", "--name", "eye")
    async with open_wiretap(lab.home, "n1") as network, open_wiretap(lab.home, "t1.0") as tap:
        for name, sent in FRAMES.items():
            network.send(sent)
            assert tap.sees(sent), name
        network.send(frame(BROADCAST, 0x88B5, BODY))
        assert not tap.sees(frame(BROADCAST, 0x88B5, BODY), seconds=0.5), "a heartbeat went on to the machine"
    lab.run("eject", "eye")


def test_neighbours_and_vlans_of_machines_work_through_inserts(lab: TestFabric) -> None:
    """Both directions of both ports pass an appliance."""
    for port in ("web", "client", "alone", "both:1"):
        lab.run("insert", "sniffer", "--before", port, "--name", f"{port[:4]}-eye")
    output = lab.exec("client", "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link")
    (local,) = re.findall(r"fe80:[0-9a-f:]+", output)
    assert reaches(lab, "web", "-6", f"{local}%eth0")
    assert "DUP" in lab.exec("client", "ping", "-6", "-c", "2", "-w", "3", "ff02::1%eth0"), "nobody else answers"
    for machine, nic, address in (("alone", "eth0", "192.0.2.1/24"), ("both", "eth1", "192.0.2.2/24")):
        lab.exec(machine, "sh", "-c", f"ip link add link {nic} name v7 type vlan id 7 && ip link set v7 up")
        lab.exec(machine, "ip", "addr", "add", address, "dev", "v7")
    assert reaches(lab, "both", "192.0.2.1")
    for port in ("web", "client", "alone", "both:1"):
        lab.run("eject", f"{port[:4]}-eye")
    assert reaches(lab, "both", "192.0.2.1")


def test_an_insert_sits_at_the_port_that_was_named(lab: TestFabric, tmp_path: Path) -> None:
    lab.run("insert", "sniffer", "--before", "both:1", "--name", "eye")
    assert "net default ── both\n" in lab.text("links", "both")
    assert "net lab ── eye ── both:1\n" in lab.text("links", "both")
    with sniffing(lab, tmp_path / "seen", "both:1", "--count", "4", "icmp"):
        assert reaches(lab, "both", "web")
        assert reaches(lab, "both", "alone")
    seen = read_fields((tmp_path / "seen").read_bytes(), "ip.src")
    assert {address for (address,) in seen} == {"10.55.0.2", "10.55.0.3"}
    lab.run("eject", "eye")


def test_a_network_goes_only_when_nobody_is_on_it(lab: TestFabric) -> None:
    done = lab.run("network", "rm", "lab", check=False)
    assert done.stderr == b"weft: wrong-state: network 'lab' has machines: alone, both (remove them first)\n"
    lab.run("stop", "alone")
    assert lab.refusal("network", "rm", "lab") == "wrong-state"
    before = inside(lab)
    lab.run("network", "create", "brief")
    assert len(inside(lab)) == len(before) + 5  # a bridge, and the two pairs of its gateway's port
    server = find_name_server(lab.home / "networks" / "brief")
    assert server is not None and server.process.alive()
    lab.run("network", "rm", "brief")
    assert inside(lab) == before
    assert not server.process.alive()
    assert [one["name"] for one in lab.json("network", "ls")] == ["default", "lab"]
    lab.run("start", "alone")
    assert reaches(lab, "both", "alone")


def test_a_microvm_has_room_for_four_nics(room: TestFabric) -> None:
    networks = ["--network", "default"] * 4
    room.run("run", "-d", "--name", "wide", *networks, "base")
    assert room.exec("wide", "sh", "-c", "ls -d /sys/class/net/eth*").count("eth") == 4 * 1
    room.run("rm", "-f", "wide")
    assert room.refusal("run", "-d", "--name", "wide", *networks, "--network", "default", "base") == "invalid"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[list[str]]:
    with open_outside(tmp_path / "www") as enter:
        yield enter


def test_an_uplink_leads_out_and_only_for_its_network(outside: list[str], tmp_path: Path) -> None:
    with open_fabric(tmp_path / "home", prefix=outside) as fabric:
        fabric.run("network", "create", "open", "--uplink")
        fabric.run("network", "create", "shut")
        for name, networks in (("in", ["shut"]), ("out", ["open"]), ("both", ["shut", "open"])):
            fabric.run("run", "-d", "--name", name, *(f"--network={network}" for network in networks), "base")
        fetch = ("timeout", "5", "wget", "-q", "-O", "-", "http://203.0.113.1/")
        assert fabric.exec("out", *fetch) == "outside\n"
        fabric.run("insert", "sniffer", "--before", "out", "--name", "eye")
        assert fabric.exec("out", *fetch) == "outside\n"
        assert fabric.exec("in", *fetch, check=False) == ""
        assert not reaches(fabric, "out", fabric.json("inspect", "in")["networks"][0]["address"])
        assert resolves(fabric, "both", "in") and resolves(fabric, "both", "out")
        uplink = find_uplink(fabric.home / "run")
        assert uplink is not None
        uplink.process.send(signal.SIGKILL)
        wait_for(lambda: fabric.exec("out", *fetch, check=False) == "outside\n", "the way out is there again")
        assert find_uplink(fabric.home / "run") != uplink
        assert [event["subject"] for event in fabric.events("room.uplink")] == ["default"]
        assert "uplink" in inside(fabric)
        fabric.run("rm", "-f", "out", "both")
        fabric.run("network", "rm", "open")
        wait_for(lambda: "uplink" not in inside(fabric), "the last network with an uplink has gone")
