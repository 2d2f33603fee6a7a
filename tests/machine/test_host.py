"""A host that gives machines a part of itself: starts beyond that are refused, and nothing is left of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric

MIB = 1 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[TestFabric]:
    """A fabric that counts with 512 MiB and may promise 160 of them."""
    home = tmp_path / "home"
    home.mkdir()
    lines = (f"host_memory = {512 * MIB}", f"host_reserve = {112 * MIB}", "memory_overcommit = 0.4")
    (home / "weft.toml").write_text("\n".join(lines) + "\n")
    with open_fabric(home) as fabric:
        yield fabric


def test_a_start_beyond_what_may_be_promised_is_refused(small: TestFabric) -> None:
    small.run("run", "-d", "--name", "one", "base")
    small.run("run", "-d", "--name", "two", "base")
    done = small.run("run", "-d", "--name", "three", "base", check=False)
    assert done.returncode == 1
    words = done.stderr.decode()
    assert "no-room" in words and "64 MiB are wanted, 128 MiB of 160 MiB are promised" in words, words
    assert "memory_overcommit" in words
    assert [view["name"] for view in small.client.machines(all=True)] == ["one", "two"]
    small.run("rm", "-f", "one")
    small.run("run", "-d", "--name", "three", "base")


def test_what_is_promised_is_known_to_the_next_daemon(small: TestFabric) -> None:
    small.run("run", "-d", "--name", "one", "base")
    small.run("run", "-d", "--name", "two", "base")
    small.client.shutdown()
    assert small.refusal("run", "-d", "--name", "three", "base") == "no-room"


def test_a_machine_grows_as_far_as_there_is_something_to_grant(small: TestFabric) -> None:
    small.run("run", "-d", "--name", "one", "--memory", "64M..128M", "--elastic", "base")
    small.run("run", "-d", "--name", "two", "base")
    done = small.run("scale", "--memory", "128M", "one", check=False)
    assert done.returncode == 1
    words = done.stdout.decode()
    assert "refused: the host has no memory to grant: 64 MiB are wanted, 128 MiB of 160 MiB are granted" in words, words
    small.run("scale", "--memory", "96M", "one")
    view = small.json("host", "show")
    assert (view["promised"] // MIB, view["granted"] // MIB, view["free"]) == (128, 160, 0)
    (one,) = (machine for machine in view["machines"] if machine["name"] == "one")
    assert one["lent"] == 32 * MIB and 0 < one["used"] < one["granted"]
    small.client.shutdown()
    assert small.json("host", "show")["granted"] == 160 * MIB
    small.run("scale", "--memory", "64M", "one")
    assert small.json("host", "show")["granted"] == 128 * MIB
    assert "one" in small.text("host", "top", "--no-stream")
