"""How large machines are to be, on the command line: run, update and scale."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Request, fail

from weft.model.elastic import ElasticView

GIB = 1 << 30


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        (("--cpus", "1..4"), {"cpus": 1, "elastic": {"max_cpus": 4}}),
        (("--cpus", "2", "--memory", "..6G"), {"cpus": 2, "elastic": {"max_memory": 6 * GIB}}),
        (("--memory", "128M..6G", "--elastic"),
         {"memory": GIB >> 3, "elastic": {"max_memory": 6 * GIB, "policy": {"mode": "auto"}}}),
        (("--memory", "1G", "--profile", "q35"), {"memory": GIB, "profile": "q35"}),
        (("--cpus", "..2", "--profile", "microvm"), {"elastic": {"max_cpus": 2}, "profile": "microvm"}),
    ],
)  # fmt: skip
def test_a_machine_is_as_large_as_was_said(
    fake: FakeDaemon, weft: Weft, options: tuple[str, ...], sizes: dict[str, Any]
) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    assert weft("run", "-d", *options, "base") == (0, "web\n", "")
    assert fake.last().body["spec"] == {"image": "base", "command": [], "env": {}} | sizes


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--elastic",), 1,
         "invalid: an elastic machine needs room to grow (say how far: --cpus 1..4, or --memory ..2G)\n"),
        (("--elastic", "--memory", "64M"), 1, "invalid: an elastic machine needs room to grow"),
        (("--cpus", "0"), 2, "Invalid value for '--cpus': '0' is not a number of CPUs (write it like 2 or 1..4)"),
        (("--cpus", "4..1"), 2, "'--cpus': range '4..1' ends below its beginning (write it like 1..4)"),
        (("--memory", "128M.."), 2, "'--memory': range '128M..' has no end (write it like 128M..2G)"),
    ],
)  # fmt: skip
def test_what_is_no_size_is_told_of_before_anything_is_made(
    fake: FakeDaemon, weft: Weft, options: tuple[str, ...], status: int, words: str
) -> None:
    ran = weft("run", "-d", *options, "base")
    assert (ran.status, ran.out) == (status, "")
    assert words in ran.err
    assert fake.requests == []


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (("--cpus", "1..4"), {"cpus": 1, "elastic": {"max_cpus": 4}}),
        (("--memory", "..2G"), {"elastic": {"max_memory": 2 * GIB}}),
        (("--cpus", "2"), {"cpus": 2, "elastic": {"max_cpus": None}}),
        (("--elastic",), {"elastic": {"policy": {"mode": "auto"}}}),
        (("--no-elastic",), {"elastic": {"policy": {"mode": "manual"}}}),
        (("--profile", "q35"), {"profile": "q35"}),
    ],
)
def test_a_change_says_only_what_changes(
    fake: FakeDaemon, weft: Weft, options: tuple[str, ...], changes: dict[str, Any]
) -> None:
    fake.on("PATCH", "/v1/machines/web", {"machine": MACHINE, "live": [], "restart": []})
    assert weft("update", *options, "web") == (0, "web\n", "")
    assert fake.last().body["changes"] == changes


def elastic(name: str = "web", **requests: tuple[int | None, dict[str, Any]]) -> dict[str, Any]:
    """How elastic a machine is, and what became of requests."""
    plain = {"wanted": 0, "by": "weft scale", "asked": 1.0, "deadline": 4.0e9, "state": "applied", "reason": ""}
    sizes: dict[str, dict[str, Any]] = {
        key: {"minimum": 1, "maximum": 4, "mechanism": "parked", "granted": 1, "qemu": None, "guest": None}
        for key in ("cpus", "memory")
    }
    for key, (now, request) in requests.items():
        sizes[key] |= {"qemu": now, "request": plain | {"resource": key} | request}
    return {"name": name, **sizes, "policy": {"mode": "manual"}, "lost": ""}


def test_the_view_here_is_that_of_the_model() -> None:
    view = elastic(memory=(GIB, {"wanted": GIB, "state": "converging"}))
    assert ElasticView.model_validate(view).memory.request is not None


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (("--cpus", "2"), {"cpus": 2}),
        (("--cpus", "+1"), {"add_cpus": 1}),
        (("--cpus", "-1", "--memory", "1G"), {"add_cpus": -1, "memory": GIB}),
        (("--memory", "-512M"), {"add_memory": -GIB // 2}),
        (("--memory=+512M",), {"add_memory": GIB // 2}),
    ],
)
def test_a_size_is_asked_for(fake: FakeDaemon, weft: Weft, options: tuple[str, ...], asked: dict[str, Any]) -> None:
    fake.on("POST", "/v1/machines/web/scale", elastic(cpus=(2, {"wanted": 2}), memory=(GIB, {"wanted": GIB})))
    assert weft("scale", *options, "web").status == 0
    assert fake.last().body == asked | {"wait": False, "by": "weft scale"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "invalid: nothing to change: --cpus or --memory (see: weft scale --help)\n"),
        (("--cpus", "1..4"), "'1..4' is a range (write it like 2, +1 or -1; weft update changes ranges)"),
        (("--cpus", "two"), "'two' is not a number of CPUs (write it like 2, +1 or -1)"),
        (("--cpus", "+0"), "'0' is not a number of CPUs (write it like 2, +1 or -1)"),
        (("--memory", "+x"), "size 'x' is not a size (write it like 1G, +512M or -512M)"),
    ],
)
def test_what_is_no_wish_is_told_of(fake: FakeDaemon, weft: Weft, options: tuple[str, ...], words: str) -> None:
    ran = weft("scale", *options, "web")
    assert (ran.status, ran.out, fake.requests) == (2, "", [])
    assert words in ran.err


def test_what_becomes_of_it_is_waited_for_and_told(fake: FakeDaemon, weft: Weft) -> None:
    ways = [
        elastic(cpus=(2, {"wanted": 2}), memory=(GIB // 2, {"wanted": GIB, "state": "converging"})),
        elastic(cpus=(2, {"wanted": 2}), memory=(GIB, {"wanted": GIB})),
    ]
    fake.on("POST", "/v1/machines/web/scale", ways[0])
    fake.on("GET", "/v1/machines/web/elastic", lambda _request: ways.pop(0))
    ran = weft("scale", "--cpus", "2", "--memory", "1G", "web")
    assert ran == (0, "web: cpus 2 applied\nweb: memory 1G applied\n", "")
    assert ways == [] and float(fake.last().query["patience"]) > 0


def test_several_machines_are_each_told_of(fake: FakeDaemon, weft: Weft) -> None:
    refused = {"wanted": GIB // 16, "state": "refused", "reason": "the guest uses 70 MiB: it keeps 86M"}
    fake.on("POST", "/v1/machines/web/scale", elastic(memory=(86 << 20, refused)))
    fake.on("POST", "/v1/machines/db/scale", elastic("db", memory=(GIB // 16, {"wanted": GIB // 16})))
    fake.on("POST", "/v1/machines/old/scale", fail(409, "wrong-state", "machine 'old' is stopped, not running"))
    ran = weft("scale", "--memory", "64M", "web", "old", "db", "web")
    assert ran.status == 1
    assert ran.out == (
        "web: memory 64M refused: the guest uses 70 MiB: it keeps 86M (now 86M)\ndb: memory 64M applied\n"
    )
    assert ran.err == "weft: wrong-state: machine 'old' is stopped, not running\n"
    views = json.loads(weft("scale", "--memory", "64M", "--format", "json", "db", "web").out)
    assert [view["name"] for view in views] == ["db", "web"]


def test_what_is_on_its_way_is_a_failure_only_for_those_who_wait(fake: FakeDaemon, weft: Weft) -> None:
    moving = elastic(memory=(GIB // 4, {"wanted": GIB, "state": "converging"}))
    fake.on("POST", "/v1/machines/web/scale", moving)
    told = "web: memory 1G converging (now 256M)\n"
    assert weft("scale", "--memory", "1G", "--no-wait", "web") == (0, told, "")

    def answer(request: Request) -> Any:
        assert float(request.query["patience"]) <= 0.01
        return moving

    fake.on("GET", "/v1/machines/web/elastic", answer)
    assert weft("scale", "--memory", "1G", "--timeout", "0.01", "web") == (1, told, "")


def test_what_nobody_does_any_more_is_not_waited_for(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines/web/scale", elastic(cpus=(1, {"wanted": 2, "state": "converging", "deadline": 1.0})))
    assert weft("scale", "--cpus", "2", "web") == (1, "web: cpus 2 converging (now 1)\n", "")


def test_who_has_asked_for_something_else_since_is_told(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines/web/scale", elastic(cpus=(1, {"wanted": 4, "state": "converging"})))
    fake.on("GET", "/v1/machines/web/elastic", elastic(cpus=(3, {"wanted": 3, "by": "policy"})))
    ran = weft("scale", "--cpus", "4", "web")
    assert (ran.status, ran.out) == (1, "web: cpus 3 applied, which policy has asked for since\n")


def test_a_machine_that_goes_meanwhile_is_told_of(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines/web/scale", elastic(cpus=(1, {"wanted": 4, "state": "converging"})))
    fake.on("GET", "/v1/machines/web/elastic", fail(404, "not-found", "there is no machine web"))
    assert weft("scale", "--cpus", "4", "web") == (1, "", "weft: not-found: there is no machine web\n")


def test_somebody_at_a_terminal_sees_how_far_it_has_come(
    fake: FakeDaemon, weft: Weft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown: list[str] = []

    @contextmanager
    def show(_title: str) -> Iterator[Any]:
        yield lambda text, _fraction: shown.append(text)

    monkeypatch.setattr("weft.cli.scale.open_progress", show)
    ways = [
        elastic(memory=(GIB // 2, {"wanted": GIB, "state": "converging"})),
        elastic(memory=(2 * GIB, {"wanted": GIB, "state": "converging"})),
        elastic(memory=(None, {"wanted": GIB, "state": "converging"})),
        elastic(memory=(GIB, {"wanted": GIB})),
    ]
    fake.on("POST", "/v1/machines/web/scale", ways.pop(0))
    fake.on("GET", "/v1/machines/web/elastic", lambda _request: ways.pop(0))
    assert weft("scale", "--memory", "1G", "web").status == 0
    assert shown == ["web: memory 512M of 1G", "web: memory 2G, down to 1G", "web: memory to 1G"]


def test_sizes_that_may_change_are_shown_with_the_most(fake: FakeDaemon, weft: Weft) -> None:
    view = elastic()
    view["memory"] |= {"minimum": GIB // 8, "maximum": 2 * GIB, "mechanism": "virtio-mem", "lost": "no driver"}
    view["cpus"] |= {"maximum": 1, "mechanism": "fixed"}
    machine = MACHINE | {"memory": GIB // 2, "cpus": 1, "elastic": view}
    fake.on("GET", "/v1/machines", [machine, MACHINE | {"name": "plain", "elastic": None}])
    rows = [line.split()[5:7] for line in weft("ps").out.splitlines()]
    assert rows == [["MEMORY", "CPUS"], ["-", "512M/2G"], ["-", "64M"]]
    fake.on("GET", "/v1/machines/web", machine)
    shown = weft("inspect", "web").out
    assert "elastic   memory=128M..2G by=virtio-mem lost=no driver\n          policy=manual\n" in shown
    assert "memory    512M\n" in shown
