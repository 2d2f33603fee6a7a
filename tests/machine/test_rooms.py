"""Two rooms with equal names and subnets: real packets that do not cross, a daemon that dies, and a room's end."""

import json
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.machine.fabrics import PATIENCE, WEFT, TestFabric, open_fabric, wait_for
from tests.machine.raw_frames import open_wiretap

from weft.client import Client
from weft.host.namespace import open_namespace

ALL_PROTOCOLS = socket.htons(3)
SUBNET, WEB, CLIENT = "10.20.1.0/24", "10.20.1.2", "10.20.1.3"
BROADCAST = b"\xff" * 6
PORT = "p1.0"
"""The patch side of `web`, which is the first machine in either room: what is sent there arrives at the bridge."""
KIND = 0x88B6
"""An Ethernet type for experiments: nobody else sends it."""


class Room:
    """One room of a fabric, by the command and by a client of its own."""

    def __init__(self, fabric: TestFabric, name: str) -> None:
        self.fabric, self.name = fabric, name
        self.client = Client(fabric.home, room=name)
        self.home = fabric.home / "rooms" / name

    def run(self, *args: str, check: bool = True) -> str:
        """What `weft --room NAME ARGS` prints, errors behind it."""
        argv = [str(WEFT), "--home", str(self.fabric.home), "--room", self.name, *args]
        done = subprocess.run(argv, capture_output=True, timeout=PATIENCE, check=False)
        assert not check or done.returncode == 0, f"{argv}: {done.stderr.decode()}"
        return (done.stdout + done.stderr).decode()

    def exec(self, machine: str, *argv: str, check: bool = True) -> str:
        return self.run("exec", machine, "--", *argv, check=check)

    def mac(self, machine: str) -> bytes:
        return bytes.fromhex(self.client.machine(machine)["networks"][0]["mac"].replace(":", ""))

    def pings(self, machine: str, target: str) -> bool:
        """Whether all echo requests come back; none must for the answer to be no."""
        said = self.exec(machine, "ping", "-q", "-c", "3", "-i", "0.1", "-W", "3", target, check=False)
        assert "3 packets received" in said or " 0 packets received" in said or "bad address" in said, said
        return "3 packets received" in said


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("rooms") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def acme(fabric: TestFabric) -> Room:
    """With `web` and `client` on `lan`."""
    fabric.run("room", "create", "acme")
    room = Room(fabric, "acme")
    room.run("network", "create", "lan", "--subnet", SUBNET)
    room.run("run", "-d", "--name", "web", "--network", "lan", "web")
    room.run("run", "-d", "--name", "client", "--network", "lan", "base")
    return room


@pytest.fixture(scope="module")
def bolt(fabric: TestFabric, acme: Room) -> Room:
    """The same with `web` alone, which is another image."""
    fabric.run("room", "create", "bolt")
    room = Room(fabric, "bolt")
    room.run("network", "create", "lan", "--subnet", SUBNET)
    room.run("run", "-d", "--name", "web", "--network", "lan", "base")
    return room


@asynccontextmanager
async def open_ear(room: Room) -> AsyncIterator[socket.socket]:
    """Hears every frame on every link of a room's namespace."""
    namespace = await open_namespace(room.home / "run")
    try:
        with await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, ALL_PROTOCOLS) as ear:
            yield ear
    finally:
        await namespace.close()


def hear_until(ear: socket.socket, last: bytes) -> list[bytes]:
    """Everything up to a frame that is known to come."""
    heard: list[bytes] = []
    deadline = time.monotonic() + PATIENCE
    while select.select([ear], [], [], max(0.0, deadline - time.monotonic()))[0]:
        heard.append(ear.recv(1 << 16))
        if heard[-1] == last:
            return heard
    raise AssertionError(f"the last frame is not heard: {heard[-5:]}")


def is_running(pid: int) -> bool:
    """One that has ended has no command line any more, whether or not its parent has asked for its status."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def frame(target: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    return (target + source + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def arp(operation: int, source: bytes, sender: str, target: str) -> bytes:
    addresses = source + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target)
    return frame(BROADCAST, source, 0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + addresses)


def test_equal_names_and_addresses_are_different_machines(acme: Room, bolt: Room) -> None:
    ours, theirs = acme.client.machine("web"), bolt.client.machine("web")
    assert ours["networks"][0]["address"] == theirs["networks"][0]["address"] == WEB
    assert (ours["image"], theirs["image"]) == ("web", "base")
    assert ours["pid"] != theirs["pid"]
    assert "Hello" in acme.exec("client", "wget", "-qO-", "http://web/hello.html")
    assert bolt.client.machines(all=True)[0]["name"] == "web"
    if os.geteuid() == 0:
        users = {Path(f"/proc/{pid}").stat().st_uid for pid in (ours["pid"], theirs["pid"])}
        assert len(users) == 2


def test_a_machine_reaches_nothing_of_another_room(acme: Room, bolt: Room) -> None:
    assert acme.pings("web", CLIENT)
    assert not bolt.pings("web", CLIENT), "only acme has this address"
    assert not bolt.pings("web", "client"), "only acme has this name"


async def test_a_machine_sees_and_spoofs_nothing_of_another_room(acme: Room, bolt: Room) -> None:
    ours, theirs, victim = acme.mac("client"), bolt.mac("web"), acme.mac("web")
    frames = [
        frame(BROADCAST, theirs, KIND, b"broadcast"),
        frame(ours, theirs, KIND, b"to a machine of acme"),
        frame(ours, victim, KIND, b"as a machine of acme"),
        arp(1, theirs, WEB, CLIENT),
        arp(2, theirs, WEB, WEB),
        arp(2, victim, WEB, WEB),
    ]
    last = frame(BROADCAST, victim, KIND, b"this one is acme's own")
    async with open_ear(acme) as ear, open_ear(bolt) as control:
        # From the machine's own kernel: broadcasts, ARP, and whatever it says meanwhile.
        bolt.exec("web", "ping", "-q", "-c", "3", "-i", "0.1", "-W", "1", CLIENT, check=False)
        async with open_wiretap(bolt.home, PORT) as tap:
            for one in frames:
                tap.send(one)
            tap.send(last)
        assert set(frames) <= set(hear_until(control, last)), "they are in bolt"
        async with open_wiretap(acme.home, PORT) as tap:
            tap.send(last)
        heard = hear_until(ear, last)
    assert [one for one in heard if one[6:12] == theirs or one in frames] == []
    assert acme.pings("client", "web")


def test_both_survive_a_daemon_that_is_killed(fabric: TestFabric, acme: Room, bolt: Room) -> None:
    def running() -> dict[tuple[str, str], int]:
        views = fabric.client.machines(all_rooms=True)
        return {(view["room"], view["name"]): view["pid"] for view in views if view["state"] == "running"}

    before = running()
    assert len(before) == 3
    fabric.kill_daemon()
    wait_for(lambda: running() == before, "all are adopted", say=running)
    assert acme.pings("client", "web")
    assert not bolt.pings("web", CLIENT)
    logs = fabric.text("room", "logs", "--tail", "1", "acme")
    assert "web" in {line.split(" ")[0] for line in logs.splitlines()}


def test_a_room_goes_with_all_it_has_and_the_other_stays(fabric: TestFabric, acme: Room, bolt: Room) -> None:
    bolt.run("insert", "sniffer", "--before", "web", "--name", "eye", "--mode", "copy")
    bolt.run("volume", "create", "data", "--size", "16M")
    keeper = json.loads((bolt.home / "run" / "keeper.json").read_text())["pid"]
    pids = [view["pid"] for view in bolt.client.machines(all=True)]
    assert fabric.refusal("room", "rm", "bolt") == "wrong-state"
    assert fabric.refusal("room", "rm", "-f", "bolt") == "wrong-state"
    fabric.run("room", "rm", "-f", "--volumes", "bolt")
    assert not bolt.home.exists()
    assert [pid for pid in (keeper, *pids) if is_running(pid)] == []
    assert [left for left in fabric.leftovers() if "bolt" in left] == []
    assert fabric.refusal("--room", "bolt", "ps") == "not-found"
    assert [room["name"] for room in fabric.client.rooms()] == ["default", "acme"]
    assert acme.pings("client", "web")
    bolted = Room(fabric, "bolt")
    fabric.run("room", "create", "bolt")
    assert bolted.client.machines(all=True) == bolted.client.networks() == []
