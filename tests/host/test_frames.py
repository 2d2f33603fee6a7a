"""Filters, taps and heartbeats with real frames: what a redirect takes, a mirror copies, a trap swallows."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest
from tests.host.conftest import needs_tun
from tests.host.waiting import PATIENCE, wait_until

from weft.host.kernel_links import KernelLinks
from weft.host.namespace import Namespace
from weft.host.packets import dump_beat, open_heartbeat, parse_beat
from weft.model.errors import Unavailable
from weft.model.wiring import AddFilter, DeleteFilter, FilterKind

pytestmark = [pytest.mark.host, needs_tun]

VNET = bytes(10)
"""The virtio header in front of each frame: nothing offloaded."""


class Tap:
    """The user of a tap: plays a machine's NIC."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.frames: list[bytes] = []
        self.on_frame: Callable[[bytes], None] = self.frames.append
        asyncio.get_running_loop().add_reader(fd, self._read)

    def send(self, frame: bytes) -> None:
        os.write(self.fd, VNET + frame)

    def heard(self, frame: bytes) -> int:
        return self.frames.count(frame)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)

    def _read(self) -> None:
        self.on_frame(os.read(self.fd, 70000)[len(VNET) :])


def frame(number: int, ethertype: bytes = b"\x08\x00", size: int = 60) -> bytes:
    """A frame to everybody."""
    return (b"\xff" * 6 + b"\x02\0\0\0\0\x01" + ethertype + number.to_bytes(4, "big")).ljust(size, b"\0")


@pytest.fixture
async def taps(links: KernelLinks) -> AsyncIterator[list[Tap]]:
    """Four machines' NICs, t1.0 to t4.0, joined to nothing."""
    await links.ensure_void()
    opened = []
    for slot in range(1, 5):
        await links.create_tap(f"t{slot}.0", mtu=9000, alias="test")
        opened.append(Tap(await links.open_tap(f"t{slot}.0")))
    yield opened
    for tap in opened:
        tap.close()


async def test_a_redirect_takes_the_frame_as_it_is(links: KernelLinks, taps: list[Tap]):
    await links.add_filter("t1.0", 300, FilterKind.REDIRECT, "t2.0")
    sent = [
        frame(1),
        frame(2, b"\x88\xcc", 9014),  # LLDP, as large as the link allows
        b"\x01\x80\xc2\0\0\0" + frame(3)[6:],  # what bridges keep to themselves
        frame(4, b"\x81\x00\x00\x07\x86\xdd"),  # tagged
    ]
    for each in sent:
        taps[0].send(each)
    await wait_until(lambda: len(taps[1].frames) >= len(sent))
    assert taps[1].frames == sent
    assert taps[2].frames == []


async def test_a_mirror_copies_and_lets_the_frame_go_on(links: KernelLinks, taps: list[Tap]):
    await links.add_filter("t1.0", 100, FilterKind.MIRROR, "t3.0")
    await links.add_filter("t1.0", 101, FilterKind.MIRROR, "t4.0")
    await links.add_filter("t1.0", 300, FilterKind.REDIRECT, "t2.0")
    taps[0].send(frame(1))
    await wait_until(lambda: all(tap.frames for tap in taps[1:]))
    assert [tap.heard(frame(1)) for tap in taps] == [0, 1, 1, 1]


async def test_the_lowest_slot_is_asked_first(links: KernelLinks, taps: list[Tap]):
    await links.add_filter("t1.0", 300, FilterKind.REDIRECT, "t2.0")
    await links.add_filter("t1.0", 200, FilterKind.REDIRECT, "t3.0")
    taps[0].send(frame(1))
    await wait_until(lambda: taps[2].frames)
    await links.delete_filter("t1.0", 200)
    taps[0].send(frame(2))
    await wait_until(lambda: taps[1].frames)
    assert (taps[1].frames, taps[2].frames) == ([frame(2)], [frame(1)])


async def test_no_frame_is_lost_or_doubled_while_filters_change(links: KernelLinks, taps: list[Tap]):
    await links.add_filter("t1.0", 300, FilterKind.REDIRECT, "t2.0")
    count = 0
    for _ in range(200):
        await links.add_filter("t1.0", 200, FilterKind.REDIRECT, "t3.0")
        for _ in range(3):
            taps[0].send(frame(count := count + 1))
        await links.delete_filter("t1.0", 200)
        taps[0].send(frame(count := count + 1))
        await asyncio.sleep(0)
    await wait_until(lambda: len(taps[1].frames) + len(taps[2].frames) >= count)
    assert sorted(taps[1].frames + taps[2].frames) == [frame(number) for number in range(1, count + 1)]


async def test_a_splice_of_six_changes_is_not_cut_in_two(links: KernelLinks, taps: list[Tap]):
    """The event loop does nothing else meanwhile. How long that takes is measured by benchmarks/splice.py."""
    put = [AddFilter(f"t{n}.0", slot, FilterKind.REDIRECT, "t4.0") for n in (1, 2, 3) for slot in (200, 201)]
    meanwhile: list[str] = []
    asyncio.get_running_loop().call_soon(meanwhile.append, "somebody else's turn")
    await links.apply_filters(put)
    await links.apply_filters([DeleteFilter(change.link, change.slot) for change in put])
    assert meanwhile == []


async def test_closing_a_tap_is_told(links: KernelLinks, taps: list[Tap]):
    async with aclosing(links.watch_links()) as events:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        tap = taps.pop()
        tap.close()
        event = await asyncio.wait_for(first, PATIENCE)
        while event.name != "t4.0" or event.carrier:
            event = await asyncio.wait_for(anext(events), PATIENCE)


async def test_heartbeats_come_through_an_appliance_and_go_no_further(
    namespace: Namespace, links: KernelLinks, taps: list[Tap]
):
    # t1.0 and t2.0 are the two sides of an appliance that passes everything on; t3.0 is the machine behind it.
    taps[0].on_frame, taps[1].on_frame = taps[1].send, taps[0].send
    for link in ("t1.0", "t2.0"):
        await links.add_heartbeat_trap(link)
    await links.add_filter("t2.0", 300, FilterKind.REDIRECT, "t3.0")
    beats: dict[str, list[tuple[int, int]]] = {"t1.0": [], "t2.0": []}
    sides = {
        link: await open_heartbeat(namespace, link, lambda *beat, link=link: beats[link].append(beat)) for link in beats
    }
    assert sides["t1.0"].send(7, 1)
    assert sides["t2.0"].send(7, 1 << 40)
    os.write(taps[1].fd, VNET + frame(5))
    await wait_until(lambda: all(beats.values()) and taps[2].frames)
    assert beats == {"t2.0": [(7, 1)], "t1.0": [(7, 1 << 40)]}
    assert taps[2].frames == [frame(5)]
    for side in sides.values():
        side.close()
        side.close()


async def test_only_heartbeats_are_heard(namespace: Namespace, links: KernelLinks, taps: list[Tap]):
    beats: list[tuple[int, int]] = []
    side = await open_heartbeat(namespace, "t1.0", lambda *beat: beats.append(beat))
    taps[0].send(frame(1))
    taps[0].send(frame(2, b"\x88\xb5"))  # the same ethertype, but not ours
    taps[0].send(dump_beat(1, 2))
    await wait_until(lambda: beats)
    assert beats == [(1, 2)]
    side.close()


async def test_a_heartbeat_on_a_link_that_went_is_not_sent(namespace: Namespace, links: KernelLinks, taps: list[Tap]):
    side = await open_heartbeat(namespace, "t1.0", lambda *beat: None)
    await links.delete_link("t1.0")
    assert not side.send(1, 1)
    side.close()


async def test_no_heartbeats_without_a_link(namespace: Namespace):
    with pytest.raises(Unavailable, match=r"t9\.0"):
        await open_heartbeat(namespace, "t9.0", lambda *beat: None)


@pytest.mark.parametrize("cut", range(34))
def test_half_a_heartbeat_is_none(cut: int):
    assert parse_beat(dump_beat(3, 4)[:cut][:29]) is None
    assert parse_beat(dump_beat(3, 4)) == (3, 4)
