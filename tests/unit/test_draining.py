"""Ejecting an insert that translates: it stays until it has drained, its time is up, or somebody insists."""

import asyncio
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.paper_fabric import SIDES, open_paper_room

from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.model.errors import Unavailable, WrongState
from weft.model.insert import InsertSpec, InsertState, Mode
from weft.model.machine import MachineSpec, State
from weft.model.names import PortName
from weft.plan.heart import Verdict

LAN = PortName("", network="lan")


class Program:
    """The `drain` of an appliance: it ends when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.end = asyncio.Event()
        self.code = 0

    async def __aenter__(self) -> "Program":
        self.begun.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        """It has no end of its own."""

    async def exec(self, argv: tuple[str, ...]) -> "Program":
        assert argv == ("/drain",)
        return self

    @property
    def shell_code(self) -> int:
        return self.code

    async def collect(self) -> tuple["Program", bytes, bytes]:
        await self.end.wait()
        return self, b"", b"no conntrack here"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """With `fw`, a routed insert that is active at lan's gateway."""
    async with open_paper_room(tmp_path) as room:
        await room.site.links.ensure_void()
        await room.ports.attach_gateway(room.site.shelves.networks.get("lan"))
        path = tmp_path / "images" / "sniffer" / "image.json"
        image = room.site.images.get("sniffer").model_copy(
            update={"name": "firewall", "modes": ("routed",), "drain": ("/drain",), "nics": SIDES}
        )
        folder = path.parent.parent / "firewall"
        folder.mkdir()
        (folder / "image.json").write_text(image.model_dump_json())
        await room.machines.create(MachineSpec(name="fw", image="firewall"))
        machine = room.site.shelves.machines.get("fw")
        await room.site.shelves.machines.save(machine.with_(state=State.RUNNING))
        spec = InsertSpec(name="fw", appliance="firewall", before="network:lan", mode=Mode.ROUTED)
        record = InsertRecord(spec=spec, rank=Fraction(0), created=1.0, state=InsertState.ACTIVE)
        await room.site.shelves.inserts.save(record)
        await room.ports.splice(LAN)
        yield room


@pytest.fixture
def program(room: Room) -> Program:
    program = Program()

    async def reach(_name: str) -> Any:
        return program

    cast(Any, room.runs).reach = reach
    return program


async def is_in_path(room: Room) -> bool:
    machine: MachineRecord = room.site.shelves.machines.get("fw")
    filters = await room.site.links.list_filters("gp1")
    return machine.sides(inline=True).network_side in [found.target for found in filters]


async def begin(room: Room, program: Program, **options: Any) -> "asyncio.Task[None]":
    ejecting = asyncio.create_task(room.inserts.eject("fw", keep=True, **options))
    await program.begun.wait()
    return ejecting


async def test_it_stays_in_the_path_until_it_has_drained(room: Room, program: Program) -> None:
    assert await is_in_path(room)
    ejecting = await begin(room, program)
    record = room.site.shelves.inserts.get("fw")
    assert (record.state, await is_in_path(room)) == (InsertState.EJECTING, True)
    assert room.inserts.view(record).drained_by is not None
    program.end.set()
    await ejecting
    assert not await is_in_path(room)
    assert room.site.shelves.inserts.find("fw") is None


async def test_a_program_that_fails_holds_nothing_up(room: Room, program: Program) -> None:
    program.code = 1
    program.end.set()
    await room.inserts.eject("fw", keep=True)
    assert not await is_in_path(room)


async def test_who_cannot_be_asked_is_not_waited_for(room: Room) -> None:
    async def reach(_name: str) -> Any:
        raise Unavailable("it is silent")

    cast(Any, room.runs).reach = reach
    await room.inserts.eject("fw", keep=True)
    assert not await is_in_path(room)


async def test_its_time_has_a_bound(room: Room, program: Program) -> None:
    ejecting = await begin(room, program, drain=0.01)
    await ejecting
    assert not program.end.is_set() and not await is_in_path(room)


async def test_now_is_now(room: Room, program: Program) -> None:
    await room.inserts.eject("fw", keep=True, drain=0)
    assert not program.begun.is_set() and not await is_in_path(room)


async def insist(room: Room) -> None:
    await room.inserts.eject("fw", drain=0)


async def stop_beating(room: Room) -> None:
    await room.inserts.on_verdict("fw", Verdict.STOPPED)


@pytest.mark.parametrize("cut_short", [insist, stop_beating])
async def test_a_wait_can_be_cut_short(room: Room, program: Program, cut_short: Callable[[Room], Any]) -> None:
    ejecting = await begin(room, program)
    with pytest.raises(WrongState, match="already") as said:
        await room.inserts.eject("fw")
    assert said.value.hint == "weft eject --now does not wait for it"
    await cut_short(room)
    await ejecting
    assert not await is_in_path(room)


async def test_the_next_daemon_goes_on_waiting(room: Room, program: Program) -> None:
    insert = room.site.shelves.inserts.get("fw")
    insert = await room.site.shelves.inserts.save(
        insert.with_(state=InsertState.EJECTING, keep=True, until=room.site.clock() + 1e6)
    )
    await room.inserts.adopt(insert)
    await program.begun.wait()
    assert await is_in_path(room)
    program.end.set()
    await asyncio.gather(*room.site.tasks.running)
    assert not await is_in_path(room)


async def test_who_has_drained_is_told_its_settings_anew(room: Room, program: Program) -> None:
    program.end.set()
    await room.inserts.eject("fw", keep=True)
    assert room.site.shelves.machines.get("fw").told is None


async def test_what_goes_past_it_anyway_does_not_drain(room: Room, program: Program) -> None:
    insert = room.site.shelves.inserts.get("fw")
    await room.site.shelves.inserts.save(insert.with_(state=InsertState.BYPASSED))
    await room.inserts.eject("fw", keep=True)
    assert not program.begun.is_set()
