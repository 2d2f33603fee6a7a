"""Memory that was lent comes back, on a fabric on paper whose machines do as they are told, or do not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.unit.paper_fabric import open_paper_fabric
from tests.unit.paper_host import GIB, MIB, Host, run, scale

from weft.api.app import make_app
from weft.fabric.elastic.scaling import Scaling
from weft.fabric.ledger.host_ledger import SOON
from weft.model.elastic import Resource, ScaleState
from weft.model.errors import NoRoom
from weft.model.machine import State
from weft.model.room import RoomResources, RoomSpec
from weft.plan.ledger.tension import CALM, PLENTY, Tension


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        yield Host(fabric)


async def test_what_is_reserved_counts_until_it_is_on_record_or_long_ago(host: Host) -> None:
    await run(host, "one", 128)
    await host.ledger.reserve(("default", "one"), Resource.MEMORY, 256 * MIB)
    await host.ledger.reserve(("default", "one"), Resource.CPUS, 3)
    assert (host.ledger.read().granted, host.ledger.read().cpus_granted) == (256 * MIB, 3)
    host.ledger.release(("default", "one"), Resource.CPUS)
    assert host.ledger.read().cpus_granted == 1
    host.now += SOON
    assert host.ledger.read().granted == 128 * MIB


async def test_a_machine_grows_as_far_as_the_host_has_memory(host: Host) -> None:
    await run(host, "one", 128, used=None)
    await run(host, "two", 128)
    assert await scale(host, "one", 3000) is ScaleState.APPLIED
    assert await scale(host, "two", 1024) is ScaleState.REFUSED
    request = host.machine("two").elastic.requests[0]  # type: ignore[union-attr]
    assert request.reason.startswith("the host has no memory to grant: 896 MiB are wanted, 3128 MiB of 3840 MiB are")
    assert host.size("two") == 128
    with pytest.raises(NoRoom):
        await host.ledger.reserve(("default", "two"), Resource.MEMORY, 4 * GIB)


async def test_growth_asks_back_what_idle_machines_do_not_need(host: Host) -> None:
    await run(host, "idle", 3000)
    await run(host, "busy", 128)
    assert await scale(host, "busy", 1500) is ScaleState.APPLIED
    assert (host.size("busy"), host.size("idle")) == (1500, 3840 - 1500)


async def test_a_start_asks_back_what_was_lent(host: Host) -> None:
    await run(host, "idle", 3000)
    host.available = 256 * MIB + 32 * MIB
    with pytest.raises(NoRoom):  # giving back frees nothing on this host
        async with host.ledger.starting("default", host.machine("idle").with_(state=State.STOPPED)):
            pass
    assert host.size("idle") == 3000 - 96


async def test_a_host_that_is_short_takes_and_gives_back_when_it_is_not(host: Host) -> None:
    await run(host, "one", 1024)
    await run(host, "two", 512)
    await run(host, "unknown", 512, used=None)
    await host.reclaiming.look(None)
    host.available = 100 * MIB
    await host.reclaiming.look(None)
    assert host.reclaiming.tension.tight
    taken = 512 - 100
    assert (1024 - host.size("one")) + (512 - host.size("two")) == taken
    assert host.size("two") == 512 - round(taken * 384 / (384 + 896) / 2) * 2
    assert host.size("unknown") == 512
    host.available = 3 * GIB
    await host.reclaiming.look(None)
    assert host.size("one") < 1024, "not yet"
    host.now += CALM
    await host.reclaiming.look(None)
    assert (host.size("one"), host.size("two"), host.reclaiming.tension.tight) == (1024, 512, False)
    kinds = [event.kind for event in host.fabric.shared.events.since(0)]
    assert kinds.count("host.tight") == kinds.count("host.calm") == 1


async def test_who_asked_for_another_size_since_has_that_for_good(host: Host) -> None:
    await run(host, "one", 1024)
    host.available = 0
    await host.reclaiming.look(None)
    assert await scale(host, "one", 256, by="policy") is ScaleState.APPLIED
    host.available, host.now = 3 * GIB, host.now + 2 * CALM
    await host.reclaiming.look(None)
    host.now += CALM
    await host.reclaiming.look(None)
    assert host.size("one") == 256


async def test_who_refuses_is_left_alone_for_a_while_and_others_give(host: Host) -> None:
    await run(host, "stubborn", 1024)
    await run(host, "kind", 1024)
    host.refusing.add("stubborn")
    host.available = 256 * MIB * PLENTY - 100 * MIB
    await host.reclaiming.collect(100 * MIB)
    assert (host.size("stubborn"), host.size("kind")) == (1024, 1024 - 50)
    await host.reclaiming.collect(100 * MIB)
    assert (host.size("stubborn"), host.size("kind")) == (1024, 1024 - 150)
    host.refusing.clear()
    host.now += 60
    await host.reclaiming.collect(100 * MIB)
    assert host.size("stubborn") < 1024


async def test_what_was_granted_beyond_what_there_is_is_asked_back_once(host: Host) -> None:
    """Who claims it and who watches the host may see it at the same time."""
    await run(host, "one", 4096)
    assert host.ledger.read().excess == 256 * MIB
    await asyncio.gather(host.reclaiming.collect(0), host.reclaiming.collect(0), host.reclaiming.look(None))
    assert host.size("one") == 4096 - 256
    assert host.ledger.read().excess == 0


async def test_a_request_on_its_way_is_not_interrupted(host: Host) -> None:
    await run(host, "one", 1024)
    shelf = host.fabric.default.site.shelves.machines
    await scale(host, "one", 1024)
    machine = shelf.get("one")
    assert machine.elastic is not None
    (request,) = machine.elastic.requests
    open_again = request.model_copy(update={"state": ScaleState.CONVERGING})
    await shelf.save(machine.with_(elastic=machine.elastic.with_(requests=(open_again,))))
    await host.reclaiming.collect(100 * MIB)
    assert host.size("one") == 1024


async def test_the_watch_goes_on_until_it_is_cancelled(host: Host) -> None:
    await run(host, "one", 1024)
    host.available = 0
    looks = 0

    async def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks > 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await host.reclaiming.watch(lambda: None, sleep)
    assert host.size("one") < 1024


async def test_the_host_is_shown_with_who_has_lent_what_to_whom(host: Host) -> None:
    await host.fabric.rooms.create(RoomSpec(name="acme", resources=RoomResources(memory=GIB, cpus=1.5)))
    await run(host, "big", 3500)
    await run(host, "small", 128, room="acme")
    host.fabric.shared.ledger.seen = host.ledger.seen
    transport = httpx.ASGITransport(make_app(host.fabric, lambda _machines: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
        answer = await http.get("/v1/host")
    assert answer.status_code == 200
    view = answer.json()
    assert (view["promised"], view["granted"]) == (GIB + 128 * MIB, 3628 * MIB)
    assert view["free"] == view["capacity"] - view["granted"] == (3840 - 3628) * MIB
    lent = 3500 - 128 - (3840 - 1024 - 128)
    assert view["loans"] == [{"lender": "acme", "borrower": "default", "memory": lent * MIB}]
    acme, default = view["rooms"]
    assert (acme["lends"], default["borrows"]) == (lent * MIB, lent * MIB)
    assert acme["cpus_promised"] == 1.5
    assert [machine["name"] for machine in view["machines"]] == ["small", "big"]


async def test_growth_at_once_is_not_granted_the_same_memory(host: Host) -> None:
    for name in ("one", "two", "three"):
        await run(host, name, 128, used=None)
    states = await asyncio.gather(*(scale(host, name, 1600) for name in ("one", "two", "three")))
    assert sorted(states) == [ScaleState.APPLIED, ScaleState.APPLIED, ScaleState.REFUSED]
    ledger = host.ledger.read()
    assert ledger.granted <= ledger.host.capacity


async def test_doctor_says_whether_memory_is_short(host: Host) -> None:
    fabric = host.fabric
    check = fabric.host.check()
    assert check.ok and check.detail == "4096 MiB available, 0 of 3840 MiB promised"
    await fabric.rooms.create(RoomSpec(name="acme", resources=RoomResources(memory=GIB)))
    fabric.host.reclaiming.tension = Tension(tight=True)
    check = fabric.host.check()
    assert not check.ok and not check.needed and "weft host top" in (check.hint or "")
    assert "1024 of 3840 MiB promised" in check.detail


async def test_what_was_borrowed_of_a_guarantee_is_asked_back_when_that_is_claimed(host: Host) -> None:
    await host.fabric.rooms.create(RoomSpec(name="acme", resources=RoomResources(memory=GIB)))
    await run(host, "big", 3700)
    await run(host, "mine", 128, room="acme")
    room = host.get("acme")
    await room.scaling.scale("mine", Resource.MEMORY, 512 * MIB, "weft scale")
    request = await room.scaling.settled("mine", Resource.MEMORY)
    assert request.state is ScaleState.APPLIED
    assert (host.size("mine", "acme"), host.size("big")) == (512, 3840 - 512)
    async with host.ledger.starting("acme", host.machine("mine", "acme").with_(state=State.STOPPED)):
        assert host.size("big") == 3840 - 512


async def test_what_cannot_be_asked_back_at_once_is_asked_back_later(host: Host) -> None:
    await host.fabric.rooms.create(RoomSpec(name="acme", resources=RoomResources(memory=GIB)))
    await run(host, "big", 3700)
    await run(host, "mine", 512, room="acme")
    host.refusing.add("big")
    await host.reclaiming.look(None)
    assert host.ledger.read().excess == (3700 + 512 - 3840) * MIB
    host.refusing.clear()
    host.now += 60
    await host.reclaiming.look(None)
    assert host.ledger.read().excess == 0 and host.size("big") == 3840 - 512


async def test_who_hangs_holds_nobody_up_for_long(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.fabric.ledger.reclaiming.PATIENCE", 0.05)
    await run(host, "hangs", 3000)
    await run(host, "busy", 128)
    room = host.get("default")
    never = asyncio.Event()

    async def scale_never(*_request: object) -> None:
        await never.wait()

    monkeypatch.setattr(Scaling, "scale", scale_never)
    with pytest.raises(NoRoom):
        await asyncio.wait_for(room.scaling.granting.accounts.reserve(host.machine("busy"), Resource.MEMORY, GIB), 30)
    assert host.size("hangs") == 3000
