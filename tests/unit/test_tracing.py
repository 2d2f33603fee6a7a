"""Traces on paper: of rooms as they are, by the API, and what guests and their firewalls say, or fail to say."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, cast

import httpx
import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import make_app
from weft.fabric.fabric import Fabric
from weft.fabric.records.insert import InsertRecord
from weft.fabric.tracing.probing import probe_gateway
from weft.fabric.tracing.watching import Watch, open_watch
from weft.guest.agent import Agent
from weft.guest.probe import parse_probe, probe_argv
from weft.guest.protocol import ExitStatus
from weft.host.namespace import Namespace
from weft.model.errors import NotFound, Unavailable
from weft.model.insert import InsertSpec, InsertState, Mode
from weft.model.machine import MachineSpec, NicSpec, PublishedPort, State
from weft.model.room import RoomSpec
from weft.model.trace import Outcome, ProbeView
from weft.model.wiring import PATH_SLOTS, FilterKind
from weft.plan.tracing.room import Packet

CAPTURED = (Path(__file__).parent / "golden/nft-monitor.txt").read_text()
PACKET = Packet("tcp", ip_address("10.9.0.2"), ip_address("10.8.0.2"), 1, 80)


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    """The machines `one` and `two` on `lan` of the rooms `default` and `acme`; those of the first run, on paper."""
    async with open_paper_fabric(tmp_path / "home") as opened:
        await opened.rooms.create(RoomSpec(name="acme"))
        for room in opened.rooms:
            await room.ports.attach_gateway(room.site.shelves.networks.get("lan"))
            for name in ("one", "two"):
                await room.machines.create(MachineSpec(name=name, image="base", nics=(NicSpec(network="lan"),)))
        shelf = opened.default.site.shelves.machines
        for machine in shelf:
            await shelf.save(machine.with_(state=State.RUNNING))
        yield opened


async def ask(fabric: Fabric, source: str, destination: str, room: str = "", **more: object) -> Any:
    transport = httpx.ASGITransport(make_app(fabric, lambda _machines: None))
    body = {"source": source, "destination": destination, "probe": False, **more}
    async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
        return (await http.post(f"/v1{room}/trace", json=body)).json()


async def test_a_way_that_is_open(fabric: Fabric) -> None:
    view = await ask(fabric, "one", "two:80")
    assert (view["verdict"], view["why"]) == ("passes", "nothing stands in its way")
    assert [hop["at"] for hop in view["hops"] if hop["way"] == "there"] == [
        "machine one", "port one:0", "port two:0", "machine two",
    ]  # fmt: skip
    assert view["packet"] == "tcp 10.0.0.2 -> 10.0.0.3:80"
    assert (view["probe"], view["unprobed"]) == (None, "none was asked for")


async def test_wiring_is_looked_at(fabric: Fabric) -> None:
    links = fabric.default.site.links
    await links.create_tap("stray", mtu=1500, alias="")
    await links.add_filter("p2.0", PATH_SLOTS[0], FilterKind.REDIRECT, "stray")
    view = await ask(fabric, "one", "two:80")
    assert view["why"] == "port two:0: its wiring is broken: p2.0 leads to stray"
    await links.delete_link("p2.0")
    assert (await ask(fabric, "two", "one"))["why"] == "port two:0: its wiring is broken: t2.0 leads nowhere"


async def test_inserts_are_told_by_their_state(fabric: Fabric) -> None:
    shelves = fabric.default.site.shelves
    spec = InsertSpec(name="fw", appliance="sniffer", before="network:lan", mode=Mode.ROUTED)
    record = InsertRecord(spec=spec, rank=Fraction(1), created=1.0, state=InsertState.EJECTING)
    for until, why in (
        (None, "ejecting: frames go past it"),
        (9.0, "it drains: what begins now goes through it untouched"),
    ):
        await shelves.inserts.save(record.with_(until=until))
        (hop,) = [
            hop for hop in (await ask(fabric, "one", "10.0.0.1"))["hops"] if hop["why"] == why and hop["way"] == "there"
        ]
        assert (hop["at"], hop["verdict"]) == ("insert fw", "passes")


async def test_rooms_are_apart(fabric: Fabric) -> None:
    view = await ask(fabric, "one", "acme:two:80")
    assert view["why"] == "room default: nothing crosses between rooms, and this would to acme"
    assert (await ask(fabric, "one", "two", "/rooms/acme"))["why"] == "machine one: it is created"
    assert (await ask(fabric, "acme:one", "two"))["why"] == "machine one: it is created"
    assert (await ask(fabric, "acme:one", "default:two"))["verdict"] == "stops"


async def test_published_ports_are_found_in_all_rooms(fabric: Fabric) -> None:
    shelf = fabric.room("acme").site.shelves.machines
    port = PublishedPort(host_address="0.0.0.0", host_port=8000, guest_port=80, protocol="tcp")
    await shelf.save(shelf.get("one").with_(published=(port,), state=State.RUNNING))
    for destination in ("8000", "acme:one", "acme:one:80"):
        view = await ask(fabric, "outside", destination)
        assert (view["verdict"], view["packet"]) == ("passes", "tcp 10.0.0.1 -> 10.0.0.2:80")
    assert (await ask(fabric, "outside", "8001"))["why"] == "the host: no published port leads to port 8001"
    assert (await ask(fabric, "outside", "one:80"))["why"] == "the host: no published port leads to tcp 80 of one"


@pytest.mark.parametrize(
    ("source", "destination", "code"),
    [("on", "two", "not-found"), ("one", "network:lam", "not-found"), ("one", "there:two", "not-found"),
     ("one", "->", "invalid"), ("one", "two:99999", "invalid"), ("acme:three", "one", "not-found")],
)  # fmt: skip
async def test_what_is_not_there(fabric: Fabric, source: str, destination: str, code: str) -> None:
    assert (await ask(fabric, source, destination))["error"]["code"] == code


async def test_a_packet_that_cannot_be_sent(fabric: Fabric) -> None:
    """Nobody's agent answers on paper."""
    view = await ask(fabric, "one", "two", probe=True)
    assert view["unprobed"] == "the agent of machine 'one' does not answer"
    assert view["verdict"] == "passes"
    view = await ask(fabric, "one", "outside", probe=True)
    assert view["unprobed"] == "the outside has no address of its own: name one"


# What the probe says.


def test_probes() -> None:
    argv = ["probe", "udp", "10.0.0.2", "53", "1500", "50000"]
    assert probe_argv("udp", "10.0.0.2", 53, 1.5, 50000) == argv
    assert parse_probe(b"connected 1.204\n") == ProbeView(outcome=Outcome.CONNECTED, milliseconds=1.204)
    far = ProbeView(outcome=Outcome.UNREACHABLE, milliseconds=0.1, detail="Host is unreachable")
    assert parse_probe(b"unreachable 0.100 Host is unreachable\n") == far


@pytest.mark.parametrize(
    "text", [b"", b"connected", b"won 1.000\n", b"silent 1.000", b"silent 1.000 \xff\n", b"silent 1\n"]
)
def test_what_no_probe_says(text: bytes) -> None:
    with pytest.raises(Unavailable, match="makes no sense"):
        parse_probe(text)


async def test_the_gateway_sends_with_the_same_program(tmp_path: Path) -> None:
    class Here:
        def argv(self, argv: Sequence[str]) -> list[str]:
            return list(argv)

    here = cast(Namespace, Here())
    tool = tmp_path / "tool"
    tool.write_text('#!/bin/sh\n[ "$*" = "probe tcp 10.8.0.2 80 2000 7" ] && echo connected 1.000\n')
    tool.chmod(0o755)
    assert (await probe_gateway(here, tool, PACKET, 2.0, 7)).outcome is Outcome.CONNECTED
    with pytest.raises(Unavailable, match="no packet can be sent"):
        await probe_gateway(here, tool, PACKET, 2.0, 8)


# What firewalls say.


class PaperNft:
    """A guest's nft: its monitor tells a captured story up to the point that the table is at."""

    def __init__(self, fails: Literal["", "absent", "table", "silent", "removal"] = "") -> None:
        self.fails = fails
        self.loaded: list[str] = []
        self.ended = False
        begin, _, self._end = CAPTURED.partition("delete rule")
        self._told: asyncio.Queue[str] = asyncio.Queue()
        self._begin = begin

    async def exec(self, argv: Sequence[str], **_: object) -> "PaperProcess":
        if self.fails == "absent":
            raise NotFound("in the machine: /usr/sbin/nft: no such file")
        return PaperProcess(self, is_monitor="monitor" in argv)

    def load(self, text: str) -> int:
        self.loaded.append(text)
        removal = text.startswith("delete")
        if self.fails == ("removal" if removal else "table"):
            return 1
        if self.fails != "silent":
            self._told.put_nowait(f"delete rule{self._end}\n" if removal else self._begin)
        return 0

    async def tell(self) -> str:
        return await self._told.get()


class PaperProcess:
    """One run of it."""

    def __init__(self, nft: PaperNft, *, is_monitor: bool) -> None:
        self._nft = nft
        self._is_monitor = is_monitor
        self._input = b""

    async def write(self, data: bytes) -> None:
        self._input += data

    def close_stdin(self) -> None:
        """All is said."""

    async def collect(self) -> tuple[ExitStatus, bytes, bytes]:
        return ExitStatus(self._nft.load(self._input.decode()), None), b"", b"Error"

    def __aiter__(self) -> "PaperProcess":
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        return "stdout", (await self._nft.tell()).encode()

    async def __aenter__(self) -> "PaperProcess":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._nft.ended |= self._is_monitor


@asynccontextmanager
async def watching(nft: PaperNft) -> AsyncIterator[Watch]:
    async with open_watch(cast(Agent, nft), "inet", PACKET, patience=0.05) as watch:
        yield watch


async def test_a_firewall_is_watched_from_just_before_to_just_behind() -> None:
    nft = PaperNft()
    async with watching(nft) as watch:
        assert watch.works
        assert [text.split()[0] for text in nft.loaded] == ["add"]
    sighting = watch.find()
    assert watch.works
    assert sighting is not None
    assert sighting.names[0] == "rules[0] web for the office"
    assert nft.loaded[-1] == "delete table inet weft-trace\n"
    assert nft.ended


@pytest.mark.parametrize(("fails", "removed"), [("absent", 0), ("table", 1), ("silent", 1), ("removal", 1)])
async def test_firewalls_that_cannot_be_watched(
    fails: Literal["absent", "table", "silent", "removal"], removed: int
) -> None:
    nft = PaperNft(fails)
    async with watching(nft) as watch:
        pass
    assert not watch.works
    assert sum(text.startswith("delete") for text in nft.loaded) == removed
    assert nft.ended is (fails != "absent")


async def test_the_table_goes_also_when_nobody_waits_any_more() -> None:
    nft = PaperNft()

    async def watch_for_ever(begun: asyncio.Event) -> None:
        async with watching(nft):
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    task = asyncio.create_task(watch_for_ever(begun))
    await begun.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert nft.loaded[-1].startswith("delete")
    assert nft.ended
