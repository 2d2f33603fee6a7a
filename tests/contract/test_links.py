"""What `Links` promises: the same suite runs on the kernel and on the fake."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from weft.host.fake_links import FakeLinks
from weft.host.kernel_links import open_links
from weft.host.links import VOID, FilterChangeFailed, LinkEvent, Links, keep_whole
from weft.host.namespace import open_namespace
from weft.model.errors import Exists, Invalid, NotFound, WrongState
from weft.model.wiring import AddFilter, DeleteFilter, Filter, FilterKind

REDIRECT, MIRROR = FilterKind.REDIRECT, FilterKind.MIRROR
needs_tun = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK), reason="/dev/net/tun is closed")


@pytest.fixture(params=["fake", pytest.param("kernel", marks=pytest.mark.host)])
async def links(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Links]:
    if request.param == "fake":
        yield FakeLinks()
        return
    namespace = await open_namespace(tmp_path)
    opened = await open_links(namespace)
    yield opened
    await opened.close()
    await namespace.stop()


@pytest.fixture
async def wired(links: Links) -> Links:
    """A network with two ports."""
    await links.create_bridge("n1", mtu=1500, alias="weft network lan")
    await links.create_port("b1.0", "p1.0", bridge="n1", mtu=1500, alias="weft machine web nic 0")
    await links.create_port("b2.0", "p2.0", bridge="n1", mtu=1500, alias="weft machine db nic 0")
    return links


async def test_every_link_is_counted(links: Links) -> None:
    await links.create_tap("t1.0", mtu=1500, alias="weft test")
    assert (await links.count_traffic()).keys() == (await links.list_links()).keys()


async def test_links_are_found_by_name(wired: Links) -> None:
    listed = await wired.list_links()
    assert await wired.find_links(["b1.0", "p1.0", "none", "n1"]) == {
        name: listed[name] for name in ("b1.0", "p1.0", "n1")
    }
    assert await wired.find_links([]) == {}


async def test_a_bridge_is_up_and_says_whose_it_is(links: Links):
    await links.create_bridge("n1", mtu=9000, alias="weft network lan")
    bridge = (await links.list_links())["n1"]
    assert (bridge.kind, bridge.alias, bridge.up, bridge.mtu, bridge.master) == (
        "bridge",
        "weft network lan",
        True,
        9000,
        None,
    )


async def test_a_link_with_another_alias_is_half_made_and_goes(wired: Links):
    present = await wired.list_links()
    assert await keep_whole(wired, present, "p1.0", "weft machine web nic 0")
    assert not await keep_whole(wired, present, "p9.0", "weft machine web nic 0")
    assert not await keep_whole(wired, present, "p2.0", "weft machine web nic 0")
    assert {"p1.0", "b1.0"} == set(await wired.list_links()) & {"p1.0", "b1.0", "p2.0", "b2.0"}


async def test_a_port_is_a_pair_with_one_end_in_the_bridge(wired: Links):
    found = await wired.list_links()
    assert (found["b1.0"].master, found["p1.0"].master) == ("n1", None)
    for name in ("b1.0", "p1.0"):
        assert (found[name].kind, found[name].up, found[name].carrier) == ("veth", True, True)
        assert found[name].alias == "weft machine web nic 0"


async def test_a_bridges_mac_stays_when_ports_come_and_go(links: Links):
    await links.create_bridge("n1", mtu=1500, alias="weft network lan")
    before = (await links.list_links())["n1"].mac
    await links.create_port("b1.0", "p1.0", bridge="n1", mtu=1500, alias="x")
    await links.delete_link("b1.0")
    assert (await links.list_links())["n1"].mac == before


async def test_a_pair_goes_as_a_whole(wired: Links):
    await wired.delete_link("p1.0")
    found = await wired.list_links()
    assert "b1.0" not in found
    assert "p1.0" not in found
    assert "b2.0" in found


async def test_a_gateway_is_a_pair_with_a_mac_of_its_own(links: Links):
    mac, addresses = "02:11:22:33:44:55", ["10.0.0.1/24", "169.254.87.1/32"]
    for slot in (1, 2):  # what all gateways are called may be on each
        await links.create_gateway(f"gt{slot}", f"g{slot}", mtu=1400, alias="weft gate", mac=mac, addresses=addresses)
        for _ in range(2):
            await links.add_peer(f"g{slot}", "169.254.87.1", f"169.254.88.{slot}")
    found = await links.list_links()
    assert (found["g1"].mac, found["g1"].mtu, found["g1"].up, found["g1"].alias) == (mac, 1400, True, "weft gate")
    assert (found["gt1"].carrier, found["gt1"].alias) == (True, "weft gate")
    await links.add_filter("gt1", 300, REDIRECT, "g2")
    with pytest.raises(Exists):
        await links.create_gateway("gt1", "g3", mtu=1400, alias="x", mac=mac, addresses=[])
    await links.delete_link("g1")
    assert "gt1" not in await links.list_links()


@pytest.fixture
async def elsewhere(links: Links, tmp_path: Path) -> AsyncIterator[tuple[Links, int]]:
    """Links of another namespace, which the fake has none of, and a descriptor of it."""
    if isinstance(links, FakeLinks):
        yield links, -1
        return
    (tmp_path / "elsewhere").mkdir()
    namespace = await open_namespace(tmp_path / "elsewhere")
    if namespace.rootless:
        await namespace.stop()
        pytest.skip("links between namespaces need root")
    others, fd = await open_links(namespace), await namespace.open("/proc/self/ns/net")
    yield others, fd
    os.close(fd)
    await others.close()
    await namespace.stop()


async def test_a_relay_leads_elsewhere(links: Links, elsewhere: tuple[Links, int]):
    others, namespace = elsewhere
    await links.create_relay("s1.7", "s1", namespace=namespace, mtu=1400, alias="weft relay")
    await others.settle_relay("s1", alias="weft relay")
    near, far = (await links.list_links())["s1.7"], (await others.list_links())["s1"]
    assert [(link.alias, link.mtu, link.up, link.carrier) for link in (near, far)] == [
        ("weft relay", 1400, True, True)
    ] * 2
    await others.create_bridge("n1", mtu=1500, alias="x")
    await others.add_filter("s1", 300, REDIRECT, "n1")
    await links.delete_link("s1.7")
    assert "s1" not in await others.list_links()


async def test_a_stripped_bridge_has_another_mac(wired: Links):
    before = (await wired.list_links())["n1"]
    for _ in range(2):
        await wired.strip_bridge("n1", "10.0.0.1/24")
    after = (await wired.list_links())["n1"]
    assert (after.alias, after.up) == (before.alias, before.up)


async def test_names_are_taken_once(wired: Links):
    with pytest.raises(Exists):
        await wired.create_bridge("n1", mtu=1500, alias="x")
    with pytest.raises(Exists):
        await wired.create_port("b9.0", "p1.0", bridge="n1", mtu=1500, alias="x")
    assert "b9.0" not in await wired.list_links()


async def test_what_is_not_there_is_not_found(wired: Links):
    with pytest.raises(NotFound):
        await wired.delete_link("b7.0")
    with pytest.raises(NotFound):
        await wired.create_port("b3.0", "p3.0", bridge="n7", mtu=1500, alias="x")
    with pytest.raises(NotFound):
        await wired.list_filters("p7.0")
    with pytest.raises(NotFound):
        await wired.add_filter("p1.0", 300, REDIRECT, "p7.0")
    with pytest.raises(NotFound):
        await wired.open_tap("t7.0")
    with pytest.raises(NotFound):
        await wired.ensure_hook("t7.0")


async def test_a_name_too_long_is_invalid(wired: Links):
    with pytest.raises(Invalid):
        await wired.delete_link("a-name-of-sixteen")


async def test_filters_are_listed_by_slot(wired: Links):
    await wired.add_filter("p1.0", 300, REDIRECT, "p2.0")
    await wired.add_filter("p1.0", 100, MIRROR, "b2.0")
    assert await wired.list_filters("p1.0") == [Filter(100, MIRROR, "b2.0"), Filter(300, REDIRECT, "p2.0")]
    assert await wired.list_filters("p2.0") == []


async def test_a_slot_is_taken_once(wired: Links):
    await wired.add_filter("p1.0", 300, REDIRECT, "p2.0")
    with pytest.raises(Exists):
        await wired.add_filter("p1.0", 300, REDIRECT, "b2.0")
    assert await wired.list_filters("p1.0") == [Filter(300, REDIRECT, "p2.0")]


async def test_deleting_empties_one_slot_only(wired: Links):
    for slot in (200, 201, 300):
        await wired.add_filter("p1.0", slot, REDIRECT, "p2.0")
    await wired.delete_filter("p1.0", 201)
    assert [filter.slot for filter in await wired.list_filters("p1.0")] == [200, 300]
    with pytest.raises(NotFound):
        await wired.delete_filter("p1.0", 201)


@pytest.mark.parametrize("slot", [-1, 0, 1, 65536])
async def test_slots_that_mean_something_else_are_invalid(wired: Links, slot: int):
    with pytest.raises(Invalid):
        await wired.add_filter("p1.0", slot, REDIRECT, "p2.0")
    with pytest.raises(Invalid):
        await wired.delete_filter("p1.0", slot)


async def test_a_link_without_hook_has_no_filters_and_takes_none(wired: Links):
    assert await wired.list_filters("b1.0") == []
    with pytest.raises(NotFound):
        await wired.add_filter("b1.0", 300, REDIRECT, "p2.0")
    with pytest.raises(NotFound):
        await wired.delete_filter("b1.0", 300)
    await wired.ensure_hook("b1.0")
    await wired.ensure_hook("b1.0")
    await wired.add_filter("b1.0", 300, REDIRECT, "p2.0")
    assert len(await wired.list_filters("b1.0")) == 1


async def test_changes_are_made_in_order(wired: Links):
    await wired.apply_filters(
        [
            AddFilter("p1.0", 200, REDIRECT, "p2.0"),
            AddFilter("p2.0", 200, REDIRECT, "p1.0"),
            DeleteFilter("p1.0", 200),
            AddFilter("p1.0", 200, MIRROR, "b2.0"),
        ]
    )
    assert await wired.list_filters("p1.0") == [Filter(200, MIRROR, "b2.0")]
    assert await wired.list_filters("p2.0") == [Filter(200, REDIRECT, "p1.0")]


async def test_changes_stop_at_the_first_refusal(wired: Links):
    made, refused, untried = (
        AddFilter("p1.0", 200, REDIRECT, "p2.0"),
        DeleteFilter("p2.0", 9),
        AddFilter("p2.0", 9, MIRROR, "p1.0"),
    )
    with pytest.raises(FilterChangeFailed) as caught:
        await wired.apply_filters([made, refused, untried])
    assert caught.value.applied == 1
    assert isinstance(caught.value.__cause__, NotFound)
    assert len(await wired.list_filters("p1.0")) == 1
    assert await wired.list_filters("p2.0") == []


async def test_a_filter_outlives_its_target_and_points_nowhere(wired: Links):
    await wired.add_filter("p1.0", 300, REDIRECT, "p2.0")
    await wired.delete_link("p2.0")
    assert await wired.list_filters("p1.0") == [Filter(300, REDIRECT, "")]


async def test_a_trap_is_no_filter(wired: Links):
    await wired.ensure_void()
    await wired.ensure_void()
    assert (await wired.list_links())[VOID].up
    await wired.add_heartbeat_trap("p1.0")
    await wired.add_heartbeat_trap("p1.0")
    await wired.add_filter("p1.0", 300, REDIRECT, "p2.0")
    assert await wired.list_filters("p1.0") == [Filter(300, REDIRECT, "p2.0")]


@needs_tun
async def test_a_tap_stays_when_its_user_goes(links: Links):
    await links.create_tap("t1.0", mtu=1400, alias="weft machine web nic 0")
    tap = (await links.list_links())["t1.0"]
    assert (tap.kind, tap.alias, tap.up, tap.carrier, tap.mtu) == ("tun", "weft machine web nic 0", True, False, 1400)
    fd = await links.open_tap("t1.0")
    assert (await links.list_links())["t1.0"].carrier
    with pytest.raises(WrongState):
        await links.open_tap("t1.0")
    os.close(fd)
    assert await links.list_filters("t1.0") == []
    with pytest.raises(Exists):
        await links.create_tap("t1.0", mtu=1400, alias="x")


@needs_tun
async def test_the_loss_of_a_carrier_is_told(links: Links):
    await links.create_tap("t1.0", mtu=1500, alias="x")
    fd = await links.open_tap("t1.0")
    async with aclosing(links.watch_links()) as events:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)  # the watch opens in the first step
        os.close(fd)
        if isinstance(links, FakeLinks):
            links.carry("t1.0", False)
        event = await asyncio.wait_for(first, 5)
        while event.carrier:
            event = await asyncio.wait_for(anext(events), 5)
    assert event == LinkEvent("t1.0", up=True, carrier=False)


async def test_a_link_that_goes_is_told(wired: Links):
    async with aclosing(wired.watch_links()) as events:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await wired.delete_link("p2.0")
        gone = set()
        event = await asyncio.wait_for(first, 5)
        while True:
            gone |= {event.name} if event.gone else set()
            if {"p2.0", "b2.0"} <= gone:
                break
            event = await asyncio.wait_for(anext(events), 5)
    assert not event.up
