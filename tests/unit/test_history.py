"""Histories of machines as the daemon keeps them, and as the command line draws them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Request
from tests.unit.paper_fabric import open_paper_fabric, open_paper_room
from tests.unit.terminals import weft

from weft.api.app import make_app
from weft.cli.chart import draw_bars, draw_history, find_columns, make_plain
from weft.fabric.history.recording import Recording
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.records.record import Stamp
from weft.fabric.room import Room
from weft.guest.facts import Facts, Pressure
from weft.host.pids import ProcessId
from weft.model.elastic import CpuMode
from weft.model.errors import Invalid, NotFound
from weft.model.history import HistoryPoint, HistoryView
from weft.model.machine import MachineSpec, State

START = 1_800_000_000.0


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_paper_room(tmp_path / "home") as opened:
        yield opened


async def run_machine(room: Room, name: str = "web") -> MachineRecord:
    """A machine on record as running, in this very process."""
    record = await room.machines.create(MachineSpec(name=name, image="base", nics=()))
    room.site.layout.machine(name).folder.mkdir(parents=True, exist_ok=True)
    ours = ProcessId.find(os.getpid())
    assert ours
    stamp = Stamp.of(ours)
    return await room.site.shelves.machines.save(record.with_(state=State.RUNNING, qemu=stamp, started=START))


def record(room: Room, clock: Clock) -> Recording:
    return Recording(replace(room.site, clock=clock))


async def look_for(recording: Recording, clock: Clock, seconds: int) -> None:
    for _ in range(0, seconds, 10):
        clock.now += 10
        await recording.look()


async def test_a_machine_is_looked_at_without_being_asked(room: Room) -> None:
    await run_machine(room)
    clock = Clock()
    recording = record(room, clock)
    await look_for(recording, clock, 60)
    view = recording.view("web", START, clock.now)
    assert [point.time for point in view.points] == [START + second for second in range(10, 60, 10)]
    last = view.points[-1]
    assert last.resident is not None and last.resident > 1 << 20
    assert (last.cpus, last.memory_granted, last.memory_used) == (1, 64 << 20, None)
    assert last.cpu is not None and last.cpu >= 0


async def test_what_a_guest_says_is_noted(room: Room) -> None:
    await run_machine(room)
    clock = Clock()
    recording = record(room, clock)
    facts = Facts(memory_total=120, memory_ballooned=20, memory_available=60)
    facts.pressure["memory", "some"] = Pressure(12.5, 0, 0, 0)
    recording.note("web", facts)
    recording.note("absent", facts)
    clock.now += 1
    (point,) = recording.view("web", START, clock.now).points
    assert (point.memory_total, point.memory_used, point.memory_pressure, point.io_pressure) == (100, 40, 12.5, None)
    assert recording.find_noted("web", within=5) is facts
    clock.now += 5
    assert recording.find_noted("web", within=5) is None
    assert recording.find_noted("absent", within=5) is None


async def test_changes_of_size_and_events_are_marked(room: Room) -> None:
    machine = await run_machine(room)
    clock = Clock()
    recording = record(room, clock)
    await look_for(recording, clock, 20)
    more = ElasticRecord(boot=64 << 20, region=1 << 30, mode=CpuMode.PARKED, memory=256 << 20, cpus=2)
    await room.site.shelves.machines.save(machine.with_(elastic=more))
    await look_for(recording, clock, 20)
    room.site.events.publish("machine.ready", "web", "it is ready")
    room.site.events.publish("machine.ready", "other", "it is ready")
    view = recording.view("web", 0, clock.now)
    found = [(change.time - START, change.resource, change.before, change.after) for change in view.changes]
    assert found == [(30, "cpus", 1, 2), (30, "memory", 64 << 20, 256 << 20)]
    assert [(event.kind, event.text) for event in view.events] == [("machine.ready", "it is ready")]


async def test_minutes_outlive_the_daemon(room: Room) -> None:
    await run_machine(room)
    clock = Clock()
    recording = record(room, clock)
    await look_for(recording, clock, 180)
    before = recording.view("web", START, clock.now).points
    after = record(room, clock).view("web", START, clock.now).points
    assert [point.time - START for point in after] == [0, 60, 120]
    assert {point.seconds for point in after} == {60}
    assert max(point.resident or 0 for point in after) == max(point.resident or 0 for point in before)


async def test_the_minute_that_goes_on_is_written_at_the_end(room: Room) -> None:
    await run_machine(room)
    clock = Clock()
    recording = record(room, clock)
    keeping = asyncio.create_task(recording.keep())
    for _ in range(20):
        await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    clock.now += 1
    (point,) = record(room, clock).view("web", START, clock.now).points
    assert (point.time, point.seconds) == (START, 60)


async def test_a_file_of_another_kind_is_begun_anew(room: Room) -> None:
    await run_machine(room)
    path = room.site.layout.machine("web").history
    path.write_bytes(b"something else" * 1000)
    clock = Clock()
    recording = record(room, clock)
    assert recording.view("web", 0, clock.now).points == []
    await look_for(recording, clock, 120)
    assert record(room, clock).view("web", START, clock.now).points != []


async def test_another_machine_of_the_name_has_a_history_of_its_own(room: Room) -> None:
    first = await run_machine(room)
    clock = Clock()
    recording = record(room, clock)
    await look_for(recording, clock, 20)
    await room.site.shelves.machines.save(first.with_(state=State.STOPPED, qemu=None))
    await room.machines.remove("web")
    with pytest.raises(NotFound):
        recording.view("web", START, clock.now)
    await run_machine(room)
    assert recording.view("web", START, clock.now).points == []


@pytest.mark.parametrize(("since", "until"), [(START, START), (START + 5, START + 9), (START - 5, START - 6)])
async def test_times_that_are_not_in_order(room: Room, since: float, until: float) -> None:
    await run_machine(room)
    with pytest.raises(Invalid):
        record(room, Clock()).view("web", since, until)


@pytest.mark.parametrize("query", ["since=nan", "until=inf", "since=-1", "since=1e300", "since=x"])
async def test_times_that_are_none(tmp_path: Path, query: str) -> None:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        await run_machine(fabric.default)
        transport = httpx.ASGITransport(make_app(fabric, lambda _machines: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
            answer = await http.get(f"/v1/machines/web/history?{query}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
            answer = await http.get("/v1/rooms/default/machines/web/history")
            assert (answer.status_code, answer.json()["name"]) == (200, "web")


# What is drawn


def make_view(**more: Any) -> dict[str, Any]:
    points = [
        HistoryPoint(time=START + 10 * n, seconds=10, cpu=n / 5, cpus=1 + n // 3, resident=n << 20) for n in range(6)
    ]
    view = HistoryView(name="web", since=START, until=START + 60, points=points, changes=[], events=[])
    return view.model_dump() | more


def test_a_chart() -> None:
    change = {"time": START + 30, "resource": "cpus", "before": 1, "after": 2}
    _, titles, cpu, cpus, resident, changes = draw_history(make_view(changes=[change]), 80)
    assert titles.split() == ["last", "highest"]
    assert cpu.split() == ["cpu", "▁▂▂▃▄▅", "100%", "100%"]
    assert cpus.split()[2:] == ["▅▅▅███", "2", "2"]
    assert resident.split()[2:] == ["▁▂▄▅▇█", "5M", "5M"]
    assert changes == f"{'size changed':<18}   ▲"


def test_what_happened_last_is_below_the_chart() -> None:
    events = [{"time": START + n, "kind": "machine.scale-applied", "text": f"memory of web: {n}M"} for n in range(9)]
    events.append({"time": START + 9, "kind": "machine.ended", "text": "it said\n" + "x" * 100})
    lines = draw_history(make_view(events=events), 80)
    assert [line[21:] for line in lines[-5:-1]] == [f"memory of web: {n}M" for n in (5, 6, 7, 8)]
    assert len(lines[-1]) == 80
    assert lines[-1].endswith("xxx...") and "it said xxx" in lines[-1]


@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_a_chart_fits(width: int) -> None:
    view = make_view(until=START + 7200)
    assert max(map(len, draw_history(view, width)[1:])) <= max(width, 60)
    assert "".join(make_plain(line) for line in draw_history(view, width)).isascii()


def test_of_a_machine_that_nothing_is_known_of() -> None:
    (line,) = draw_history(make_view(points=[]), 80)
    assert line.startswith("web  nothing is known")


def test_columns_are_means_or_the_highest() -> None:
    points: list[dict[str, Any]] = [
        {"time": 0, "seconds": 10, "x": 1},
        {"time": 10, "seconds": 10, "x": 4},
        {"time": 20, "seconds": 10, "x": None},
    ]
    assert find_columns(points, "x", 0, 20, 2, mean=True) == [2.5, None]
    assert find_columns(points, "x", 0, 20, 2, mean=False) == [4, None]
    assert find_columns(points, "x", 5, 5, 5, mean=False) == [1, 4, 4, None, None]


def test_bars() -> None:
    assert draw_bars([None, 0, 0.001, 0.5, 1, 2], 1) == " ▁▂▅██"
    assert draw_bars([0, 0], 0) == "▁▁"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "COLUMNS": "80"}


def test_history_at_the_command_line(fake: FakeDaemon, env: dict[str, str]) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Any:
        asked.append(request)
        return make_view()

    fake.on("GET", "/v1/machines/web/history", answer)
    fake.on("GET", "/v1/machines", [MACHINE])
    assert "▁▂▄▅▇█" in weft(env, "stats", "--history", "--since", "1800000000").stdout.decode()
    assert asked[-1].query == {"since": "1800000000.0"}
    plain = weft(env | {"LC_ALL": "C"}, "stats", "--history", "web").stdout
    assert plain.isascii() and b"_.:=*#" in plain
    assert json.loads(weft(env, "stats", "--history", "--format", "json", "web").stdout) == [make_view()]
    refused = weft(env, "stats", "--since", "10m")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.startswith(b"weft: invalid: --since is of --history only")
