"""Forks on the command line: what is asked for, what is printed, what is completed."""

import json
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, fail
from tests.unit.test_cli_rooms import ROOM

from weft.model.fork import ForkView, RoomForkView

FORKED: dict[str, Any] = {
    "machines": [MACHINE | {"name": "web-fork-1"}, MACHINE | {"name": "web-fork-2"}],
    "failed": [],
    "pause": 0.0142,
    "disks": 0.0,
    "took": 0.2118,
}
ROOM_FORKED: dict[str, Any] = {
    "room": ROOM | {"name": "staging"},
    "machines": [MACHINE | {"room": "staging"}],
    "pauses": {"web": 0.021, "db": 0.034},
    "disks": 0.004,
    "left_out": ["the uplink of network lan"],
    "took": 0.8,
}


def test_the_views_here_are_those_of_the_model() -> None:
    assert ForkView.model_validate(FORKED).took == FORKED["took"]
    assert RoomForkView.model_validate(ROOM_FORKED).left_out == ROOM_FORKED["left_out"]


def test_a_machine_is_forked(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines/web/fork", FORKED)
    done = weft("fork", "web", "-n", "2", "--rm")
    assert done.out == "web-fork-1\nweb-fork-2\n"
    assert done.err == "web stood still for 14 ms; ready after 212 ms\n"
    assert fake.last().body == {"count": 2, "name": None, "remove": True, "shadow": False}
    weft("fork", "web", "--name", "api", "--shadow")
    assert fake.last().body == {"count": 1, "name": "api", "remove": False, "shadow": True}
    assert json.loads(weft("fork", "web", "--format", "json").out) == FORKED


def test_copies_that_failed_are_told(fake: FakeDaemon, weft: Weft) -> None:
    failed = [{"name": "web-fork-2", "code": "unavailable", "message": "did not become ready"}]
    fake.on("POST", "/v1/machines/web/fork", FORKED | {"machines": FORKED["machines"][:1], "failed": failed})
    done = weft("fork", "web", "-n", "2")
    assert (done.status, done.out) == (1, "web-fork-1\n")
    assert done.err.endswith("weft: unavailable: web-fork-2: did not become ready\n")
    refusal = fail(409, "wrong-state", "machine 'web' is stopped, not running", "weft start web")
    fake.on("POST", "/v1/machines/web/fork", lambda _request: refusal)
    assert weft("fork", "web").err == "weft: wrong-state: machine 'web' is stopped, not running (weft start web)\n"


def test_a_room_is_forked(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/rooms/acme/fork", ROOM_FORKED)
    done = weft("fork", "room:acme", "staging", "--uplink")
    assert done.out == f"{MACHINE['name']}\n"
    assert done.err.splitlines() == [
        "room acme stood still for 34 ms; staging is ready after 800 ms",
        "not in staging: the uplink of network lan",
    ]
    assert fake.last().body == {"name": "staging", "description": None, "uplink": True, "shadow": False}
    assert json.loads(weft("fork", "room:acme", "staging", "--format", "json").out) == ROOM_FORKED


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web", "staging"], "web is a machine: `--name staging` names the copy of a machine, `room:web` is a room"),
        (["room:acme"], "missing the name of the new room: weft fork room:acme NEWROOM"),
        (["room:acme", "staging", "--rm"], "--rm is not for a fork of a room"),
        (["web", "--uplink"], "--uplink is not for a fork of a machine"),
    ],
)
def test_what_does_not_go_together(fake: FakeDaemon, weft: Weft, words: list[str], said: str) -> None:
    done = weft("fork", *words)
    assert (done.status, done.err) == (2, f"weft: invalid: {said} (see: weft fork --help)\n")
    assert fake.requests == []
