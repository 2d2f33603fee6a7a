"""A host that gives machines a part of itself: starts beyond that are refused, and nothing is left of them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

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
    small.end_daemon()
    assert small.refusal("run", "-d", "--name", "three", "base") == "no-room"


def test_a_machine_grows_as_far_as_there_is_something_to_grant(small: TestFabric) -> None:
    small.run("run", "-d", "--name", "one", "--memory", "64M..128M", "base")
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
    small.end_daemon()
    assert small.json("host", "show")["granted"] == 160 * MIB
    small.run("scale", "--memory", "64M", "one")
    assert small.json("host", "show")["granted"] == 128 * MIB
    assert "one" in small.text("host", "top", "--no-stream")


def test_a_room_gets_what_it_is_guaranteed_and_no_more_than_its_bound(tmp_path: Path) -> None:
    with open_fabric(tmp_path / "home") as fabric:
        fabric.run("room", "create", "acme", "--memory", "128M", "--cpu-weight", "300")
        fabric.run("--room", "acme", "run", "-d", "--name", "web", "--cpus", "2", "base")
        fabric.run("room", "set", "acme", "--max-cpus", "0.5", "--max-memory", "160M")
        fabric.run("--room", "acme", "run", "-d", "--name", "other", "base")
        assert fabric.refusal("--room", "acme", "run", "-d", "--name", "third", "base") == "no-room"
        view = fabric.client.room_view("acme")
        assert view["resources"]["max_cpus"] == 0.5
        if "cgroup" in view["limits"]:
            assert set(read_quotas(fabric, "acme").values()) == {0.5}
        fabric.run("room", "set", "acme", "--max-cpus", "none")
        if "cgroup" in view["limits"]:
            quotas = read_quotas(fabric, "acme")
            assert (quotas[""], quotas["web"], quotas["other"]) == (None, 2.5, 1.5)
        (room,) = (room for room in fabric.json("host", "show")["rooms"] if room["name"] == "acme")
        assert room["promised"] == 128 * MIB


def read_quotas(fabric: TestFabric, room: str) -> dict[str, float | None]:
    """Processors that the groups of a room may use, the room's own first; None: there is no bound."""
    name = f"weft-{hashlib.sha256(bytes(fabric.home)).hexdigest()[:8]}-{room}"
    (base,) = {path for path in Path("/sys/fs/cgroup").glob(f"**/{name}") if list(path.glob("cpu.*"))}
    return {
        str(path.relative_to(base)).strip("."): _read_quota(path) for path in (base, *base.iterdir()) if path.is_dir()
    }


def _read_quota(group: Path) -> float | None:
    if (group / "cpu.max").exists():
        quota, period = (group / "cpu.max").read_text().split()
    else:
        quota, period = ((group / f"cpu.cfs_{what}_us").read_text().strip() for what in ("quota", "period"))
    return None if quota in ("max", "-1") else int(quota) / int(period)


@pytest.fixture
def tense(tmp_path: Path) -> Iterator[TestFabric]:
    """A fabric that may promise what it has not, and counts with 512 MiB: with 96 left it is short, with 192 not."""
    home = tmp_path / "home"
    home.mkdir()
    lines = (f"host_memory = {512 * MIB}", f"host_reserve = {96 * MIB}", "memory_overcommit = 4.0")
    (home / "weft.toml").write_text("\n".join(lines) + "\n")
    with open_fabric(home) as fabric:
        yield fabric


def test_an_idle_machine_gives_back_when_the_host_is_short_and_gets_it_again(tense: TestFabric) -> None:
    tense.run("run", "-d", "--name", "idle", "--memory", "64M..512M", "base")
    tense.client.scale_machine("idle", memory=256 * MIB)
    tense.run("run", "-d", "--name", "hog", "--memory", "512M", "base")
    assert not tense.json("host", "show")["tight"]
    tense.exec(
        "hog", "sh", "-c", "mount -o remount,size=400M /dev/shm && dd if=/dev/zero of=/dev/shm/much bs=1M count=340"
    )
    wait_for(lambda: granted(tense, "idle") < 256, "it gives back", say=lambda: tense.text("host", "show"))
    assert tense.events("host.tight")
    view = tense.client.elastic("idle")["memory"]
    assert view["request"]["by"] == "host"
    tense.end_daemon()
    (share,) = (one for one in tense.json("host", "show")["machines"] if one["name"] == "idle")
    assert share["gave"] > 0 and share["gave"] + share["granted"] == 256 * MIB, "the next daemon knows"
    tense.run("rm", "-f", "hog")
    wait_for(lambda: granted(tense, "idle") == 256, "it gets it again", say=lambda: tense.text("host", "show"))


def granted(fabric: TestFabric, name: str) -> int:
    """What a machine has, in MiB."""
    return int(fabric.client.elastic(name)["memory"]["granted"]) // MIB


def test_what_was_borrowed_of_a_guarantee_goes_back_to_who_claims_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "weft.toml").write_text(f"host_memory = {640 * MIB}\nhost_reserve = {128 * MIB}\n")
    with open_fabric(home) as fabric:
        fabric.run("room", "create", "acme", "--memory", "256M")
        fabric.run("run", "-d", "--name", "big", "--memory", "64M..512M", "base")
        fabric.run("scale", "--memory", "384M", "big")
        assert fabric.json("host", "show")["loans"] == [
            {"lender": "acme", "borrower": "default", "memory": (64 + 384 + 256 - 64 - 512) * MIB}
        ]
        fabric.run("--room", "acme", "run", "-d", "--name", "mine", "--memory", "64M..256M", "base")
        fabric.run("--room", "acme", "scale", "--memory", "256M", "mine")
        view = fabric.json("host", "show")
        assert view["granted"] <= view["capacity"] and not view["loans"]
        assert granted(fabric, "big") == 256
