"""Rooms on the command line: which room is asked, what is printed, what is completed."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, Request, fail
from tests.unit.terminals import weft as run_weft
from tests.unit.test_cli_commands import INSERT, NETWORK, VOLUME
from tests.unit.test_insight import STATS
from websockets.sync.server import ServerConnection

from weft.cli.insight import sum_samples
from weft.client import Client
from weft.model.room import RoomView

ROOM = {"name": "acme", "description": "a customer", "isolation": "normal",
        "resources": {"memory": None, "max_memory": None, "cpus": None, "max_cpus": None, "cpu_weight": 100},
        "created": 1.0e9, "file": "/srv/acme.yaml",
        "networks": ["lan", "dmz"], "machines": 3, "running": 2, "inserts": 1, "volumes": 1,
        "memory": 128 << 20, "limits": "cgroup v2", "broken": None}  # fmt: skip


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path)}


def test_the_view_here_is_that_of_the_model() -> None:
    assert RoomView.model_validate(ROOM).model_dump() == ROOM


def test_which_room_is_asked(fake: FakeDaemon, weft: Weft, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {None: "/v1/machines", "acme": "/v1/rooms/acme/machines", "default": "/v1/machines"}
    for path in paths.values():
        fake.on("GET", path, [])
    for room, path in paths.items():
        assert weft(*(["--room", room] if room else []), "ps").status == 0
        assert fake.last().path == path
    monkeypatch.setenv("WEFT_ROOM", "acme")
    weft("ps")
    assert fake.last().path == "/v1/rooms/acme/machines"
    weft("--room", "default", "ps")
    assert fake.last().path == "/v1/machines"
    fake.on("GET", "/v1/images", [])
    assert weft("image", "ls").status == 0
    assert weft("--room", "a/b", "ps").err == "weft: invalid: 'a/b' is not a valid name\n"


def test_an_unknown_room_is_told_how_to_make_it(fake: FakeDaemon, weft: Weft) -> None:
    refusal = fail(404, "not-found", "room 'acme' does not exist", "weft room create acme")
    fake.on("GET", "/v1/rooms/acme/machines", lambda _request: refusal)
    assert weft("--room", "acme", "ps").err == "weft: not-found: room 'acme' does not exist (weft room create acme)\n"


def test_a_session_is_of_the_room(fake: FakeDaemon, tmp_path: Path) -> None:
    def talk(connection: ServerConnection) -> None:
        connection.recv(5)
        connection.send(json.dumps({"started": 7}))

    fake.on_session("/v1/rooms/acme/machines/web/exec", talk)
    assert Client(tmp_path, room="acme", start=False).start_exec("web", ["true"]) == 7


def test_create_and_remove(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/rooms", ROOM)
    assert weft("room", "create", "acme", "--description", "a customer").out == "acme\n"
    assert fake.last().body == {"name": "acme", "description": "a customer"}
    assert json.loads(weft("room", "create", "acme", "--format", "json").out) == ROOM
    fake.on("DELETE", "/v1/rooms/acme", lambda _request: Reply(b"", 204))
    assert weft("room", "rm", "-f", "--volumes", "acme").out == "acme\n"
    assert fake.last().query == {"force": "true", "volumes": "true"}


def test_ls(fake: FakeDaemon, weft: Weft) -> None:
    broken = ROOM | {"name": "bolt", "broken": "no namespace", "file": None, "networks": []}
    fake.on("GET", "/v1/rooms", [ROOM, broken])
    lines = [line.split() for line in weft("room", "ls").out.splitlines()]
    age = lines[1][-1]
    assert lines == [
        ["NAME", "RUNNING", "NETWORKS", "INSERTS", "MEMORY", "FILE", "AGE"],
        ["acme", "2/3", "lan", "dmz", "1", "128M", "/srv/acme.yaml", age],
        ["bolt", "broken", "-", "1", "128M", "-", age],
    ]
    assert json.loads(weft("room", "ls", "--format", "json").out) == [ROOM, broken]


def test_listings_of_all_rooms(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/machines", [MACHINE | {"room": "acme"}])
    assert [line.split()[:2] for line in weft("ps", "-A").out.splitlines()] == [["ROOM", "NAME"], ["acme", "web"]]
    assert fake.last().query == {"all": "false", "all_rooms": "true"}
    fake.on("GET", "/v1/networks", [NETWORK | {"room": "acme"}])
    assert [line.split()[:2] for line in weft("network", "ls", "-A").out.splitlines()] == [
        ["ROOM", "NAME"],
        ["acme", "lan"],
    ]
    assert fake.last().query == {"all_rooms": "true"}
    events = [{"id": 1, "time": 0, "kind": "machine.ready", "subject": "web", "text": "it is", "room": "acme"},
              {"id": 2, "time": 0, "kind": "image.added", "subject": "nginx", "text": "new", "room": None}]  # fmt: skip
    fake.on(
        "GET", "/v1/events", lambda _request: Reply([f"data: {json.dumps(event)}\n\n".encode() for event in events])
    )
    assert [line.split()[2:5] for line in weft("events", "-A").out.splitlines()] == [
        ["machine.ready", "acme", "web"],
        ["image.added", "-", "nginx"],
    ]
    assert fake.last().query == {"follow": "false", "all_rooms": "true"}


def test_inspect(fake: FakeDaemon, weft: Weft) -> None:
    port = {"host_address": "0.0.0.0", "host_port": 8080, "guest_port": 80, "protocol": "tcp"}
    machine = MACHINE | {"ports": [port]}
    parts = {"networks": [NETWORK], "machines": [machine], "inserts": [INSERT], "volumes": [VOLUME]}
    fake.on("GET", "/v1/rooms/acme", ROOM)
    for key, views in parts.items():
        fake.on("GET", f"/v1/rooms/acme/{key}", views)
    text = weft("room", "inspect", "acme").out
    words = [line.split() for line in text.splitlines()]
    assert ["description", "a", "customer"] in words
    for titles, first in (("NETWORK", "lan"), ("MACHINE", "web"), ("INSERT", "sniffer"), ("VOLUME", "data")):
        (at,) = [number for number, line in enumerate(words) if line[:1] == [titles]]
        assert words[at + 1][0] == first
    assert "8080->80/tcp" in text
    assert json.loads(weft("--room", "acme", "room", "inspect", "--format", "json").out) == {"room": ROOM, **parts}


def test_inspect_of_a_broken_room_asks_nothing_of_it(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/rooms/acme", ROOM | {"broken": "no namespace"})
    assert ["broken", "no", "namespace"] in [line.split() for line in weft("room", "inspect", "acme").out.splitlines()]


def sample(_request: Request) -> Any:
    """Half a processor and a quarter are used."""
    now = time.time()
    return [
        STATS | {"name": name, "time": now, "cpu_seconds": now * share, "read_bytes": read}
        for name, share, read in (("web", 0.5, None), ("db", 0.25, 1 << 20))
    ]


def test_top(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/rooms/acme/stats", sample)
    lines = [line.split() for line in weft("room", "top", "--once", "acme").out.splitlines()]
    assert [line[:2] for line in lines[1:]] == [["web", "50.0%"], ["db", "25.0%"], ["TOTAL", "75.0%"]]
    assert lines[-1][2:] == ["32M", "128M", "25", "200M", "24M", "2.93K", "1.37K", "1M", "0B", "62"]
    look = json.loads(weft("room", "top", "--once", "acme", "--format", "json").out)
    assert [view["name"] for view in look["machines"]] == ["web", "db"]
    assert look["total"]["memory_used"] == 32 << 20


def test_the_sum_of_nothing_is_not_known() -> None:
    total = sum_samples([])
    assert (total["cpu_percent"], total["memory_used"], total["nics"]) == (None, None, [])


def test_logs(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/rooms/acme/machines", [MACHINE, MACHINE | {"name": "database"}])
    fake.on(
        "GET", "/v1/rooms/acme/logs", lambda _request: Reply([b"web\to", b"ne\ndata", b"base\ttwo\tthree\r\nweb\t\n"])
    )
    done = weft("room", "logs", "-n", "5", "acme")
    assert done.out == "web      | one\ndatabase | two\tthree\r\nweb      | \n"
    assert fake.last().query == {"follow": "false", "tail": "5"}
    weft("room", "logs", "-f", "-t", "acme")
    assert fake.last().query == {"follow": "true", "timestamps": "true"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("weft room rm ", {"acme", "bolt"}),
        ("weft --room a", {"acme"}),
        ("weft --room acme stop ", {"web"}),
    ],
)
def test_the_shell_completes_rooms_and_what_is_in_them(
    fake: FakeDaemon, env: dict[str, str], line: str, expected: set[str]
) -> None:
    fake.on("GET", "/v1/rooms", [{"name": "acme"}, {"name": "bolt"}])
    fake.on("GET", "/v1/machines", [{"name": "elsewhere"}])
    fake.on("GET", "/v1/rooms/acme/machines", [{"name": "web"}])
    asked = {"_WEFT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = run_weft(env | asked)
    assert {answer.partition(",")[2] for answer in done.stdout.decode().splitlines()} == expected


def test_a_room_is_told_what_it_is_guaranteed(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/rooms", ROOM)
    assert weft("room", "create", "acme", "--memory", "1G", "--max-cpus", "1.5").status == 0
    assert fake.last().body["resources"] == {"memory": 1 << 30, "max_cpus": 1.5}
    fake.on("PATCH", "/v1/rooms/acme", ROOM)
    done = weft("room", "set", "acme", "--memory", "none", "--cpus", "0.5", "--cpu-weight", "300")
    assert done.out == "acme\n"
    assert fake.last().body == {"resources": {"memory": None, "cpus": 0.5, "cpu_weight": 300}}
    assert json.loads(weft("room", "set", "acme", "--description", "", "--format", "json").out) == ROOM
    assert weft("room", "set", "acme").status == 2
    assert "write it like 2 or 0.5" in weft("room", "set", "acme", "--cpus", "many").err
    fake.on("GET", "/v1/rooms/acme", ROOM | {"resources": {"memory": 1 << 30, "cpus": None, "cpu_weight": 100}})
    for part in ("networks", "machines", "inserts", "volumes"):
        fake.on("GET", f"/v1/rooms/acme/{part}", [])
    assert "memory=1G cpu_weight=100" in weft("room", "inspect", "acme").out
