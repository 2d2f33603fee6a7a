"""The API on a fabric on paper: what it answers, what it refuses, and that a refusal changes nothing."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import make_app
from weft.fabric.fabric import Fabric
from weft.model.errors import ERRORS
from weft.model.machine import State


@dataclass(frozen=True, slots=True)
class Api:
    """Requests to the application, without a socket between. `ended` is what shutdowns were asked for."""

    http: httpx.AsyncClient
    fabric: Fabric
    ended: list[bool]

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        answer = await self.http.request(method, f"/v1{path}", json=body)
        return answer.status_code, answer.json() if answer.content else None

    async def make(self, name: str, *networks: str) -> Any:
        """A machine that is not started."""
        spec = {"name": name, "image": "base", "nics": [{"network": network} for network in networks]}
        status, view = await self.ask("POST", "/machines", {"spec": spec, "start": False})
        assert status == 201, view
        return view

    async def refuses(self, method: str, path: str, body: Any = None) -> str:
        """The code of an error, which has its status and its shape."""
        status, answer = await self.ask(method, path, body)
        error = answer["error"]
        assert set(error) == {"code", "message", "hint", "detail"}
        assert status == ERRORS[error["code"]].http_status or (status, error["code"]) == (405, "not-found"), answer
        assert "\n" not in error["message"]
        return str(error["code"])


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        ended: list[bool] = []
        transport = httpx.ASGITransport(make_app(fabric, ended.append))
        async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
            yield Api(http, fabric, ended)


def machine(**spec: Any) -> dict[str, Any]:
    return {"spec": {"name": "new", "image": "base", "nics": [], **spec}, "start": False}


REFUSED: list[tuple[str, str, Any, str]] = [
    ("GET", "/machines/nobody", None, "not-found"),
    ("GET", "/machines/nobody/logs", None, "not-found"),
    ("GET", "/machines/nobody/wait", None, "not-found"),
    ("GET", "/networks/nothing", None, "not-found"),
    ("GET", "/inserts/nothing", None, "not-found"),
    ("GET", "/images/nothing", None, "not-found"),
    ("GET", "/images/nothing/schema", None, "not-found"),
    ("GET", "/images/base/sbom", None, "not-found"),
    ("GET", "/ports?machine=nobody", None, "not-found"),
    ("GET", "/ports?network=nowhere", None, "not-found"),
    ("GET", "/networks/nowhere/sniff", None, "not-found"),
    ("POST", "/inserts", {"spec": {"appliance": "sniffer", "before": "network:nowhere"}}, "not-found"),
    ("GET", "/nonsense", None, "not-found"),
    ("PUT", "/machines", None, "not-found"),
    ("GET", "/machines?all=perhaps", None, "invalid"),
    ("GET", "/events?since=yesterday", None, "invalid"),
    ("POST", "/machines", None, "invalid"),
    ("POST", "/machines", [], "invalid"),
    ("POST", "/machines", {"spec": []}, "invalid"),
    ("POST", "/machines", machine() | {"stop": True}, "invalid"),
    ("POST", "/machines", machine(colour="blue"), "invalid"),
    ("POST", "/machines", machine(name="New"), "invalid"),
    ("POST", "/machines", machine(name=7), "invalid"),
    ("POST", "/machines", machine(memory=1), "invalid"),
    ("POST", "/machines", machine(cpus="many"), "invalid"),
    ("POST", "/machines", machine(nics=[{}] * 5), "invalid"),
    ("POST", "/machines", machine(image="nothing"), "not-found"),
    ("POST", "/machines", machine(kernel="nothing"), "not-found"),
    ("POST", "/machines", machine(nics=[{"network": "nothing"}]), "not-found"),
    ("POST", "/machines", machine(name="web"), "exists"),
    ("POST", "/networks", {"name": "lan"}, "exists"),
    ("POST", "/networks", {"name": "Lan"}, "invalid"),
    ("POST", "/networks", {"name": "dmz", "subnet": "10.0.0.0/24"}, "invalid"),
    ("POST", "/networks", {"name": "dmz", "subnet": "nowhere"}, "invalid"),
    ("POST", "/networks", {"name": "dmz", "colour": "blue"}, "invalid"),
    ("DELETE", "/networks/lan", None, "wrong-state"),
    ("DELETE", "/networks/nothing", None, "not-found"),
    ("DELETE", "/machines/nobody", None, "not-found"),
    ("DELETE", "/images/base", None, "wrong-state"),
    ("DELETE", "/kernels/default", None, "wrong-state"),
    ("DELETE", "/kernels/nothing", None, "not-found"),
    ("POST", "/inserts", {"spec": {"appliance": "sniffer"}}, "invalid"),
    ("POST", "/inserts", {"spec": {"appliance": "sniffer", "before": "web:x"}}, "invalid"),
    ("POST", "/inserts", {"spec": {"appliance": "sniffer", "before": "web", "memory": 1}}, "invalid"),
    ("POST", "/inserts", {"spec": {"appliance": "sniffer", "before": "web", "mode": "routed"}}, "invalid"),
    ("POST", "/inserts", {"spec": {"appliance": "base", "before": "web"}}, "invalid"),
    ("POST", "/inserts", {"spec": {"appliance": "sniffer", "before": "web:1"}}, "not-found"),
    ("POST", "/inserts", {"spec": {"appliance": "nothing", "before": "web"}}, "not-found"),
    ("POST", "/inserts", {"spec": {"appliance": "sniffer", "before": "web", "name": "web"}}, "exists"),
    ("PATCH", "/inserts/nothing", {"fail": "open"}, "not-found"),
    ("PATCH", "/inserts/nothing", {"fail": "ajar"}, "invalid"),
    ("DELETE", "/inserts/nothing", None, "not-found"),
    ("POST", "/machines/nobody/start", {}, "not-found"),
    ("POST", "/machines/web/stop", {"timeout": -1}, "invalid"),
    ("POST", "/shutdown", {"machines": "all"}, "invalid"),
]


async def test_what_is_wrong_is_refused_and_changes_nothing(api: Api) -> None:
    await api.make("web", "lan")
    paths = ("/machines?all=true", "/networks", "/inserts", "/ports")
    before = [await api.ask("GET", path) for path in paths]
    links = await api.fabric.default.site.links.list_links()
    told = {f"{method} {path} {body}": await api.refuses(method, path, body) for method, path, body, _ in REFUSED}
    wanted = {f"{method} {path} {body}": code for method, path, body, code in REFUSED}
    assert told == wanted
    assert [await api.ask("GET", path) for path in paths] == before
    assert await api.fabric.default.site.links.list_links() == links
    assert api.ended == []


async def test_a_machine_is_given_its_place_and_leaves_nothing(api: Api) -> None:
    links = api.fabric.default.site.links
    before = set(await links.list_links())
    web, client = await api.make("web", "lan"), await api.make("client", "lan", "lan")
    assert [nic["address"] for nic in (*web["networks"], *client["networks"])] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert web["state"] == State.CREATED and web["memory"] == 64 << 20 and web["kernel"] == "default"
    assert set(await links.list_links()) - before == {
        *("b1.0", "p1.0", "t1.0"),
        *("b2.0", "p2.0", "t2.0", "b2.1", "p2.1", "t2.1"),
    }
    for name in ("web", "client"):
        assert await api.ask("DELETE", f"/machines/{name}") == (204, None)
    assert set(await links.list_links()) == before
    assert await api.ask("GET", "/machines?all=true") == (200, [])


async def test_a_full_network_takes_nobody_and_half_a_machine_is_none(api: Api) -> None:
    for number in range(5):
        await api.make(f"m{number}", "lan")
    links = set(await api.fabric.default.site.links.list_links())
    assert await api.refuses("POST", "/machines", machine(nics=[{"network": "lan"}])) == "no-room"
    assert set(await api.fabric.default.site.links.list_links()) == links
    assert len((await api.ask("GET", "/machines?all=true"))[1]) == 5
    await api.ask("DELETE", "/machines/m2")
    assert (await api.make("next", "lan"))["networks"][0]["address"] == "10.0.0.4"


async def test_a_machine_without_a_name_gets_one(api: Api) -> None:
    names = [(await api.ask("POST", "/machines", machine(name="")))[1]["name"] for _ in range(2)]
    assert names == ["base-1", "base-2"]


async def test_machines_that_do_not_run_are_shown_when_asked_for(api: Api) -> None:
    await api.make("web", "lan")
    assert await api.ask("GET", "/machines") == (200, [])
    _, (view,) = await api.ask("GET", "/machines?all=true")
    assert await api.ask("GET", "/machines/web") == (200, view)
    assert await api.ask("GET", "/machines/web/wait") == (200, view)
    _, (gateway, port) = await api.ask("GET", "/ports")
    assert (port["port"], port["network"], port["chain"]) == ("web:0", "lan", [])
    assert (gateway["port"], gateway["machine"], gateway["network"]) == ("network:lan", None, "lan")
    assert await api.ask("GET", "/ports?machine=web") == (200, [port])
    assert await api.ask("GET", "/ports?network=lan") == (200, [gateway])


async def test_events_are_told_in_order_and_from_where_one_was(api: Api) -> None:
    await api.make("web", "lan")
    await api.ask("DELETE", "/machines/web")
    answer = await api.http.get("/v1/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [(event["kind"], event["subject"]) for event in events] == [
        ("machine.created", "web"),
        ("machine.removed", "web"),
    ]
    later = await api.http.get(f"/v1/events?since={events[0]['id']}")
    assert later.text.count("event: ") == 1


async def test_events_are_filtered_by_time_kind_and_name(api: Api) -> None:
    for name in ("web", "db"):
        await api.make(name, "lan")
        await api.ask("DELETE", f"/machines/{name}")

    async def ask(**query: Any) -> list[str]:
        answer = await api.http.get("/v1/events", params=query)
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        return [f"{event['subject']} {event['kind'].partition('.')[2]}" for event in events]

    everything = ["web created", "web removed", "db created", "db removed"]
    assert await ask() == await ask(kind="machine") == await ask(machine=["web", "db"]) == everything
    assert await ask(kind="machine.created") == ["web created", "db created"]
    assert await ask(kind="machine.removed", machine="db") == ["db removed"]
    assert await ask(kind=["network", "machin"]) == []
    moments = [event.time for event in api.fabric.default.site.events.since(0)]
    assert await ask(after=moments[1], until=moments[2]) == everything[1:3]
    # The clock on paper is far behind ours, so the end has been reached.
    assert await ask(follow=True, after=moments[2], until=moments[3]) == everything[2:]


async def test_a_shutdown_is_passed_on(api: Api) -> None:
    assert (await api.ask("POST", "/shutdown", {"machines": True}))[0] == 202
    assert (await api.ask("POST", "/shutdown", {}))[0] == 202
    assert api.ended == [True, False]


async def test_every_route_says_what_it_does(api: Api) -> None:
    document = (await api.http.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route.get("description"), f"{method} {path}"
