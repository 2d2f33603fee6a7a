"""Processors that come and go, on paper: what QEMU is told, what the guest makes of it, what is known of hot-plug."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.paper_fabric import FACTS, open_paper_room

from weft.fabric.elastic.beginning import begin_elastic, wants_trial
from weft.fabric.elastic.plugging import replug
from weft.fabric.elastic.switching import Switched
from weft.fabric.records.machine import MachineRecord
from weft.guest.cpus import Processors
from weft.host.hotplug import Verdict, Verdicts
from weft.host.qemu import ProcessorSlot, Qmp
from weft.model.elastic import CpuMode, ScaleState
from weft.model.machine import MachineSpec

MOST = 6
BUSY = "cpu1: Resource busy"


@dataclass
class PaperMachine:
    """QEMU and its guest, which sees what came when it is asked the next time and lets go of what is offline."""

    plugged: dict[int, str] = field(default_factory=lambda: {0: "/machine/unattached/device[0]"})
    online: set[int] = field(default_factory=lambda: {0})
    seen: set[int] = field(default_factory=lambda: {0})
    possible: int = MOST
    stuck: int = 1
    """So many at least stay online."""
    asked: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator[Qmp]:
        yield cast(Qmp, self)

    async def processors(self) -> list[ProcessorSlot]:
        for number in [number for number, path in self.plugged.items() if path.rpartition("/")[2] in self.asked]:
            if number not in self.online:
                self.asked.discard(self.plugged.pop(number).rpartition("/")[2])
                self.seen.discard(number)
        return [ProcessorSlot("cpu", {"core-id": at}, self.plugged.get(at)) for at in reversed(range(MOST))]

    async def add_processor(self, slot: ProcessorSlot, name: str) -> None:
        path = f"/machine/peripheral/{name}"
        assert path not in self.plugged.values() and slot.place["core-id"] not in self.plugged
        self.plugged[slot.place["core-id"]] = path

    async def remove_processor(self, name: str) -> None:
        assert f"/machine/peripheral/{name}" in self.plugged.values()
        self.asked.add(name)

    async def switch(self, wanted: int | None) -> Switched:
        present = len(self.seen)
        if wanted is not None:
            while len(self.online) < wanted and self.seen - self.online:
                self.online.add(min(self.seen - self.online))
            while len(self.online) > max(wanted, self.stuck):
                self.online.remove(max(self.online))
        self.seen = set(sorted(self.plugged)[: self.possible])
        return Switched(Processors(len(self.online), present, self.possible), BUSY)

    async def replug(self, wanted: int) -> tuple[ScaleState, str]:
        async with asyncio.timeout(10):
            outcome = await replug(self.monitor, self.switch, wanted)
        return outcome.state, outcome.reason

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.plugged), len(self.online)


@given(st.lists(st.integers(1, MOST), max_size=8))
def test_what_is_wanted_is_plugged_and_used(sizes: list[int]) -> None:
    async def go_through() -> None:
        machine = PaperMachine()
        for size in sizes:
            assert await machine.replug(size) == (ScaleState.APPLIED, "")
            assert machine.sizes == (size, size)

    asyncio.run(go_through())


async def test_nothing_is_removed_that_is_in_use() -> None:
    machine = PaperMachine()
    await machine.replug(4)
    machine.stuck = 3
    assert await machine.replug(2) == (ScaleState.REFUSED, f"the guest uses 3 processors: {BUSY}")
    assert machine.sizes == (4, 3)


async def test_no_more_are_added_than_its_kernel_can_use() -> None:
    machine = PaperMachine(possible=3)
    assert await machine.replug(5) == (ScaleState.REFUSED, "the guest uses 3 processors: its kernel knows of 3 only")
    assert machine.sizes == (3, 3)


async def test_a_guest_without_the_tool_is_left_alone() -> None:
    async def switch(_wanted: int | None) -> Switched:
        return Switched(None, "its init is of an earlier version")

    outcome = await replug(PaperMachine().monitor, switch, 2)
    assert (outcome.state, outcome.lost) == (ScaleState.FAILED, True)
    assert outcome.reason == "the guest cannot switch processors: its init is of an earlier version"


def test_a_verdict_is_of_what_it_was_made_with(tmp_path: Path) -> None:
    (qemu := tmp_path / "qemu").write_text("one")
    facts = replace(FACTS, qemu=str(qemu))
    verdicts = Verdicts(tmp_path, facts)
    assert verdicts.find("k1") is None
    verdicts.keep("k1", Verdict(works=True))
    verdicts.keep("k2", Verdict(works=False, reason="it died"))
    assert Verdicts(tmp_path, facts).all() == {"k1": Verdict(True), "k2": Verdict(False, "it died")}
    assert Verdicts(tmp_path, replace(facts, accel="other")).all() == {}
    qemu.write_text("another one")
    assert verdicts.all() == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"of": 1}', '{"of": "", "kernels": 5}', '{"of": "", "kernels": {"k": 1}}']
)
def test_what_nobody_wrote_is_no_verdict(tmp_path: Path, text: str) -> None:
    (tmp_path / "hotplug.json").write_text(text)
    assert Verdicts(tmp_path, replace(FACTS, qemu="/nowhere")).all() == {}


def test_one_tries_it_at_a_time(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path, FACTS)
    with verdicts.trying() as first, verdicts.trying() as second:
        assert (first, second) == (True, False)
    with verdicts.trying() as again:
        assert again


@pytest.mark.parametrize(
    ("profile", "verdict", "mode", "trial"),
    [
        ("q35", None, CpuMode.PARKED, True),
        ("q35", Verdict(False, "it died"), CpuMode.PARKED, False),
        ("q35", Verdict(True), CpuMode.HOTPLUG, False),
        ("microvm", None, CpuMode.PARKED, False),
        ("microvm", Verdict(True), CpuMode.PARKED, False),
    ],
)
async def test_hot_plug_is_used_where_it_works(
    tmp_path: Path, profile: str, verdict: Verdict | None, mode: CpuMode, trial: bool
) -> None:
    spec = {"name": "db", "image": "base", "profile": profile, "memory": 64 << 20, "elastic": {"max_cpus": 4}}
    async with open_paper_room(tmp_path) as room:
        machine = MachineRecord(
            spec=MachineSpec.model_validate(spec),
            slot=7,
            uuid="u",
            created=1.0,
            kernel="default",
            memory=64 << 20,
            nics=(),
        )
        if verdict is not None:
            kernel = room.site.kernels.get("default")
            Verdicts(room.site.home / "run", room.site.facts).keep(kernel.digest, verdict)
        record = begin_elastic(room.site, machine)
        assert record is not None
        assert (record.mode, wants_trial(room.site, machine)) == (mode, trial)
