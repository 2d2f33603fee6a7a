"""The host on the command line: its tables, and who has lent what to whom."""

import json

from tests.unit.commands import Weft
from tests.unit.fake_daemon import FakeDaemon

from weft.model.host import HostView, LoanView, MachineShare, RoomShare
from weft.model.room import RoomResources

GIB = 1 << 30
MACHINE = MachineShare(room="acme", name="db", promised=GIB, granted=2 * GIB, lent=GIB, used=None, cost=GIB, gave=0,
                       cpus_promised=1, cpus_granted=2, idle=True)  # fmt: skip
ROOM = RoomShare(name="acme", resources=RoomResources(memory=GIB, cpus=1.5), machines=1, promised=GIB, granted=2 * GIB,
                 used=0, cost=GIB, lends=0, borrows=GIB // 2, gave=0, cpus_promised=1.5, cpus_granted=2)  # fmt: skip
VIEW = HostView(
    memory=8 * GIB, reserve=GIB // 2, available=5 * GIB, capacity=15 * GIB // 2, promised=GIB, granted=2 * GIB, used=0,
    cost=GIB, free=11 * GIB // 2, memory_overcommit=1.0, cpus=4, cpu_overcommit=2.5, cpus_promised=1.5, cpus_granted=2,
    tight=True, rooms=[ROOM], machines=[MACHINE],
    loans=[LoanView(lender="bolt", borrower="acme", memory=GIB // 2)],
).model_dump(mode="json")  # fmt: skip


def test_the_host_is_shown_in_tables(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/host", VIEW)
    done = weft("host", "show")
    assert weft("host", "top", "--no-stream").out == done.out
    host, rooms, machines, words = done.out.split("\n\n")
    assert host.splitlines()[1].split() == ["memory", "8G", "7.5G", "1G", "2G", "5.5G", "0B", "1G", "5G"]
    assert host.splitlines()[2].split() == ["cpus", "4", "10", "1.5", "2", "-", "-", "-", "-"]
    assert rooms.splitlines()[1].split()[:5] == ["acme", "1", "1G", "-", "1G"]
    assert machines.splitlines()[1].split() == ["acme:db", "1G", "2G", "1G", "-", "1G", "-", "2/1", "yes"]
    assert words.splitlines() == [
        "The host is short of memory, or was a moment ago: machines give back what they were lent.",
        "bolt lends 512M to acme",
    ]


def test_programs_get_an_object_for_each_look(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/host", VIEW)
    assert json.loads(weft("host", "show", "--format", "json").out) == VIEW
    line = weft("host", "top", "--no-stream", "--format", "json").out
    assert line.count("\n") == 1 and json.loads(line) == VIEW


def test_an_empty_host_has_no_machines_to_show(fake: FakeDaemon, weft: Weft) -> None:
    empty = VIEW | {"machines": [], "loans": [], "tight": False, "cpu_overcommit": None}
    fake.on("GET", "/v1/host", empty)
    assert weft("host", "show").out.count("\n\n") == 1
