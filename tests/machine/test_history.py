"""What machines used, as the daemon saw it."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

BUSY = "while :; do :; done"


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A machine that works, and one that does not, in a room of its own."""
    with open_fabric(tmp_path_factory.mktemp("history") / "home") as fabric:
        fabric.run("room", "create", "acme")
        fabric.run("run", "-d", "--name", "busy", "base", "--", "sh", "-c", BUSY)
        fabric.run("--room", "acme", "run", "-d", "--name", "idle", "base")
        yield fabric


def points(fabric: TestFabric, name: str, *options: str) -> list[dict[str, Any]]:
    (view,) = fabric.json(*options, "stats", "--history", name)
    found: list[dict[str, Any]] = view["points"]
    return found


def knows_load(fabric: TestFabric) -> bool:
    return any(point["cpu"] is not None for point in points(fabric, "busy"))


def test_what_is_seen_from_outside(fabric: TestFabric) -> None:
    wait_for(lambda: knows_load(fabric), "there have been two looks")
    fabric.run("stats", "--no-stream", "busy")
    last = points(fabric, "busy")[-1]
    assert last["resident"] > 16 << 20
    assert (last["cpus"], last["memory_granted"]) == (1, 64 << 20)
    assert 0 < last["memory_used"] < last["memory_total"] <= 64 << 20
    assert max(point["cpu"] or 0 for point in points(fabric, "busy")) > 0.05
    (idle, *_) = points(fabric, "idle", "--room", "acme")
    assert idle["memory_used"] is None, "nobody has asked it"
    chart = fabric.text("stats", "--history", "--since", "10m", "busy")
    assert "cpu" in chart and "on host" in chart


def test_the_file_outlives_the_daemon(fabric: TestFabric) -> None:
    kept = fabric.home / "machines" / "busy" / "history"
    wait_for(kept.exists, "a minute is over", seconds=150)
    os.kill(fabric.daemon_pid(), signal.SIGKILL)
    wait_for(lambda: any(point["seconds"] == 60 for point in points(fabric, "busy")), "the next daemon knows of it")
