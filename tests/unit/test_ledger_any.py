"""Whatever happens to machines and the host in whatever order, and whenever the daemon dies: the ledger is right."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.paper_fabric import open_paper_fabric
from tests.unit.paper_host import GIB, MIB, Host, run, scale

from weft.fabric.ledger.entries import Seen
from weft.model.errors import NoRoom
from weft.model.machine import State
from weft.model.room import RoomResources, RoomSpec
from weft.plan.ledger.tension import CALM

ROOMS = ("default", "acme")
NAMES = ("one", "two", "three")
MACHINES = st.tuples(st.sampled_from(ROOMS), st.sampled_from(NAMES))
SIZES = st.integers(128, 4096).map(lambda size: size // 2 * 2)
ACTS = st.one_of(
    st.tuples(st.just("start"), MACHINES),
    st.tuples(st.just("scale"), MACHINES, SIZES),
    st.tuples(st.just("use"), MACHINES, st.integers(0, 4096)),
    st.tuples(st.just("end"), MACHINES),
    st.tuples(st.just("host"), st.integers(0, 4096)),
    st.tuples(st.just("guarantee"), st.integers(1, 4096)),
    st.tuples(st.just("restart")),
)
Key = tuple[str, str]


class Story:
    """Acts on a host, one after the other."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def start(self, key: Key) -> None:
        room, name = key
        shelf = self._host.fabric.room(room).site.shelves.machines
        if shelf.find(name) is None:
            await run(self._host, name, 128, room=room)
            await shelf.save(shelf.get(name).with_(state=State.STOPPED))
        if shelf.get(name).state is State.STOPPED:
            elastic = shelf.get(name).elastic
            assert elastic is not None
            with suppress(NoRoom):
                async with self._host.ledger.starting(room, shelf.get(name)):
                    fresh = elastic.with_(memory=128 * MIB, gave_from=0, requests=())
                    await shelf.save(shelf.get(name).with_(state=State.RUNNING, elastic=fresh))

    async def scale(self, key: Key, size: int) -> None:
        room, name = key
        if self._is_running(key):
            await scale(self._host, name, size, room=room)

    async def use(self, key: Key, used: int) -> None:
        self._host.ledger.seen[key] = Seen(used=used * MIB, idle=used % 2 == 0)

    async def end(self, key: Key) -> None:
        room, name = key
        shelf = self._host.fabric.room(room).site.shelves.machines
        if self._is_running(key):
            await shelf.save(shelf.get(name).with_(state=State.STOPPED))

    async def host(self, available: int) -> None:
        """It is looked at twice, so late that whoever gave may get back."""
        self._host.available = available * MIB
        for _ in range(2):
            self._host.now += 2 * CALM
            await self._host.reclaiming.look(None)

    async def guarantee(self, memory: int) -> None:
        spec = RoomSpec(name="acme", resources=RoomResources(memory=memory * MIB))
        with suppress(NoRoom):
            await self._host.fabric.rooms.change(spec)

    async def restart(self) -> None:
        self._host.restart()

    def _is_running(self, key: Key) -> bool:
        machine = self._host.fabric.room(key[0]).site.shelves.machines.find(key[1])
        return machine is not None and machine.state is State.RUNNING


def check(host: Host) -> None:
    """What holds at any time."""
    ledger = host.ledger.read()
    shelves = {room: host.fabric.room(room).site.shelves.machines for room in ROOMS}
    live = [machine for machine in itertools.chain(*shelves.values()) if machine.state.is_live]
    assert ledger.granted == sum(machine.granted_memory for machine in live)
    assert ledger.promised <= ledger.host.capacity
    assert ledger.promised == sum(map(ledger.promised_to, ROOMS))
    for machine in live:
        assert machine.memory <= machine.granted_memory <= 4 * GIB


@given(st.lists(ACTS, min_size=4, max_size=14))
@settings(max_examples=25)
def test_the_ledger_is_right_whatever_happens(acts: list[tuple[str, *tuple[object, ...]]]) -> None:
    async def live() -> None:
        async with open_paper_fabric(Path(home) / "home") as fabric:
            await fabric.rooms.create(RoomSpec(name="acme"))
            host = Host(fabric)
            story = Story(host)
            for name, *values in acts:
                act: Callable[..., Awaitable[None]] = getattr(story, name)
                await act(*values)
                check(host)

    with TemporaryDirectory() as home:
        asyncio.run(live())
