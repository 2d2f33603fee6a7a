"""Rooms: ten customers with the same addresses side by side, and what gets from one to another.

Promise: all machines are up and answer; of 1,000 probes from one room into another none gets through, and each probe
does within a room. Every room has the same network and machines of the same names and addresses; in each one machine is
held to nothing (`pinned=no`), and one has a name and an address that no other room has. From each room every other is
tried: ARP, ping, TCP, UDP, ping by IPv6, the name; and frames made by hand, with the hardware addresses of the other
room's machines, for which somebody listens on all links of all rooms.
"""

import argparse
import asyncio
import json
import os
import secrets
import select
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness.fabric import BenchFabric, execute, open_bench_fabric
from benchmarks.harness.frames import arp, echo, ethernet
from benchmarks.harness.inject import INSIDE, dump_frames, make_injector
from benchmarks.harness.report import Report, say
from weft.client import Client
from weft.host.namespace import open_namespace
from weft.plan.pins import find_own_addresses

SUBNET, ROGUE, NEIGHBOUR = "10.20.1.0/24", "m0", "m1"
KIND, VLAN = 0x88B6, 0x8100
"""An Ethernet type for experiments, and that of tags."""
ALL_FRAMES = socket.htons(3)
RECEIVE_BUFFER, EAR_BYTES = 33, 16 << 20
"""SO_RCVBUFFORCE, for which Python has no name, and how much somebody who listens may have unread."""
ARP_BYTES, MARK_BYTES = 42, 16
PATIENCE = 30.0
AT_ONCE = 12
"""Tries of one machine at a time: it has memory for some programs only."""
TRIES: Mapping[str, str] = {
    "arp": "arping -q -c 2 -w 2 -I eth0 {address}",
    "ping": "ping -q -c 1 -W 2 {address}",
    "ping6": "ping -6 -q -c 1 -W 2 {local}%eth0",
    "tcp": "/proc/1/exe probe tcp {address} 9 2000 | grep -qE '^(connected|refused)'",
    "udp": "/proc/1/exe probe udp {address} 9 2000 | grep -qE '^(answered|refused)'",
    "name": "nslookup {name} 10.20.1.1",
}
"""What a shell in a machine does; it succeeds when something came back. Nobody listens, so a refusal is an answer."""


@dataclass(frozen=True, slots=True)
class Room:
    """One customer, by a client of its room: the machine that is held to nothing, one that all rooms have, and one
    that only this one has."""

    name: str
    client: Client
    home: Path
    rogue: Mapping[str, Any]
    neighbour: Mapping[str, Any]
    target: Mapping[str, Any]

    @property
    def words(self) -> dict[str, str]:
        """What stands in a try for it."""
        nic = self.target["networks"][0]
        local = str(find_own_addresses(nic["mac"], None)[0])
        return {"address": nic["address"], "local": local, "name": self.target["name"]}


class Probe(NamedTuple):
    """From one room into another, or into itself; what was tried."""

    sender: str
    other: str
    kind: str


def make_rooms(fabric: BenchFabric, options: argparse.Namespace) -> list[Room]:
    """All of them, with what is in them; a few machines start at a time."""
    clients = {f"r{number}": Client(fabric.home, room=f"r{number}") for number in range(options.rooms)}
    for name, client in clients.items():
        fabric.client.create_room(name)
        client.create_network({"name": "lan", "subnet": SUBNET})
    with ThreadPoolExecutor(options.at_once) as pool:
        made = {
            name: [pool.submit(client.create_machine, spec) for spec in list_specs(number, options)]
            for number, (name, client) in enumerate(clients.items())
        }
        views = {name: [future.result() for future in futures] for name, futures in made.items()}
    home = fabric.home / "rooms"
    return [
        Room(name, client, home / name, views[name][0], views[name][1], views[name][-1])
        for name, client in clients.items()
    ]


def list_specs(number: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The machines of one room. All but the last are the same in each."""
    shared = {"image": "base", "memory": options.memory << 20}
    count = options.machines // options.rooms
    names = [(f"m{index}", f"10.20.1.{2 + index}") for index in range(count - 1)]
    names.append((f"only-{number}", f"10.20.1.{100 + number}"))
    return [
        {"name": name, **shared, "nics": [{"network": "lan", "address": address, "pinned": name != ROGUE}]}
        for name, address in names
    ]


def count_answers(rooms: Sequence[Room]) -> int:
    """How many machines answer: their agent, and a ping of their gateway."""
    answering = 0
    for room in rooms:
        for machine in room.client.machines():
            execute(room.client, machine["name"], "ping -q -c 1 -W 5 10.20.1.1")
            answering += 1
    return answering


def try_all(room: Room, targets: Sequence[Room]) -> dict[Probe, bool]:
    """What the room's rogue reaches of some rooms."""
    lines = [
        f"({words.format(**target.words)}) >/dev/null 2>&1 && echo {kind} {target.name} &"
        for kind, words in TRIES.items()
        for target in targets
    ]
    groups = [[*lines[at : at + AT_ONCE], "wait"] for at in range(0, len(lines), AT_ONCE)]
    said = execute(room.client, ROGUE, "\n".join(line for group in groups for line in group)).splitlines()
    return {
        Probe(room.name, target.name, kind): f"{kind} {target.name}" in said for kind in TRIES for target in targets
    }


class Forged(NamedTuple):
    """A frame, and the bytes by which it is known wherever it is heard."""

    frame: bytes
    mark: bytes


def forge(room: Room, other: Room) -> dict[str, Forged]:
    """Frames for another room."""
    mine, his, next_to_him = (machine["networks"][0] for machine in (room.rogue, other.target, other.neighbour))
    me, him, address = mine["mac"], his["mac"], his["address"]
    makers: dict[str, Callable[[bytes], bytes]] = {
        "to its MAC": lambda mark: ethernet(me, KIND, mark, target=him),
        "to all": lambda mark: ethernet(me, KIND, mark),
        "as its neighbour": lambda mark: ethernet(next_to_him["mac"], KIND, mark, target=him),
        "as itself": lambda mark: ethernet(him, KIND, mark),
        "ARP for its address": lambda mark: arp(me, address, address, operation=2)[:ARP_BYTES] + mark,
        "ping to its MAC": lambda mark: echo(me, mine["address"], address, mark, target=him),
        "with a tag": lambda mark: ethernet(me, VLAN, b"\0\7\x88\xb6" + mark, target=him),
    }
    marks = {kind: secrets.token_bytes(MARK_BYTES) for kind in makers}
    return {kind: Forged(make(marks[kind]), marks[kind]) for kind, make in makers.items()}


async def send_frames(rooms: Sequence[Room]) -> dict[Probe, tuple[bool, bool]]:
    """For each frame: whether its own room and whether the other one heard it."""
    async with AsyncExitStack() as stack:
        ears: dict[str, socket.socket] = {}
        for room in rooms:
            namespace = await open_namespace(room.home / "run")
            stack.push_async_callback(namespace.close)
            ear = await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, ALL_FRAMES)
            ears[room.name] = stack.enter_context(ear)
            ear.setsockopt(socket.SOL_SOCKET, RECEIVE_BUFFER, EAR_BYTES)
        sent = {room.name: {other.name: forge(room, other) for other in rooms if other is not room} for room in rooms}
        heard = {room.name: send_in(room, sent[room.name], ears[room.name]) for room in rooms}
        for name, ear in ears.items():
            heard[name] += b"".join(drain(ear))
    return {
        Probe(mine, other, kind): (forged.mark in heard[mine], forged.mark in heard[other])
        for mine, others in sent.items()
        for other, frames in others.items()
        for kind, forged in frames.items()
    }


def send_in(room: Room, frames: Mapping[str, Mapping[str, Forged]], ear: socket.socket) -> bytes:
    """Send one room's frames from within; everything that is heard there until they are out."""
    last = secrets.token_bytes(MARK_BYTES)
    all_frames = [forged.frame for others in frames.values() for forged in others.values()]
    lines = dump_frames([*all_frames, ethernet(room.rogue["networks"][0]["mac"], KIND, last)])
    execute(room.client, ROGUE, f"{INSIDE} eth0 <<end\n{lines}end")
    heard, deadline = b"", time.monotonic() + PATIENCE
    while last not in heard:
        if not select.select([ear], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"the last frame of room {room.name} is not heard")
        heard += b"".join(drain(ear))
    return heard


def drain(ear: socket.socket) -> Iterator[bytes]:
    """What is there to be heard now."""
    while select.select([ear], [], [], 0)[0]:
        yield ear.recv(1 << 16)


def weigh(fabric: BenchFabric) -> dict[str, float]:
    """Memory of the fabric's processes in MiB, pages of several shared out among them; and how many there are."""
    marker, found = os.fsencode(fabric.home), []
    records = [fabric.home / "run", *(fabric.home / "rooms").glob("*/run")]
    pids = {json.loads((record / "keeper.json").read_text())["pid"] for record in records}
    pids |= {machine["pid"] for machine in fabric.client.machines(all_rooms=True)}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command, rollup = (entry / "cmdline").read_bytes(), (entry / "smaps_rollup").read_text()
            except OSError:
                continue
            if marker in command or int(entry.name) in pids:
                found.append(read_share(rollup))
    return {"processes": len(found), "mib": round(sum(found) / 1024, 1)}


def read_share(rollup: str) -> int:
    """KiB of one process."""
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Ten rooms with equal subnets, and what gets across.")
    parser.add_argument("--rooms", type=int, default=10)
    parser.add_argument("--machines", type=int, default=50, help="in all rooms together")
    parser.add_argument("--memory", type=int, default=40, help="MiB of each machine")
    parser.add_argument("--at-once", type=int, default=4, help="machines that start side by side")
    options = parser.parse_args()
    report = Report("rooms", vars(options))
    with open_bench_fabric() as fabric, tempfile.TemporaryDirectory() as folder:
        before = read_available()
        rooms = timed(report, "all up", lambda: make_rooms(fabric, options))
        answering = timed(report, "all asked", lambda: count_answers(rooms))
        report.figures["memory"] = weigh(fabric) | {"host_mib": round(before - read_available(), 1)}
        say(f"  {answering} machines answer")
        tool = make_injector(Path(folder))
        for room in rooms:
            fabric.weft("--room", room.name, "cp", str(tool), f"{ROGUE}:{INSIDE}")
        across, controls = probe(report, rooms)
    kinds = Counter(one.kind for one in across)
    report.figures["probes"] = {"across": len(across), "within": len(controls), "kinds": dict(kinds)}
    report.promise("machines that do not answer", options.machines - answering, 0)
    report.promise("probes fewer than 1,000", max(0, 1000 - len(across)), 0)
    report.promise("probes that got from one room into another", sum(across.values()), 0)
    report.promise("probes that did not get through within a room", list(controls.values()).count(False), 0)
    report.figures["wrong"] = [" ".join(one) for one, got in across.items() if got]
    report.figures["unheard"] = [" ".join(one) for one, got in controls.items() if not got]
    report.publish()


def probe(report: Report, rooms: Sequence[Room]) -> tuple[dict[Probe, bool], dict[Probe, bool]]:
    """Whether each probe got into the other room, and whether each control got through within one."""
    tried: dict[Probe, bool] = {}
    timed(report, "tries", lambda: [tried.update(try_all(room, rooms)) for room in rooms])
    across = {probe: got for probe, got in tried.items() if probe.sender != probe.other}
    controls = {probe: got for probe, got in tried.items() if probe.sender == probe.other}
    for one, (own, other) in timed(report, "frames", lambda: asyncio.run(send_frames(rooms))).items():
        across[one], controls[one] = other, own
    return across, controls


def timed(report: Report, what: str, work: Callable[[], Any]) -> Any:
    """Do something and note the seconds it took."""
    begin = time.monotonic()
    result = work()
    seconds = report.figures.setdefault("seconds", {})
    seconds[what] = round(time.monotonic() - begin, 1)
    say(f"  {what}: {seconds[what]} s")
    return result


def read_available() -> float:
    """MiB of the host's memory that could be had."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) / 1024


if __name__ == "__main__":
    main()
