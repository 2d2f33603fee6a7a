"""Fabric files applied to a fabric on paper, through the API: from nothing, again, changed, wrong, and taken down."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import make_app
from weft.api.progress import answer_with_steps
from weft.fabric.fabric import Fabric
from weft.fabric.reconciling.applying import Watch
from weft.fabric.reconciling.reconciler import Source, Wish
from weft.fabric.records.volume import VolumeRecord
from weft.model.machine import MachineSpec
from weft.model.steps import ApplyReport, Progress, StepReport
from weft.model.volume import VolumeSpec

FILE = """\
rooms:
  acme:
    description: a customer
    networks: {dmz: {subnet: 10.1.0.0/24, gateway: web}}
    machines:
      web: {image: base, networks: [dmz], state: stopped}
      db: {image: base, networks: [dmz], state: stopped, after: [web]}
"""


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    async with open_paper_fabric(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
async def http(fabric: Fabric) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(fabric, lambda _machines: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://weft/v1/files") as http:
        yield http


async def ask(http: httpx.AsyncClient, verb: str, text: str = FILE, **wish: Any) -> Any:
    answer = await http.post(f"/{verb}", json={"path": "/srv/weft.yaml", "text": text, **wish})
    if verb == "apply" and answer.status_code == 200:
        return [json.loads(line) for line in answer.text.splitlines()]
    return answer.json()


async def plan(http: httpx.AsyncClient, text: str = FILE, **wish: Any) -> list[str]:
    return [step["key"] for step in (await ask(http, "plan", text, **wish))["plan"]["steps"]]


async def apply(http: httpx.AsyncClient, text: str = FILE, **wish: Any) -> Any:
    *told, last = await ask(http, "apply", text, **wish)
    assert all("step" in message for message in told)
    assert "result" in last, last
    return last["result"]


async def drop_lan(fabric: Fabric, room: str) -> None:
    """What a room on paper has from the start, which no file ever named."""
    await fabric.room(room).site.shelves.networks.drop("lan")


def machines(fabric: Fabric, room: str = "acme") -> list[str]:
    return sorted(machine.name for machine in fabric.room(room).site.shelves.machines)


async def test_from_nothing_and_then_there_is_nothing_to_do(fabric: Fabric, http: httpx.AsyncClient) -> None:
    keys = await plan(http)
    assert keys == [f"acme/{key}/create" for key in ("room/acme", "network/dmz", "machine/web", "machine/db")]
    report = await apply(http)
    assert {step["progress"] for step in report["steps"]} == {"done"} and len(report["steps"]) == 4
    assert machines(fabric) == ["db", "web"]
    assert fabric.rooms.view(fabric.rooms.record("acme")).file == "/srv/weft.yaml"
    assert await plan(http) == []
    assert (await apply(http))["steps"] == []


async def test_every_step_is_told_of_as_it_begins_and_ends(http: httpx.AsyncClient) -> None:
    told = [message["step"] for message in (await ask(http, "apply"))[:-1]]
    assert [(one["step"]["name"], one["progress"]) for one in told[:2]] == [("acme", "begun"), ("acme", "done")]
    assert len(told) == 8 and "spec" not in told[0]["step"]


async def test_what_is_named_no_more_goes_and_what_no_file_named_stays(fabric: Fabric, http: httpx.AsyncClient) -> None:
    await apply(http)
    await fabric.room("acme").machines.create(MachineSpec(name="mine", image="base", nics=()))
    less = FILE[: FILE.index("      db:")]
    assert await plan(http, less) == ["acme/machine/db/remove"]
    await apply(http, less)
    assert machines(fabric) == ["mine", "web"]
    assert await plan(http, less) == []


async def test_everything_that_is_wrong_is_told_at_once(fabric: Fabric, http: httpx.AsyncClient) -> None:
    wrong = FILE.replace("10.1.0.0/24", "10.1.0.0/33").replace("image: base, networks: [dmz], state", "imag: x, state")
    problems = (await ask(http, "check", wrong))["problems"]
    assert len(problems) >= 3 and problems[0]["line"] == 4
    for verb in ("plan", "apply", "render"):
        answer = await ask(http, verb, wrong)
        error = answer[-1]["error"] if verb == "apply" else answer["error"]
        assert error["code"] == "invalid" and error["message"] == f"/srv/weft.yaml has {len(problems)} errors"
        lines = error["detail"].splitlines()
        assert len(lines) == len(problems) and all(line.startswith("/srv/weft.yaml:") for line in lines)
    assert [record.name for record in fabric.rooms.records()] == ["default"]


async def test_a_file_in_full(http: httpx.AsyncClient) -> None:
    text = (await ask(http, "render"))["text"]
    assert "mtu: 1500" in text and "cpus: 1" in text
    assert sorted(await plan(http, text)) == sorted(await plan(http))


async def test_what_differs_and_what_a_file_may_say(http: httpx.AsyncClient) -> None:
    await apply(http)
    answer = await ask(http, "diff", FILE.replace("state: stopped, after", "state: stopped, memory: 128M, after"))
    (difference,) = answer["differences"]
    assert (difference["name"], difference["sign"]) == ("db", "~")
    assert answer["text"].startswith("--- as it is\n+++ /srv/weft.yaml\n@@ room acme @@\n~ machine db\n")
    assert "rooms" in str((await http.get("/schema")).json())


async def test_what_is_there_as_a_file_is_nothing_to_do(http: httpx.AsyncClient) -> None:
    await apply(http)
    for exact in ("true", "false"):
        text = (await http.get("/export/acme", params={"exact": exact})).json()["text"]
        assert ("address" in text) == (exact == "true")
        assert await plan(http, text) == []
    assert (await http.get("/export/nope")).json()["error"]["code"] == "not-found"


async def test_a_step_that_fails_is_told_and_the_next_time_goes_on(fabric: Fabric, http: httpx.AsyncClient) -> None:
    running = FILE.replace(", state: stopped", "")
    (fabric.room("default").site.layout.home / "kernels" / "default" / "kernel.json").unlink()
    report = await apply(http, running)
    ends = {step["step"]["key"].removeprefix("acme/"): step["progress"] for step in report["steps"]}
    for name in ("web", "db"):
        assert ends.pop(f"machine/{name}/create") == "failed" and ends.pop(f"machine/{name}/start") == "skipped"
    assert set(ends.values()) == {"done"}
    assert {step["error"]["code"] for step in report["steps"] if step["error"]} == {"not-found"}
    assert sorted(await plan(http, running)) == [
        f"acme/machine/{name}/{verb}" for name in ("db", "web") for verb in ("create", "start")
    ]
    assert fabric.rooms.record("acme").applied


async def test_nothing_is_restarted_or_lost_unless_somebody_agrees(fabric: Fabric, http: httpx.AsyncClient) -> None:
    await apply(http, FILE + "    volumes: {}\n")
    shelf = fabric.room("acme").site.shelves.volumes
    await shelf.save(VolumeRecord(spec=VolumeSpec(name="data"), created=1.0, made=True))
    with_data = FILE + "    volumes: {data: 1G}\n"
    await apply(http, with_data)
    (error,) = await ask(http, "apply", agreed=[])
    assert error["error"]["code"] == "wrong-state" and "lose all that is on volume data" in error["error"]["message"]
    assert shelf.find("data")
    (key,) = await plan(http)
    await apply(http, agreed=[key])
    assert not shelf.find("data")


async def test_down_leaves_volumes_and_what_is_somebody_s_own(fabric: Fabric, http: httpx.AsyncClient) -> None:
    await apply(http)
    shelf = fabric.room("acme").site.shelves.volumes
    await shelf.save(VolumeRecord(spec=VolumeSpec(name="data", size=1 << 30), created=1.0, made=True))
    await apply(http, FILE + "    volumes: {data: 1G}\n")
    await drop_lan(fabric, "acme")
    assert {why for step in (await apply(http, "", down=True))["steps"] for why in step["step"]["why"]} == {
        "the file made it"
    }
    assert machines(fabric) == [] and shelf.find("data")
    assert await plan(http, "", down=True) == []
    await apply(http, "", down=True, volumes=True)
    assert [record.name for record in fabric.rooms.records()] == ["default"]


async def test_one_room_of_several(fabric: Fabric, http: httpx.AsyncClient) -> None:
    both = FILE + FILE.removeprefix("rooms:\n").replace("acme", "bolt")
    await apply(http, both, rooms=["bolt"])
    assert [record.name for record in fabric.rooms.records()] == ["default", "bolt"]
    await apply(http, both)
    await drop_lan(fabric, "bolt")
    assert set(await plan(http)) == {
        f"bolt/{key}/remove" for key in ("room/bolt", "network/dmz", "machine/web", "machine/db")
    }
    assert await plan(http, rooms=["acme"]) == []
    error = (await ask(http, "plan", rooms=["nope"]))["error"]
    assert error["code"] == "not-found" and "no room 'nope'" in error["message"]


async def test_one_at_a_time_in_a_room(fabric: Fabric) -> None:
    steps: list[StepReport] = []
    watch = Watch(steps.append, lambda _key, _text, _fraction: None)
    source = Source("/srv/weft.yaml", FILE)
    reports = await asyncio.gather(*(fabric.reconciler.apply(source, Wish(), None, watch) for _ in range(3)))
    assert sorted(len(report.steps) for report in reports) == [0, 0, 4]


async def test_stopped_in_the_middle_the_next_one_goes_on(fabric: Fabric, http: httpx.AsyncClient) -> None:
    def tell(report: StepReport) -> None:
        if report.step.name == "dmz" and report.progress is Progress.DONE:
            watch.stop.set()

    watch = Watch(tell, lambda _key, _text, _fraction: None)
    report = await fabric.reconciler.apply(Source("/srv/weft.yaml", FILE), Wish(), None, watch)
    assert report.stopped and machines(fabric) == []
    assert await plan(http, "rooms: {acme: {description: a customer}}") == ["acme/network/dmz/remove"]
    await apply(http)
    assert machines(fabric) == ["db", "web"]


async def test_a_client_that_hangs_up_stops_it_and_what_was_begun_is_done() -> None:
    over = asyncio.Event()

    async def work(watch: Watch) -> ApplyReport:
        watch.murmur("key", "halfway", 0.5)
        await watch.stop.wait()
        over.set()
        return ApplyReport(seconds=0.0)

    lines = cast(Any, answer_with_steps(work).body_iterator)
    assert json.loads(await anext(lines)) == {"key": "key", "progress": "halfway", "fraction": 0.5}
    await lines.aclose()
    async with asyncio.timeout(5):
        await over.wait()
