"""Machines are captured while they run, and go on as if nothing had been."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.machine.inside import execute, open_inside, run_machine

from weft.fabric.moments.holding import Holding
from weft.fabric.moments.subject import Subject
from weft.fabric.moments.succession import Succession
from weft.fabric.moments.waking import HOLDER
from weft.fabric.room import Room
from weft.model.errors import Unavailable, WrongState
from weft.model.insert import InsertSpec
from weft.model.machine import State
from weft.plan.heart import Verdict
from weft.plan.linknames import held_tap_name

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = "n=0; while :; do n=$((n+1)); echo $n > /tmp/count; sleep 0.02; done"
DEADLINE = 60.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    """Two machines that count, `web` and `other`."""
    async with open_inside(tmp_path_factory.mktemp("moments") / "home") as room:
        for name in ("web", "other"):
            await run_machine(room, "base", name, command=["sh", "-c", COUNT])
        yield room
        await room.dismantle()


async def count_of(room: Room, machine: str) -> int:
    return int(await execute(room, machine, "sh", "-c", "until cat /tmp/count | grep .; do :; done"))


async def goes_on(room: Room, machine: str, since: int) -> None:
    """The machine counts on from where it was."""
    until = f'until [ "$(cat /tmp/count)" -gt {since} ]; do sleep 0.02; done 2>/dev/null'
    async with asyncio.timeout(DEADLINE):
        await execute(room, machine, "sh", "-c", until)


async def leftovers(room: Room, machine: str) -> list[str]:
    """What a capture may have left of itself."""
    files = room.site.layout.machine(machine)
    record = room.site.shelves.machines.get(machine)
    assert record.monitor is not None
    links = await room.site.links.list_links()
    ours = {record.monitor.pid, *(child.pid for child in record.monitor.id.children())}
    return [
        *(f"process {pid}" for pid in room.site.cgroups.group(machine).pids() if pid not in ours),
        *(f"group {name}" for name in room.site.cgroups.names() if name.endswith(HOLDER)),
        *(f"file {path}" for path in (files.next.folder,) if path.exists()),
        *(["a record"] if record.capture else []),
        *(f"link {held_tap_name(record.slot, 0)}" for link in links if link == held_tap_name(record.slot, 0)),
    ]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def capture(room: Room, *names: str) -> dict[str, float]:
    """Capture machines, and how long they stood still."""
    captured = await room.capturing.capture(names)
    for each in captured.values():
        assert 1000 < len(each.moment.device) < 1 << 20
        assert os.fstat(each.moment.memory).st_size == room.site.shelves.machines.get(names[0]).memory
        with pytest.raises(PermissionError):
            os.pwrite(each.moment.memory, b"x", 0)
        each.moment.close()
    return {name: each.pause for name, each in captured.items()}


async def test_a_machine_goes_on_in_a_successor_and_then_stays(room: Room):
    begun, before = await count_of(room, "web"), room.site.shelves.machines.get("web")
    pauses = await capture(room, "web")
    assert pauses["web"] > 0
    await goes_on(room, "web", begun)
    after = room.site.shelves.machines.get("web")
    assert after.monitor != before.monitor and after.qemu != before.qemu
    assert before.monitor is not None and not before.monitor.id.alive()
    assert await leftovers(room, "web") == []
    begun = await count_of(room, "web")
    await capture(room, "web")
    await goes_on(room, "web", begun)
    assert room.site.shelves.machines.get("web").monitor == after.monitor, "its memory was sent to a holder"
    assert await leftovers(room, "web") == []


async def test_machines_are_captured_at_one_instant(room: Room):
    begun = {name: await count_of(room, name) for name in ("web", "other")}

    async def fail() -> None:
        raise Unavailable("its disk cannot be copied")

    with pytest.raises(Unavailable, match="disk"):
        await room.capturing.capture(["other", "web"], at_instant=fail)
    for name, count in begun.items():
        await goes_on(room, name, count)
        assert await leftovers(room, name) == []
    await capture(room, "web", "other")
    for name, count in begun.items():
        await goes_on(room, name, count)
        assert await leftovers(room, name) == []


async def test_twenty_captures_leave_nothing(room: Room):
    await capture(room, "web")
    before = descriptors()
    for _ in range(20):
        await capture(room, "web")
    assert descriptors() <= before
    assert await leftovers(room, "web") == []


async def test_who_does_not_run_is_not_captured(room: Room):
    await run_machine(room, "base", "idle")
    await room.lifecycle.kill("idle")
    with pytest.raises(WrongState, match="stopped"):
        await room.capturing.capture(["web", "idle"])
    assert await leftovers(room, "web") == []


class DaemonDied(BaseException):
    """What a test ends a daemon with."""


def die_after(monkeypatch: pytest.MonkeyPatch, kind: type[Subject], step: str) -> None:
    """A daemon dies when it has done a step of a capture: nothing is undone."""
    real = getattr(kind, step)

    async def do_and_die(subject: Subject, *arguments: object, **named: object) -> None:
        await real(subject, *arguments, **named)
        raise DaemonDied

    async def hang_up(subject: Succession | Holding) -> None:
        """All that the end of a process does."""
        for qmp in (subject._qmp, subject._receiver and subject._receiver.qmp):
            if qmp:
                await qmp.close()
        if isinstance(subject, Succession):
            subject._hang_up()

    monkeypatch.setattr(kind, step, do_and_die)
    monkeypatch.setattr(kind, "undo", hang_up)


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        (Succession, ["prepare", "freeze", "stand", "take", "note"]),
        (Succession, ["go_on"]),
        (Holding, ["prepare", "freeze", "stand", "take", "go_on"]),
    ],
)
async def test_the_daemon_may_die_at_any_step(
    kind: type[Subject], steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    try:
        async with open_inside(home) as room:
            await run_machine(room, "base", "web", command=["sh", "-c", COUNT])
            if kind is Holding:
                await capture(room, "web")
            begun = await count_of(room, "web")
        for step in steps:
            async with open_inside(home) as room:
                await room.runs.reach("web")
                with monkeypatch.context() as patch, pytest.raises(DaemonDied):
                    die_after(patch, kind, step)
                    await room.capturing.capture(["web"])
            async with open_inside(home) as room:
                await goes_on(room, "web", begun)
                begun = await count_of(room, "web")
                assert await leftovers(room, "web") == [], f"after {step}"
                assert room.site.shelves.machines.get("web").state is State.RUNNING
    finally:
        async with open_inside(home) as room:
            await room.dismantle()


async def test_no_frame_is_lost_in_a_succession(room: Room):
    await run_machine(room, "base", "target", cold=True)  # a template's copy is sent to a holder
    agent = await room.runs.reach("other")
    async with await agent.exec(["ping", "-c", "200", "-i", "0.02", "target"]) as process:
        collecting = asyncio.ensure_future(process.collect())
        await capture(room, "target")
        _, out, _ = await collecting
    assert b"200 packets transmitted, 200 packets received" in out, out[-200:]
    assert b"DUP" not in out


async def test_nothing_is_lost_on_the_way_through_an_appliance(room: Room):
    spec = InsertSpec(appliance="sniffer", before="other", name="eye", cold=True)
    await (await room.inserts.create(spec))
    told: list[Verdict] = []

    async def listen(name: str, verdict: Verdict) -> None:
        told.append(verdict)

    room.hearts.tell = listen
    agent = await room.runs.reach("web")
    async with await agent.exec(["ping", "-c", "100", "-i", "0.02", "other"]) as process:
        collecting = asyncio.ensure_future(process.collect())
        await capture(room, "eye")
        _, out, _ = await collecting
    assert b"100 packets transmitted, 100 packets received" in out, out[-200:]
    assert set(told) <= {Verdict.ALIVE}, "its heart beats on"


async def test_what_streams_out_of_a_machine_goes_on(room: Room):
    await run_machine(room, "base", "stream")
    agent = await room.runs.reach("stream")
    script = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.02; done"
    async with await agent.exec(["sh", "-c", script]) as process:
        collecting = asyncio.ensure_future(process.collect())
        for _ in range(2):
            await capture(room, "stream")
        status, out, _ = await collecting
    assert status.code == 0 and out.split() == [str(number).encode() for number in range(200)]
    assert room.runs.find_agent("stream") is agent, "the conversation is the same"


async def test_a_console_stays_open(room: Room):
    await run_machine(room, "base", "ticker", command=["sh", "-c", "while :; do echo tick; sleep 0.1; done"])
    async with room.consoles.open("ticker") as line, asyncio.timeout(DEADLINE):
        assert await line.read()
        await capture(room, "ticker")
        heard = b""
        while heard.count(b"tick") < 10:
            heard += await line.read()
        await room.lifecycle.kill("ticker")
        while await line.read():
            pass


async def test_another_machine_goes_on_from_a_moment(room: Room):
    begun = await count_of(room, "web")
    captured = (await room.capturing.capture(["web"]))["web"]
    spec = room.site.shelves.machines.get("web").spec
    await room.machines.create(spec.model_copy(update={"name": "copy"}))
    await room.lifecycle.start("copy", moment=captured.moment, origin="fork of web")
    captured.moment.close()
    await room.lifecycle.wait_ready("copy")
    await goes_on(room, "copy", begun)
    assert await execute(room, "copy", "hostname") == "copy\n"
    await goes_on(room, "web", await count_of(room, "web"))
