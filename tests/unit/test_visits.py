"""What a machine may ask that was given a part of the file tree: of the rules, and of the API on paper."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import make_app
from weft.model.errors import Forbidden, Invalid, NotFound, WeftError
from weft.model.expose import VISIT_HEADER, ExposeSpec, TreePart, Visit, parse_visit
from weft.model.foreign import ForeignSpec, Plan9Spec
from weft.model.machine import MachineSpec
from weft.model.network import NetworkSpec
from weft.model.options import parse_expose
from weft.model.trace import TraceRequest
from weft.plan.visits import Asked, check_machine, check_network, check_request, check_trace


def visit(part: str, room: str = "acme", machine: str = "web") -> Visit:
    return Visit(room, machine, ExposeSpec(**parse_expose(part)))


def outcome(who: Visit, request: str, *, session: bool = False) -> str:
    method, target = request.split()
    parts = urlsplit(target)
    path = tuple(parts.path.split("/")[1:])
    try:
        check_request(who, Asked(method, path, parse_qs(parts.query), session))
    except WeftError as err:
        return err.code
    return "ok"


@given(st.sampled_from(TreePart), st.booleans())
def test_a_visit_is_one_word(part: TreePart, read_only: bool):
    who = Visit("acme", "web", ExposeSpec(part=part, read_only=read_only))
    assert parse_visit(str(who)) == who


@pytest.mark.parametrize("text", ["", "acme", "acme/web", "acme/web/", "acme/web/all", "/web/room", "acme//room"])
def test_what_is_no_visit(text: str):
    with pytest.raises(Invalid):
        parse_visit(text)


@pytest.mark.parametrize("text", ["", "rooms", "room:", "room:x", "Room"])
def test_what_is_no_part(text: str):
    with pytest.raises(Invalid, match="no part of the file tree"):
        parse_expose(text)


def test_no_part_is_given_twice():
    given = [{"part": "room"}, {"part": "room", "read_only": True}]
    with pytest.raises(Invalid, match="part room of the file tree is given twice"):
        MachineSpec.model_validate({"name": "web", "image": "base", "expose": given})


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("GET /v1/rooms/acme", "ok"),
        ("PATCH /v1/rooms/acme", "not-found"),
        ("DELETE /v1/rooms/acme", "not-found"),
        ("POST /v1/rooms/acme/fork", "not-found"),
        ("GET /v1/rooms/acme/machines?all=true", "ok"),
        ("GET /v1/rooms/acme/machines?all_rooms=true", "not-found"),
        ("GET /v1/rooms/acme/events?all_rooms=false", "not-found"),
        ("POST /v1/rooms/acme/machines", "ok"),
        ("DELETE /v1/rooms/acme/networks/lan", "ok"),
        ("POST /v1/rooms/acme/snapshots/import", "not-found"),
        ("GET /v1/rooms/acme/templates", "not-found"),
        ("GET /v1/rooms/acme/pools/docker.io/library/nginx", "ok"),
        ("POST /v1/rooms/acme/machines/db/exec", "ok"),
        ("POST /v1/rooms/acme/machines/db/unheard-of", "not-found"),
        ("POST /v1/rooms/acme/networks/lan/unheard-of", "not-found"),
        ("POST /v1/rooms/acme/unheard-of", "not-found"),
        ("GET /v1/rooms/other/machines", "not-found"),
        ("GET /v1/rooms", "not-found"),
        ("GET /v1/machines", "not-found"),
        ("POST /v1/shutdown", "not-found"),
        ("GET /v1/images", "not-found"),
        ("POST /v1/files/apply", "not-found"),
        ("GET /metrics", "not-found"),
        ("GET /v1//rooms/other/machines", "not-found"),
    ],
)
def test_a_room_is_what_is_in_it(request_: str, code: str):
    assert outcome(visit("room"), request_) == code


WORDS = ["v1", "rooms", "acme", "other", "machines", "web", "db", "exec", "fork", "events", "files", "export", "..", ""]


@given(st.lists(st.sampled_from(WORDS), max_size=7), st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]))
def test_no_way_leads_out(words: list[str], method: str):
    """Whatever is asked: it is below the room's own path, and for who has itself only, below its own."""
    path = "/".join(words)
    if outcome(visit("room"), f"{method} /{path}") == "ok":
        assert words[:3] == ["v1", "rooms", "acme"] or (method, words) == ("GET", ["v1", "files", "export", "acme"])
    if outcome(visit("machine"), f"{method} /{path}") == "ok":
        assert words[:5] == ["v1", "rooms", "acme", "machines", "web"]


def test_the_default_room_has_two_names_and_no_more():
    here = visit("room", room="default")
    assert outcome(here, "GET /v1/machines") == "ok"
    assert outcome(here, "GET /v1/rooms/default/machines") == "ok"
    assert outcome(here, "GET /v1/rooms/acme/machines") == "not-found"
    assert outcome(here, "GET /v1/images") == "not-found"
    assert outcome(here, "GET /v1/host") == "not-found"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("GET /v1/rooms/acme/machines/web", "ok"),
        ("POST /v1/rooms/acme/machines/web/stop", "ok"),
        ("PATCH /v1/rooms/acme/machines/web", "not-found"),
        ("DELETE /v1/rooms/acme/machines/web", "not-found"),
        ("POST /v1/rooms/acme/machines/web/fork", "not-found"),
        ("GET /v1/rooms/acme/machines/db", "not-found"),
        ("GET /v1/rooms/acme/machines", "not-found"),
        ("GET /v1/rooms/acme/ports?machine=web", "ok"),
        ("GET /v1/rooms/acme/ports", "not-found"),
        ("GET /v1/rooms/acme/stats?machine=web&machine=db", "not-found"),
        ("GET /v1/rooms/acme/events?machine=web&follow=true", "ok"),
        ("GET /v1/rooms/acme/events?machine=web&all_rooms=true", "not-found"),
        ("POST /v1/rooms/acme/inserts", "not-found"),
        ("GET /v1/rooms/acme", "not-found"),
    ],
)
def test_a_machine_is_itself(request_: str, code: str):
    assert outcome(visit("machine"), request_) == code


def test_who_looks_changes_nothing():
    looker = visit("room:ro")
    assert outcome(looker, "GET /v1/rooms/acme/machines/db/logs") == "ok"
    assert outcome(looker, "POST /v1/rooms/acme/machines/db/stop") == "forbidden"
    assert outcome(looker, "GET /v1/rooms/acme/machines/db/sniff") == "forbidden"
    assert outcome(looker, "GET /v1/rooms/acme/machines/db/console", session=True) == "forbidden"
    assert outcome(visit("fabric:ro"), "POST /v1/shutdown") == "forbidden"
    assert outcome(visit("fabric"), "POST /v1/shutdown") == "ok"


BEYOND: list[dict[str, Any]] = [
    {"mounts": [{"kind": "host", "source": "/etc", "target": "/x"}]},
    {"publish": [{"guest_port": 80}]},
    {"floppy": "/root/f.img"},
    {"expose": [{"part": "machine", "read_only": True}]},
    {"image": "foreign", "profile": "q35", "foreign": {"cdroms": ["/a.iso"]}},
    {"image": "plan9", "profile": "q35", "foreign": {"plan9": {"root": "/"}}},
]


@pytest.mark.parametrize("extra", BEYOND)
def test_a_room_gets_no_more_of_its_host_from_inside(extra: dict[str, Any]):
    spec = MachineSpec.model_validate({"name": "new", "image": "base", **extra})
    with pytest.raises(Forbidden, match="machine 'web' cannot give "):
        check_machine(visit("room"), spec)
    check_machine(visit("room"), spec.model_copy(update={"labels": {"a": ""}}), before=spec)
    check_machine(visit("fabric"), spec)


def test_volumes_and_networks_are_the_rooms_own():
    mounts = [{"kind": "volume", "source": "data", "target": "/x"}, {"kind": "tmpfs", "target": "/y"}]
    check_machine(visit("room"), MachineSpec.model_validate({"name": "new", "image": "base", "mounts": mounts}))
    check_network(visit("room"), NetworkSpec(name="lan"))
    with pytest.raises(Forbidden, match="way out"):
        check_network(visit("room"), NetworkSpec(name="lan", uplink=True))


def test_what_a_spec_can_say_was_thought_about():
    """A part of a spec that is new may be of the host: then `check_machine` has to know it."""
    own = {
        *("cold", "command", "cpus", "cwd", "elastic", "entrypoint", "env", "health", "hostname", "image", "kernel"),
        *(
            "labels",
            "limits",
            "max_restarts",
            "memory",
            "name",
            "nics",
            "no_health",
            "profile",
            "pxe",
            "read_only",
            "remove",
        ),
        *("restart", "stop_signal", "stop_timeout", "user"),
    }
    assert set(MachineSpec.model_fields) == own | {"expose", "floppy", "foreign", "mounts", "publish"}
    own = {"display", "end", "firmware", "nic_model"}
    assert set(ForeignSpec.model_fields) == own | {"boot_files", "cdroms", "disks", "floppy_drive", "plan9"}
    assert set(Plan9Spec.model_fields) == {"changes", "ini", "options", "root_read_only", "root"}
    assert set(NetworkSpec.model_fields) == {"dns", "gateway", "mtu", "name", "subnet", "subnet6", "uplink"}


@pytest.mark.parametrize(
    "ends", [("other:web", "db"), ("db", "other:web"), ("outside", "8080"), ("network:lan", "other:network:lan")]
)
def test_a_trace_does_not_leave_the_room(ends: tuple[str, str]):
    with pytest.raises(NotFound, match="sees no further than its room"):
        check_trace(visit("room"), TraceRequest(source=ends[0], destination=ends[1]))
    check_trace(visit("fabric"), TraceRequest(source=ends[0], destination=ends[1]))
    check_trace(visit("room"), TraceRequest(source="acme:web", destination="192.0.2.1:80"))


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        transport = httpx.ASGITransport(make_app(fabric, lambda machines: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://weft/v1") as client:
            yield client


async def ask(http: httpx.AsyncClient, who: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = await http.request(method, path, json=body, headers={VISIT_HEADER: who} if who else {})
    return answer.status_code, answer.json() if answer.content else None


async def test_the_api_holds_a_machine_to_its_part(http: httpx.AsyncClient):
    spec = {"name": "web", "image": "base", "nics": [{"network": "lan"}], "expose": [{"part": "room"}]}
    assert (await ask(http, "", "POST", "/machines", {"spec": spec, "start": False}))[0] == 201
    who = "default/web/room"
    assert (await ask(http, who, "GET", "/machines/web"))[1]["expose"] == [{"part": "room", "read_only": False}]
    assert (await ask(http, who, "GET", "/rooms"))[1]["error"]["code"] == "not-found"
    mounts = [{"kind": "host", "source": "/", "target": "/host"}]
    body = {"spec": {"name": "evil", "image": "base", "nics": [], "mounts": mounts}, "start": False}
    assert (await ask(http, who, "POST", "/machines", body))[0] == 403
    assert (await ask(http, who, "PATCH", "/machines/web", {"changes": {"expose": [{"part": "fabric"}]}}))[0] == 403
    assert (await ask(http, who, "POST", "/networks", {"name": "out", "uplink": True}))[0] == 403
    assert (await ask(http, who, "PATCH", "/machines/web", {"changes": {"labels": {"a": "b"}}}))[0] == 200
    assert [view["name"] for view in (await ask(http, "", "GET", "/machines?all=true"))[1]] == ["web"]


async def test_what_is_not_given_any_more_ends_at_once(http: httpx.AsyncClient):
    spec = {"name": "web", "image": "base", "nics": [{"network": "lan"}], "expose": [{"part": "room"}]}
    await ask(http, "", "POST", "/machines", {"spec": spec, "start": False})
    for who in ("default/web/fabric", "default/web/room:ro", "default/db/room", "nowhere/web/room"):
        assert (await ask(http, who, "GET", "/machines/web"))[0] == 404
    assert (await ask(http, "nonsense", "GET", "/machines/web"))[0] == 422
    await ask(http, "", "PATCH", "/machines/web", {"changes": {"expose": []}})
    assert (await ask(http, "default/web/room", "GET", "/machines/web"))[0] == 404
