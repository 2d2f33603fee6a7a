"""What machines are seen to use, on a fabric on paper whose control groups are folders."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.ledger.looking import Looking, count_used, find_used
from weft.fabric.records.machine import ElasticRecord
from weft.fabric.room import Room
from weft.guest.facts import Facts
from weft.host.cgroup import CgroupMode, Cgroups
from weft.model.elastic import CpuMode
from weft.model.machine import MachineSpec, NicSpec, State

MIB = 1 << 20
KEY = ("default", "web")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """With the machine `web`, which runs."""
    async with open_paper_room(tmp_path / "home") as opened:
        await opened.machines.create(MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),)))
        shelf = opened.site.shelves.machines
        await shelf.save(shelf.get("web").with_(state=State.RUNNING))
        groups = Cgroups(CgroupMode.V2, (tmp_path / "cg",))
        (tmp_path / "cg" / "web").mkdir(parents=True)
        yield replace(opened, site=replace(opened.site, cgroups=groups))


def use(tmp_path: Path, seconds: float, memory: int = 80 * MIB) -> None:
    """What the machine's group says from now on."""
    (tmp_path / "cg" / "web" / "cpu.stat").write_text(f"usage_usec {seconds * 1e6:.0f}\n")
    (tmp_path / "cg" / "web" / "memory.current").write_text(f"{memory}\n")


async def test_a_machine_is_idle_that_has_hardly_used_a_processor(room: Room, tmp_path: Path) -> None:
    now, ledger = 0.0, cast(HostLedger, FakeLedger())
    looking = Looking([room], ledger, lambda: now)
    seen = []
    for now, used in ((1.0, 5.0), (1.5, 5.0), (3.0, 5.05), (3.5, 6.0), (5.0, 6.0), (7.0, 6.0)):  # noqa: B007
        use(tmp_path, used)
        looking.glance()
        seen.append(ledger.seen[KEY].idle)
    assert seen == [False, False, True, True, False, True]
    assert ledger.seen[KEY].cost == 80 * MIB == count_used([room])


async def test_guests_say_what_they_use_and_those_that_are_silent_do_not(room: Room, tmp_path: Path) -> None:
    use(tmp_path, 1.0)
    ledger = cast(HostLedger, FakeLedger())
    looking = Looking([room], ledger, lambda: 1.0)
    await looking.ask()
    assert ledger.seen[KEY].used is None and ledger.seen[KEY].cost == 80 * MIB
    await looking.ask(elastic=True)
    assert ledger.seen == {}


async def test_what_the_balloon_holds_is_not_used(room: Room) -> None:
    facts = Facts(memory_total=400 * MIB, memory_available=100 * MIB, memory_ballooned=250 * MIB)
    machine = room.site.shelves.machines.get("web")
    assert find_used(machine, facts) == 50 * MIB
    noted = ElasticRecord(boot=420 * MIB, region=0, mode=CpuMode.FIXED, memory=1, cpus=1, total=400 * MIB)
    assert find_used(machine.with_(elastic=noted), facts) == 70 * MIB


class FakeLedger:
    """Remembers what was seen."""

    def __init__(self) -> None:
        self.seen: dict[Any, Any] = {}
