"""Numbers for Prometheus: what is measured, how it is written, and how it is served."""

import asyncio
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.unit.fake_daemon import FakeDaemon, Reply, Request
from tests.unit.paper_fabric import open_paper_fabric
from tests.unit.terminals import weft

from weft.api.app import make_app
from weft.api.metrics import host, ledger, machines, rooms
from weft.api.metrics.exposition import accept_of, dump_sheet
from weft.api.metrics.sheet import Family, Kind, Sheet
from weft.api.metrics.survey import list_families
from weft.cli.exporter import TYPES, Exporter, parse_listen
from weft.fabric.fabric import Fabric
from weft.fabric.live import Live, new_future
from weft.fabric.metering import Metering, Reading, RoomReading
from weft.fabric.records.machine import ElasticRecord, MachineRecord, NicRecord
from weft.fabric.records.record import Stamp
from weft.guest.facts import Facts, Pressure
from weft.host.links import Traffic
from weft.host.pids import ProcessId
from weft.host.usage import ProcessUsage
from weft.model.elastic import CpuMode, Resource, ScaleRequest, ScaleState
from weft.model.errors import Invalid, Unavailable, WeftError
from weft.model.image import NicRole
from weft.model.machine import MachineSpec, State

FACTS = Facts(
    memory_total=100,
    memory_available=40,
    memory_ballooned=20,
    processes=7,
    oom_kills=1,
    pressure={(what, "some"): Pressure(1, 2, 3, 4_000_000) for what in ("cpu", "memory", "io")},
)
ODD = 'a "b" \\ c\nd'


def make_machine(name: str = "web", **more: Any) -> MachineRecord:
    spec = MachineSpec(name=name, image="base", nics=())
    nic = NicRecord(mac="52:54:00:00:00:01", role=NicRole.NETWORK, network="lan")
    made = MachineRecord(
        spec=spec, slot=1, uuid="u", created=1.0, kernel="default", memory=64 << 20, nics=(nic,), started=5.0
    )
    return cast(MachineRecord, made.with_(state=State.RUNNING, restarts=2, **more))


def make_reading(**more: Any) -> Reading:
    values: dict[str, Any] = {
        "machine": make_machine(),
        "usage": ProcessUsage(1.5, 1000, 10, 20),
        "cpu_seconds": 1.75,
        "additional": 700,
        "facts": FACTS,
        "traffic": {0: Traffic(1, 2, 3, 4)},
        "healthy": True,
    }
    return Reading(**(values | more))


def fill(*readings: Reading, asked: bool = True) -> dict[tuple[str, ...], float]:
    """All samples, as they come out of the text, by name and values of labels in the order of their names."""
    sheet = Sheet.of([*rooms.FAMILIES, *machines.FAMILIES])
    found = [RoomReading("default", True, readings, 9.0, {"active": 1}), RoomReading("broken", False)]
    rooms.fill(sheet, found)
    machines.fill(sheet, found, asked=asked)
    return read(dump_sheet(sheet, "").body.decode())


def read(text: str) -> dict[tuple[str, ...], float]:
    samples = [sample for family in parse_text(text) for sample in family.samples]
    return {(sample.name, *map(str, dict(sorted(sample.labels.items())).values())): sample.value for sample in samples}


# What there is


def test_names_are_as_prometheus_wants_them() -> None:
    families = list_families()
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert re.fullmatch(r"weft_[a-z]+(_[a-z]+)*", family.name)
        assert family.meaning.endswith(".")
        assert not re.search(r"_(ms|kb|mb|percent|milliseconds)(_|$)", family.name), "base units"
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)


def test_every_family_of_machines_and_rooms_has_samples() -> None:
    names = {name for name, *_ in fill(make_reading())}
    assert {family.name for family in (*machines.FAMILIES, *rooms.FAMILIES)} <= names


def test_numbers_of_a_machine() -> None:
    samples = fill(make_reading())
    whose = ("base", "web")
    assert samples["weft_machine_cpu_seconds_total", *whose, "default"] == 1.75
    assert samples["weft_machine_memory_bytes", *whose, "default"] == 80
    assert samples["weft_machine_memory_used_bytes", *whose, "default"] == 40
    assert samples["weft_machine_memory_granted_bytes", *whose, "default"] == 64 << 20
    assert samples["weft_machine_waiting_seconds_total", *whose, "io", "default"] == 4.0
    nic = (*whose, "lan", "0", "default")
    assert samples["weft_machine_network_receive_bytes_total", *nic] == 2
    assert samples["weft_machine_network_transmit_bytes_total", *nic] == 1
    assert samples["weft_machine_network_receive_frames_total", *nic] == 4
    assert samples["weft_machine_network_transmit_frames_total", *nic] == 3
    assert samples["weft_machine_restarts_total", *whose, "default"] == 2


def test_what_nobody_could_say_is_not_there() -> None:
    stopped = Reading(make_machine("db").with_(state=State.STOPPED))
    samples = fill(make_reading(facts=None, additional=None, healthy=None), stopped)
    assert samples["weft_machine_agent_up", "base", "web", "default"] == 0
    assert samples["weft_machine_running", "base", "db", "default"] == 0
    names = {name for name, *_ in samples}
    assert "weft_machine_healthy" not in names and "weft_machine_memory_additional_bytes" not in names
    assert [labels for name, *labels in samples if name == "weft_machine_cpus_granted"] == [["base", "web", "default"]]
    assert "weft_machine_agent_up" not in {name for name, *_ in fill(make_reading(facts=None), asked=False)}


def test_numbers_of_a_room() -> None:
    request = ScaleRequest(resource=Resource.MEMORY, wanted=1, by="policy", asked=1, deadline=2,
                           state=ScaleState.REFUSED)  # fmt: skip
    elastic = ElasticRecord(boot=1, region=2, mode=CpuMode.PARKED, memory=128 << 20, cpus=3, requests=(request,))
    samples = fill(make_reading(machine=make_machine(elastic=elastic)), make_reading(machine=make_machine("db")))
    assert samples["weft_room_up", "broken"] == 0
    assert samples["weft_room_machines", "default", "running"] == 2
    assert samples["weft_room_machines", "default", "failed"] == 0
    assert samples["weft_room_inserts", "default", "active"] == 1
    assert samples["weft_room_cpus_granted", "default"] == 4
    assert samples["weft_room_memory_granted_bytes", "default"] == 192 << 20
    assert samples["weft_room_scale_requests", "memory", "default", "refused"] == 1
    assert samples["weft_room_cpu_seconds_total", "default"] == 9


def test_a_sample_that_is_not_declared_is_a_mistake() -> None:
    sheet = Sheet.of([Family("weft_x", "X.", ("a",))])
    for name, labels in (("weft_y", {"a": 1}), ("weft_x", {}), ("weft_x", {"a": 1, "b": 2})):
        with pytest.raises(KeyError):
            sheet.add(name, 1.0, **labels)


def test_the_guide_names_what_there_is() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "monitoring.md").read_text()
    named = set(re.findall(r"\bweft_[a-z_]+", guide))
    assert len(named) > 5
    assert named <= {family.name for family in list_families()}


# How it is written


@pytest.mark.parametrize("form", ["text", "openmetrics"])
def test_both_formats_can_be_read(form: str) -> None:
    sheet = Sheet.of([Family("weft_x_total", f"Has {ODD}.", ("name",)), Family("weft_y", "Nothing."),
                      Family("weft_z_bytes", "Large.")])  # fmt: skip
    sheet.add("weft_x_total", 2**53 - 1, name=ODD)
    sheet.add("weft_z_bytes", 0.1)
    body, media_type = dump_sheet(sheet, accept_of(form))
    assert media_type.startswith(TYPES[form].partition(";")[0])
    parse = parse_openmetrics if form == "openmetrics" else parse_text
    families = {family.name: family for family in parse(body.decode())}
    (sample,) = families["weft_x"].samples
    assert (sample.name, sample.labels, sample.value) == ("weft_x_total", {"name": ODD}, 2**53 - 1)
    assert families["weft_x"].type == "counter"
    assert families["weft_z_bytes"].samples[0].value == 0.1
    assert (families["weft_y"].type, families["weft_y"].samples) == ("gauge", [])
    assert "process_cpu_seconds_total" in body.decode(), "the daemon's own"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", TYPES["text"]),
        ("*/*", TYPES["text"]),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TYPES["text"]),
        ("application/openmetrics-text;version=0.0.1,text/plain;q=0.5", TYPES["text"]),
        ("application/openmetrics-text", TYPES["openmetrics"]),
    ],
)
def test_who_accepts_what_gets_it(accept: str, media_type: str) -> None:
    assert dump_sheet(Sheet.of([]), accept).media_type == media_type


# What is measured


class Agent:
    """An agent that answers, or does not."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.asked = 0

    async def facts(self, timeout: float) -> Facts:
        self.asked += 1
        if self.silent:
            await asyncio.sleep(timeout)
            raise Unavailable("it does not answer")
        return FACTS


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    async with open_paper_fabric(tmp_path / "home") as opened:
        yield opened


async def run_machine(fabric: Fabric, name: str, agent: Agent) -> None:
    """A machine on record as running, in this very process, with this agent."""
    room = fabric.default
    record = await room.machines.create(MachineSpec(name=name, image="base", nics=()))
    ours = ProcessId.find(os.getpid())
    assert ours
    await room.site.shelves.machines.save(record.with_(state=State.RUNNING, qemu=Stamp.of(ours)))
    idle = asyncio.get_running_loop().create_future()
    live = Live(cast(Any, None), cast(Any, idle), cast(Any, idle), new_future())
    live.agent = cast(Any, agent)
    room.runs._live[name] = live


async def measure(fabric: Fabric, *, ask: bool = True) -> Mapping[str, Reading]:
    (room,) = await Metering(fabric).read(ask=ask)
    return {reading.machine.name: reading for reading in room.machines}


async def test_guests_are_asked_at_once_and_a_silent_one_holds_up_nobody(fabric: Fabric) -> None:
    agents = {f"m{number}": Agent(silent=number > 0) for number in range(5)}
    for name, agent in agents.items():
        await run_machine(fabric, name, agent)
    begin = asyncio.get_running_loop().time()
    readings = await measure(fabric)
    assert asyncio.get_running_loop().time() - begin < 5, "one after the other would take as long"
    assert {name: reading.facts for name, reading in readings.items()} == {"m0": FACTS} | dict.fromkeys(
        ("m1", "m2", "m3", "m4")
    )
    assert all(reading.usage and reading.usage.resident > 1 << 20 for reading in readings.values())
    assert all((reading.additional or 0) > 1 << 20 for reading in readings.values())


async def test_a_guest_that_was_just_asked_sleeps_on(fabric: Fabric) -> None:
    await run_machine(fabric, "web", agent := Agent())
    assert (await measure(fabric, ask=False))["web"].facts is None
    assert agent.asked == 0
    assert (await measure(fabric))["web"].facts == FACTS
    assert (await measure(fabric))["web"].facts == FACTS
    assert agent.asked == 1
    (point,) = fabric.default.recording.view("web", 0, 1e6).points
    assert point.memory_used == 40, "what was heard is part of its history"


async def test_the_route(fabric: Fabric) -> None:
    await run_machine(fabric, "web", Agent())
    transport = httpx.ASGITransport(make_app(fabric, lambda _machines: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
        answer = await http.get("/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES["text"])
        assert read(answer.text)["weft_machine_memory_used_bytes", "base", "web", "default"] == 40
        assert {family.name for family in host.FAMILIES} <= {name for name, *_ in read(answer.text)}
        assert {family.name for family in ledger.FAMILIES} <= {name for name, *_ in read(answer.text)}
        answer = await http.get("/metrics", params={"format": "openmetrics", "ask": "no"})
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")
        assert (await http.get("/metrics", params={"format": "xml"})).status_code == 422


# How it is served


@contextmanager
def serve(ask: Any) -> Iterator[Exporter]:
    with Exporter("127.0.0.1", 0, ask) as exporter:
        thread = threading.Thread(target=exporter.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield exporter
        finally:
            exporter.shutdown()
            thread.join()


def get(exporter: Exporter, path: str = "/metrics", accept: str = "*/*") -> tuple[int, str, bytes]:
    connection = HTTPConnection("127.0.0.1", exporter.server_address[1], timeout=10)
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type", ""), answer.read()


def test_the_exporter_serves_metrics_and_nothing_else() -> None:
    with serve(str.encode) as exporter:
        assert get(exporter) == (200, TYPES["text"], b"text")
        wanted = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        assert get(exporter, "/metrics?x=1", wanted) == (200, TYPES["openmetrics"], b"openmetrics")
        assert [get(exporter, path)[0] for path in ("/", "/v1/machines", "/metrics/x")] == [404, 404, 404]


def test_a_daemon_that_is_away_is_told_of() -> None:
    def fail(_format: str) -> bytes:
        raise Unavailable("no daemon runs")

    with serve(fail) as exporter:
        assert get(exporter)[::2] == (503, b"unavailable: no daemon runs\n")


def test_scrapes_do_not_pile_up() -> None:
    begun, let_go = threading.Semaphore(0), threading.Event()

    def wait(_format: str) -> bytes:
        begun.release()
        let_go.wait(10)
        return b""

    with serve(wait) as exporter:
        waiting = [threading.Thread(target=get, args=(exporter,)) for _ in range(4)]
        for thread in waiting:
            thread.start()
        for _ in waiting:
            assert begun.acquire(timeout=10)
        assert get(exporter)[0] == 503
        let_go.set()
        for thread in waiting:
            thread.join()
        assert get(exporter)[0] == 200


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:9469", ("127.0.0.1", 9469)),
        ("[::1]:0", ("::1", 0)),
        (":9469", ("127.0.0.1", 9469)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_where_to_listen(text: str, place: tuple[str, int]) -> None:
    assert parse_listen(text) == place


@pytest.mark.parametrize("text", ["", "9469", "host:", "host:x", "host:65536", "host:-1", "host:²"])
def test_where_nobody_can_listen(text: str) -> None:
    with pytest.raises(Invalid, match="no address"):
        parse_listen(text)


def test_an_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(WeftError, match="nobody can listen at"):
        Exporter("127.0.0.1", taken.getsockname()[1], str.encode)


# At the command line


@pytest.fixture
def env(tmp_path: Path, fake: FakeDaemon) -> dict[str, str]:
    def answer(request: Request) -> Reply:
        return Reply(f"{request.query['format']} {request.query['ask']}\n".encode(), type="text/plain")

    fake.on("GET", "/metrics", answer)
    return os.environ | {"WEFT_HOME": str(tmp_path)}


def test_metrics_are_printed(env: dict[str, str]) -> None:
    assert weft(env, "metrics").stdout == b"text true\n"
    assert (
        weft(env, "--room", "acme", "metrics", "--no-ask", "--format", "openmetrics").stdout == b"openmetrics false\n"
    )


def test_metrics_in_a_file(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "weft.prom"
    assert weft(env, "metrics", "-o", str(file)).returncode == 0
    assert file.read_bytes() == b"text true\n"
    refused = weft(env, "metrics", "-o", str(tmp_path / "absent" / "weft.prom"))
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.startswith(b"weft: unavailable: ") and refused.stderr.count(b"\n") == 1
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["weft.prom"]


@pytest.mark.parametrize("options", [("--listen", "nowhere"), ("--listen", ":1", "-o", "x")])
def test_ways_that_do_not_go_together(env: dict[str, str], options: tuple[str, ...]) -> None:
    refused = weft(env, "metrics", *options)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.startswith(b"weft: invalid: ")
