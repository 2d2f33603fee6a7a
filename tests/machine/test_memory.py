"""What machines cost that have memory in common, and what they give back."""

import json
from collections.abc import Iterator
from statistics import mean

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

COPIES = ("one", "two", "three", "four")
MIB = 1 << 20


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A machine that has booted and four that go on from a template."""
    with open_fabric(tmp_path_factory.mktemp("memory") / "home") as fabric:
        fabric.run("template", "create", "base")
        fabric.run("run", "-d", "--cold", "--name", "cold", "base")
        for name in COPIES:
            fabric.run("run", "-d", "--name", name, "base")
        yield fabric


def stats(fabric: TestFabric) -> dict[str, dict[str, int]]:
    lines = fabric.text("stats", "--no-stream", "--format", "json").splitlines()
    return {view["name"]: view for view in map(json.loads, lines)}


def cost(fabric: TestFabric, name: str) -> int:
    return stats(fabric)[name]["additional"]


def test_copies_cost_less_than_machines_that_booted(fabric: TestFabric) -> None:
    views = stats(fabric)
    for name in COPIES:
        assert views[name]["additional"] < 0.8 * views[name]["resident"], "what is shared counts in part"
    assert mean(views[name]["additional"] for name in COPIES) < 0.75 * views["cold"]["additional"]


def test_what_a_copy_frees_goes_back_and_others_keep_what_they_share(fabric: TestFabric) -> None:
    look = ("sha256sum", "/bin/busybox")
    before = [fabric.exec(name, *look) for name in COPIES]
    fabric.exec("one", "sh", "-c", "dd if=/dev/urandom of=/dev/shm/x bs=1M count=20 2>/dev/null")
    wait_for(lambda: cost(fabric, "one") > cost(fabric, "two") + 14 * MIB, "what it has written is its own")
    fabric.exec("one", "rm", "/dev/shm/x")
    wait_for(lambda: cost(fabric, "one") < cost(fabric, "two") + 7 * MIB, "it has given it back")
    fabric.exec("one", "sh", "-c", "echo 3 >/proc/sys/vm/drop_caches")
    assert [fabric.exec(name, *look) for name in COPIES] == before
    assert (fabric.home / "machines/one/qemu.log").read_text() == "", "QEMU has nothing to complain about"
