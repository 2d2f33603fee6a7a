"""The client against a server that speaks HTTP: what it asks, and what it makes of the answers."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, Request, fail

from weft.client import Client
from weft.client.client import is_live
from weft.client.events import parse_events
from weft.client.http import Disconnected
from weft.model.errors import ERRORS, Internal, Invalid, NotFound, Unavailable
from weft.model.machine import MachineView, State

Json = dict[str, Any]


@pytest.fixture
def client(tmp_path: Path, fake: FakeDaemon) -> Client:
    return Client(tmp_path, start=False, timeout=5)


SPEC: Json = {"name": "x"}
ROUTES: list[tuple[str, tuple[Any, ...], Json, str, str, Json, Any]] = [
    ("version", (), {}, "GET", "/v1/version", {}, None),
    ("doctor", (), {}, "GET", "/v1/doctor", {}, None),
    ("shutdown", (), {"machines": True}, "POST", "/v1/shutdown", {}, {"machines": True}),
    ("rooms", (), {}, "GET", "/v1/rooms", {}, None),
    ("host", (), {}, "GET", "/v1/host", {}, None),
    ("room_view", ("acme",), {}, "GET", "/v1/rooms/acme", {}, None),
    (
        "create_room",
        ("acme",),
        {"isolation": "strict"},
        "POST",
        "/v1/rooms",
        {},
        {"name": "acme", "description": "", "isolation": "strict"},
    ),
    ("create_room", ("acme",), {}, "POST", "/v1/rooms", {}, {"name": "acme", "description": ""}),
    (
        "create_room",
        ("acme",),
        {"resources": {"memory": 1}},
        "POST",
        "/v1/rooms",
        {},
        {"name": "acme", "description": "", "resources": {"memory": 1}},
    ),
    (
        "change_room",
        ("acme",),
        {"resources": {"cpus": None}},
        "PATCH",
        "/v1/rooms/acme",
        {},
        {"resources": {"cpus": None}},
    ),
    (
        "remove_room",
        ("acme",),
        {"force": True},
        "DELETE",
        "/v1/rooms/acme",
        {"force": "true", "volumes": "false"},
        None,
    ),
    (
        "trace",
        ("client", "web:80"),
        {"probe": False},
        "POST",
        "/v1/trace",
        {},
        {"source": "client", "destination": "web:80", "probe": False, "timeout": 2.0, "ipv6": False},
    ),
    ("pools", (), {}, "GET", "/v1/pools", {}, None),
    ("pool", ("sniffer",), {}, "GET", "/v1/pools/sniffer", {}, None),
    (
        "set_pool",
        ({"image": "sniffer", "size": 2},),
        {},
        "POST",
        "/v1/pools",
        {"wait": "true"},
        {"image": "sniffer", "size": 2},
    ),
    ("remove_pool", ("ghcr.io/a/b:1",), {}, "DELETE", "/v1/pools/ghcr.io/a/b:1", {}, None),
    ("machines", (), {"all": True}, "GET", "/v1/machines", {"all": "true"}, None),
    ("machine", ("web",), {}, "GET", "/v1/machines/web", {}, None),
    ("create_machine", (SPEC,), {}, "POST", "/v1/machines", {}, {"spec": SPEC, "start": True, "wait": True}),
    ("remove_machine", ("web",), {"force": True}, "DELETE", "/v1/machines/web", {"force": "true"}, None),
    ("start_machine", ("web",), {}, "POST", "/v1/machines/web/start", {}, {"wait": True}),
    (
        "fork_machine",
        ("web",),
        {"copy": "api"},
        "POST",
        "/v1/machines/web/fork",
        {},
        {"count": 1, "name": "api", "remove": False, "shadow": False},
    ),
    (
        "scale_machine",
        ("web",),
        {"cpus": 2},
        "POST",
        "/v1/machines/web/scale",
        {},
        {"cpus": 2, "wait": True, "by": "weft scale"},
    ),
    (
        "scale_machine",
        ("web",),
        {"add_memory": -1, "wait": False},
        "POST",
        "/v1/machines/web/scale",
        {},
        {"add_memory": -1, "wait": False, "by": "weft scale"},
    ),
    ("elastic", ("web",), {}, "GET", "/v1/machines/web/elastic", {}, None),
    ("elastic_account", ("web",), {}, "GET", "/v1/machines/web/elastic/account", {}, None),
    ("elastic", ("web",), {"patience": 1.5}, "GET", "/v1/machines/web/elastic", {"patience": "1.5"}, None),
    (
        "fork_room",
        ("prod", "staging"),
        {"uplink": True},
        "POST",
        "/v1/rooms/prod/fork",
        {},
        {"name": "staging", "description": None, "uplink": True, "shadow": False},
    ),
    ("stop_machine", ("web",), {"timeout": 3}, "POST", "/v1/machines/web/stop", {}, {"wait": True, "timeout": 3}),
    ("restart_machine", ("web",), {"wait": False}, "POST", "/v1/machines/web/restart", {}, {"wait": False}),
    (
        "update_machine",
        ("web", {"cpus": 2}),
        {"restart": True},
        "PATCH",
        "/v1/machines/web",
        {},
        {"changes": {"cpus": 2}, "restart": True, "wait": True, "plan": False},
    ),
    ("kill_machine", ("web",), {}, "POST", "/v1/machines/web/kill", {}, {"wait": True}),
    ("stats", (["web"],), {}, "GET", "/v1/stats", {"machine": "web"}, None),
    ("history", ("web",), {"since": 5.0}, "GET", "/v1/machines/web/history", {"since": "5.0"}, None),
    ("processes", ("web",), {}, "GET", "/v1/machines/web/processes", {}, None),
    ("file", ("web", "/a b"), {}, "GET", "/v1/machines/web/file", {"path": "/a b"}, None),
    ("send_archive", ("web", "/s", [b"a", b"", b"b"]), {}, "PUT", "/v1/machines/web/archive", {"path": "/s"}, b"ab"),
    ("networks", (), {}, "GET", "/v1/networks", {}, None),
    ("network", ("lan",), {}, "GET", "/v1/networks/lan", {}, None),
    ("create_network", (SPEC,), {}, "POST", "/v1/networks", {}, SPEC),
    ("remove_network", ("lan",), {}, "DELETE", "/v1/networks/lan", {}, None),
    ("inserts", (), {}, "GET", "/v1/inserts", {}, None),
    ("insert", ("s",), {}, "GET", "/v1/inserts/s", {}, None),
    ("create_insert", (SPEC,), {}, "POST", "/v1/inserts", {}, {"spec": SPEC, "wait": True}),
    ("change_insert", ("s", {"fail": "open"}), {}, "PATCH", "/v1/inserts/s", {}, {"fail": "open"}),
    ("eject", ("s",), {"keep": True}, "DELETE", "/v1/inserts/s", {"keep": "true"}, None),
    ("ports", ("web",), {}, "GET", "/v1/ports", {"machine": "web"}, None),
    ("templates", (), {"all_rooms": True}, "GET", "/v1/templates", {"all_rooms": "true"}, None),
    ("template", ("0a1b",), {}, "GET", "/v1/templates/0a1b", {}, None),
    ("create_template", (SPEC,), {}, "POST", "/v1/templates", {}, SPEC),
    ("remove_template", ("0a1b",), {}, "DELETE", "/v1/templates/0a1b", {}, None),
    ("prune_templates", (), {"all": True}, "POST", "/v1/templates/prune", {}, {"all": True}),
    ("volumes", (), {}, "GET", "/v1/volumes", {}, None),
    ("volume", ("data",), {}, "GET", "/v1/volumes/data", {}, None),
    ("create_volume", (SPEC,), {}, "POST", "/v1/volumes", {}, SPEC),
    ("resize_volume", ("data", 5), {}, "PATCH", "/v1/volumes/data", {}, {"size": 5}),
    ("remove_volume", ("data",), {}, "DELETE", "/v1/volumes/data", {}, None),
    ("prune_volumes", (), {}, "POST", "/v1/volumes/prune", {}, None),
    ("snapshots", (), {}, "GET", "/v1/snapshots", {}, None),
    ("snapshot", ("one",), {}, "GET", "/v1/snapshots/one", {}, None),
    ("remove_snapshot", ("one",), {}, "DELETE", "/v1/snapshots/one", {}, None),
    ("resume_machine", ("web",), {"wait": False}, "POST", "/v1/machines/web/resume", {}, {"wait": False}),
    ("images", (), {}, "GET", "/v1/images", {}, None),
    ("remove_image", ("base",), {}, "DELETE", "/v1/images/base", {}, None),
    ("image_schema", ("base",), {}, "GET", "/v1/images/base/schema", {}, None),
    ("image_sbom", ("base",), {}, "GET", "/v1/images/base/sbom", {}, None),
    ("image", ("localhost:5000/a:1",), {}, "GET", "/v1/images/localhost:5000/a:1", {}, None),
    ("tag_image", ("base", "b"), {}, "POST", "/v1/images/tag", {}, {"name": "base", "new": "b"}),
    ("prune_images", (), {"all": True}, "POST", "/v1/images/prune", {}, {"all": True}),
    ("kernels", (), {}, "GET", "/v1/kernels", {}, None),
    ("import_kernel", ("/f",), {"name": "k"}, "POST", "/v1/kernels/import", {}, {"file": "/f", "name": "k"}),
    ("remove_kernel", ("k",), {}, "DELETE", "/v1/kernels/k", {}, None),
    *(
        (f"firewall_{what}", ("g",), {}, "GET", f"/v1/machines/g/firewall/{what}", {}, None)
        for what in ("rules", "connections", "leases", "clients")
    ),
    (
        "add_firewall_client",
        ("g", "phone"),
        {"endpoint": "vpn.example:1"},
        "POST",
        "/v1/machines/g/firewall/clients",
        {},
        {"peer": "phone", "address": None, "endpoint": "vpn.example:1"},
    ),
    ("remove_firewall_client", ("g", "phone"), {}, "DELETE", "/v1/machines/g/firewall/clients/phone", {}, None),
    (
        "block_address",
        ("g", "10.0.0.0/8"),
        {"seconds": 60.0},
        "POST",
        "/v1/machines/g/firewall/block",
        {},
        {"address": "10.0.0.0/8", "seconds": 60.0},
    ),
    ("unblock_address", ("g", "::1"), {}, "POST", "/v1/machines/g/firewall/unblock", {}, {"address": "::1"}),
    ("config", ("g",), {"running": True}, "GET", "/v1/machines/g/config", {"running": "true"}, None),
    ("config_schema", ("g",), {}, "GET", "/v1/machines/g/config/schema", {}, None),
    ("config_json_schema", ("g",), {}, "GET", "/v1/machines/g/config/json-schema", {}, None),
    (
        "change_config",
        ("g", {"a": 1}, ["b"]),
        {"revision": 2},
        "PATCH",
        "/v1/machines/g/config",
        {},
        {"set": {"a": 1}, "unset": ["b"], "revision": 2},
    ),
    (
        "import_config",
        ("g", "a = 1"),
        {},
        "POST",
        "/v1/machines/g/config/import",
        {},
        {"text": "a = 1", "revision": None, "by": ""},
    ),
    ("config_history", ("g",), {}, "GET", "/v1/machines/g/config/history", {}, None),
    ("config_diff", ("g", 1), {}, "GET", "/v1/machines/g/config/diff", {"before": "1"}, None),
    ("revert_config", ("g", 1), {}, "POST", "/v1/machines/g/config/revert", {}, {"revision": 1}),
    ("confirm_config", ("g",), {}, "POST", "/v1/machines/g/config/confirm", {}, None),
    ("commit_config", ("g",), {}, "POST", "/v1/machines/g/config/commit", {}, None),
    ("reset_machine", ("g",), {"failsafe": True}, "POST", "/v1/machines/g/reset", {}, {"failsafe": True, "wait": True}),
    ("floppy", ("/f",), {}, "GET", "/v1/floppies", {"floppy": "/f"}, None),
    (
        "create_floppy",
        ("/f",),
        {"label": "X"},
        "POST",
        "/v1/floppies",
        {},
        {"floppy": "/f", "force": False, "label": "X"},
    ),
    (
        "copy_floppy",
        ("/f", "/t"),
        {},
        "POST",
        "/v1/floppies/copy",
        {},
        {"floppy": "/f", "target": "/t", "force": False},
    ),
    (
        "write_floppy",
        ("/f", "p", b"x"),
        {},
        "POST",
        "/v1/floppies/content",
        {},
        {"floppy": "/f", "path": "p", "content": "eA=="},
    ),
    ("file_schema", (), {}, "GET", "/v1/files/schema", {}, None),
    ("diff_file", ("/f", ""), {}, "POST", "/v1/files/diff", {}, {"path": "/f", "text": ""}),
    (
        "plan_file",
        ("/srv/weft.yaml", "rooms: {}"),
        {"build": True},
        "POST",
        "/v1/files/plan",
        {},
        {"path": "/srv/weft.yaml", "text": "rooms: {}", "build": True},
    ),
    ("remove_from_floppy", ("/f", "p"), {}, "DELETE", "/v1/floppies/content", {"floppy": "/f", "path": "p"}, None),
]
STREAMS = {
    "firewall_log",
    "events",
    "wait_machine",
    "export_config",
    "read_floppy",
    "metrics",
    "open_logs",
    "open_room_logs",
    "open_sniff",
    "open_exec",
    "open_archive",
    "start_exec",
    "open_console",
    "open_display",
    "build_image",
    "pull_image",
    "push_image",
    "import_image",
    "open_export",
    "create_snapshot",
    "open_snapshot",
    "import_snapshot",
    "restore",
    "suspend_machine",
    "build_kernel",
    "check_file",
    "apply_file",
    "render_file",
    "export_room",
}


@pytest.mark.parametrize(("call", "args", "options", "method", "path", "query", "body"), ROUTES)
def test_route(
    fake: FakeDaemon,
    client: Client,
    call: str,
    args: tuple[Any, ...],
    options: Json,
    method: str,
    path: str,
    query: Json,
    body: Any,
) -> None:
    wants_list = "list" in str(inspect.signature(getattr(Client, call)).return_annotation)
    fake.on(method, path, [{"name": "x"}] if wants_list else {"name": "x"})
    getattr(client, call)(*args, **options)
    assert fake.last() == Request(method, path, query, body)


def test_every_method_has_a_test() -> None:
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert methods == {route[0] for route in ROUTES} | STREAMS


@pytest.mark.parametrize("code", ERRORS)
def test_errors_come_back_as_they_were_raised(fake: FakeDaemon, client: Client, code: str) -> None:
    fake.on("GET", "/v1/machines/web", fail(ERRORS[code].http_status, code, "no web", "try ps", "last line"))
    with pytest.raises(ERRORS[code]) as caught:
        client.machine("web")
    assert caught.value.as_dict() == {"code": code, "message": "no web", "hint": "try ps", "detail": "last line"}


def test_an_unknown_route_tells_of_another_version(client: Client) -> None:
    with pytest.raises(NotFound, match=r"does not know GET /v1/networks .*weft version"):
        client.networks()


@pytest.mark.parametrize("body", [b"boom", b'{"detail": []}', b"[]", b'{"error": 5}'])
def test_a_failure_without_our_error_keeps_its_body(fake: FakeDaemon, client: Client, body: bytes) -> None:
    fake.on("GET", "/v1/networks", Reply(body, 500))
    with pytest.raises(Internal) as caught:
        client.networks()
    assert caught.value.detail == body.decode()


@pytest.mark.parametrize(("call", "path", "value"), [("machines", "machines", {}), ("version", "version", [])])
def test_an_answer_of_another_shape(fake: FakeDaemon, client: Client, call: str, path: str, value: Any) -> None:
    fake.on("GET", f"/v1/{path}", value)
    with pytest.raises(Internal, match="something else"):
        getattr(client, call)()


def test_names_cannot_leave_their_place_in_the_path(fake: FakeDaemon, client: Client) -> None:
    with pytest.raises(NotFound):
        client.machine("..?x=ä")
    assert fake.last().path == "/v1/machines/..?x=ä"
    assert fake.last().query == {}
    for name in ("", "/", "../networks"):
        with pytest.raises(Invalid, match="is not a valid name"):
            client.machine(name)


def test_sniff_query(fake: FakeDaemon, client: Client) -> None:
    fake.on("GET", "/v1/machines/web/sniff", Reply([b"one", b"two"]))
    with client.open_sniff("web", nic=1, filter="tcp port 80 & 1", seconds=2.5) as answer:
        assert b"".join(answer.pieces()) == b"onetwo"
    assert fake.last().query == {
        "nic": "1",
        "filter": "tcp port 80 & 1",
        "seconds": "2.5",
        "format": "pcapng",
        "mode": "inline",
    }


def test_wait_repeats_until_the_machine_has_ended(fake: FakeDaemon, client: Client) -> None:
    states = iter(["running", "stopping", "stopped"])
    fake.on("GET", "/v1/machines/web/wait", lambda _request: MACHINE | {"state": next(states)})
    assert client.wait_machine("web")["state"] == "stopped"


def test_wait_outlives_a_broken_connection(fake: FakeDaemon, client: Client) -> None:
    fake.on("GET", "/v1/machines/web/wait", Reply(explode()))
    fake.on("GET", "/v1/machines/web", MACHINE | {"state": "failed"})
    assert client.wait_machine("web")["state"] == "failed"


def explode() -> Iterator[bytes]:
    yield b"{"
    raise ConnectionResetError


def test_live_states_are_those_of_the_model() -> None:
    assert [is_live({"state": state}) for state in State] == [state.is_live for state in State]


def test_the_fake_machine_is_one_that_the_model_knows() -> None:
    MachineView.model_validate(MACHINE)


def test_build_reports_progress_and_gives_the_result(fake: FakeDaemon, client: Client) -> None:
    lines = [
        {"progress": "unpack", "fraction": None},
        {"progress": "compile", "fraction": 0.5},
        {"result": {"name": "k"}},
    ]
    fake.on("POST", "/v1/kernels/build", Reply([json.dumps(line).encode() + b"\n" for line in lines]))
    seen: list[tuple[str, float | None]] = []
    assert client.build_kernel(lambda text, part: seen.append((text, part)), source="/src") == {"name": "k"}
    assert seen == [("unpack", None), ("compile", 0.5)]
    assert fake.last().body == {"source": "/src"}


def test_build_that_fails_in_the_middle(fake: FakeDaemon, client: Client) -> None:
    error = json.loads(fail(503, "unavailable", "no compiler").body)  # type: ignore[arg-type]
    fake.on("POST", "/v1/images/build", Reply([b'{"progress": "x"}\n', json.dumps(error).encode()]))
    with pytest.raises(Unavailable, match="no compiler"):
        client.build_image("base", lambda _text, _part: None)


def test_build_that_ends_without_a_result(fake: FakeDaemon, client: Client) -> None:
    fake.on("POST", "/v1/images/build", Reply([b'{"progress": "x"}\n']))
    with pytest.raises(Disconnected):
        client.build_image("base", lambda _text, _part: None)


def test_events(fake: FakeDaemon, client: Client) -> None:
    stream = (
        b': hello\n\nid: 7\nevent: machine.ready\ndata: {"id": 7,\ndata:  "kind": "machine.ready"}\n\ndata: {"cut":'
    )
    fake.on("GET", "/v1/events", Reply([stream]))
    assert list(client.events(since=6, follow=True)) == [{"id": 7, "kind": "machine.ready"}]
    assert fake.last().query == {"since": "6", "follow": "true"}


def test_events_without_data_are_none() -> None:
    assert list(parse_events(["event: x", "", "", "retry: 5", ""])) == []
