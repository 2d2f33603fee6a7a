"""How large machines are to be, on the command line: run, update and scale."""

from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon

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
