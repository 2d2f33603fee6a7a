"""Machines that grow and shrink in memory: exactly, across 4 GiB, both ways, by plugging or by the balloon alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.elastic_machine import GIB, MANUAL, MIB, Elastic, build_hog
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

LARGE = 4608 * MIB


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("elastic") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def hog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_hog(tmp_path_factory.mktemp("hog"))


@pytest.fixture(scope="module")
def db(fabric: TestFabric) -> Elastic:
    return Elastic(fabric, "db", 64 * MIB, LARGE)


def test_from_64_megabytes_across_3_and_4_gigabytes_and_back(db: Elastic) -> None:
    for size in (LARGE, 64 * MIB, 2900 * MIB, 3200 * MIB, 3900 * MIB, 4200 * MIB, 3900 * MIB, 2900 * MIB, 64 * MIB):
        db.grow(size)
    assert (db.view()["mechanism"], db.view()["lost"]) == ("virtio-mem", "")


def test_memory_that_was_plugged_can_be_used(db: Elastic, hog: Path) -> None:
    db.grow(GIB)
    db.start_hog(hog, "hold", "800")
    db.check_well()
    db.end_hog()
    db.grow(64 * MIB)


def test_a_size_between_two_blocks_is_rounded_up(db: Elastic) -> None:
    view = db.scale(1001 * MIB + 4711)
    assert view["request"]["state"] == "applied"
    assert db.check_agreed(view) == 1002 * MIB


def test_a_shrink_below_what_is_used_ends_there_and_kills_nobody(db: Elastic, hog: Path) -> None:
    db.grow(GIB)
    db.start_hog(hog, "hold", "400")
    view = db.scale(64 * MIB)
    assert view["request"]["state"] == "refused"
    assert "the guest uses 4" in view["request"]["reason"]
    assert 400 * MIB < db.check_agreed(view) < 600 * MIB
    db.check_well()
    assert db.exec("pidof", "hog"), "it lives"
    db.end_hog()
    db.grow(64 * MIB)


def test_a_program_that_takes_memory_while_the_machine_shrinks_is_let(db: Elastic, hog: Path) -> None:
    db.grow(2 * GIB)
    db.start_hog(hog, "grow", "1000", "1", wait=False)
    view = db.scale(64 * MIB)
    assert view["request"]["state"] == "refused"
    db.grow(2 * GIB)
    wait_for(lambda: db.exec("cat", "/tmp/said") == "grow 1000\n", "it has got all that it wanted")
    db.check_well()
    db.end_hog()
    db.grow(64 * MIB)


def test_files_in_memory_are_use_of_it(db: Elastic) -> None:
    db.grow(GIB)
    db.exec(
        "sh", "-c", "mount -t tmpfs -o size=900m none /mnt && dd if=/dev/zero of=/mnt/x bs=1M count=300 2>/dev/null"
    )
    view = db.scale(64 * MIB)
    assert view["request"]["state"] == "refused", "there is no swap"
    assert db.check_agreed(view) > 300 * MIB
    db.exec("umount", "/mnt")
    db.grow(64 * MIB)


@pytest.mark.parametrize("profile", ["q35", "microvm"])
def test_cache_of_files_is_given_back(fabric: TestFabric, profile: str) -> None:
    data = {"kind": "volume", "source": "data", "target": "/data", "size": 512 * MIB}
    reader = Elastic(fabric, "reader", 64 * MIB, GIB, profile=profile, mounts=[data])
    reader.grow(GIB)
    reader.exec("sh", "-c", "dd if=/dev/zero of=/data/x bs=1M count=300 2>/dev/null && sync")
    cached = int(reader.exec("awk", "/^Cached:/ {print $2}", "/proc/meminfo")) << 10
    assert cached > 250 * MIB
    view = reader.scale(64 * MIB)
    assert reader.check_agreed(view) < 96 * MIB, view
    reader.check_well()
    fabric.run("rm", "-f", "reader")
    fabric.run("volume", "rm", "data")


def test_memory_that_cannot_be_moved_is_left_and_said(db: Elastic, hog: Path) -> None:
    db.grow(2 * GIB)
    db.start_hog(hog, "pin", "512")
    view = db.scale(64 * MIB)
    assert view["request"]["state"] == "refused"
    assert view["request"]["reason"].startswith("its kernel has stopped at ")
    assert view["lost"] == "", "it may be moved another time"
    assert 512 * MIB < db.check_agreed(view) < 2 * GIB
    db.check_well()
    db.end_hog()
    db.grow(64 * MIB)


def test_a_wish_takes_the_place_of_the_one_before(db: Elastic, hog: Path) -> None:
    db.grow(2 * GIB)
    db.start_hog(hog, "pin", "512")
    assert db.scale(64 * MIB, wait=False)["request"]["state"] == "converging"
    db.grow(3 * GIB)
    db.end_hog()
    for size in (64 * MIB, 4 * GIB, 128 * MIB, LARGE, GIB):
        db.scale(size, wait=False)
    db.settle()
    db.check(GIB)
    db.grow(64 * MIB)


def test_what_the_guest_takes_back_is_kept_for_it(fabric: TestFabric, hog: Path) -> None:
    """Its balloon deflates before its kernel kills anybody."""
    greedy = Elastic(fabric, "greedy", 64 * MIB, 2 * GIB)
    greedy.start_hog(hog, "hold", "100")
    greedy.check_well()
    wait_for(lambda: greedy.view()["granted"] == greedy.view()["qemu"] > 100 * MIB, "the host knows", say=greedy.view)
    (event, *_) = fabric.events("machine.took-memory")
    assert "greedy" in event["text"]
    greedy.end_hog()
    greedy.grow(64 * MIB)
    fabric.run("rm", "-f", "greedy")


def test_a_microvm_has_the_balloon_alone(fabric: TestFabric, hog: Path) -> None:
    small = Elastic(fabric, "small", 64 * MIB, GIB, profile="microvm")
    assert small.view()["mechanism"] == "balloon"
    assert small.view()["granted"] == small.view()["qemu"] == 64 * MIB
    for size in (GIB, 64 * MIB, 512 * MIB):
        small.grow(size)
    small.start_hog(hog, "hold", "300")
    view = small.scale(64 * MIB)
    assert view["request"]["state"] == "refused"
    assert small.check_agreed(view) > 300 * MIB
    small.check_well()
    fabric.run("rm", "-f", "small")


def test_a_machine_that_is_booting_is_waited_for(fabric: TestFabric) -> None:
    young = Elastic(fabric, "young", 64 * MIB, GIB, wait=False)
    young.check(512 * MIB, young.scale(512 * MIB))
    fabric.run("stop", "young")
    fabric.client.start_machine("young", wait=False)
    young.check(GIB, young.scale(GIB))
    fabric.run("rm", "-f", "young")


def test_others_see_the_size_that_it_has(fabric: TestFabric, db: Elastic) -> None:
    db.grow(GIB)
    assert fabric.json("inspect", "db")["elastic"]["memory"]["granted"] == GIB
    db.grow(64 * MIB)


@pytest.mark.parametrize(
    "verb", [("snapshot", "create", "db"), ("fork", "db"), ("fork", "room:default", "two"), ("suspend", "db")]
)
def test_an_elastic_machine_cannot_be_captured(fabric: TestFabric, db: Elastic, verb: tuple[str, ...]) -> None:
    done = fabric.run(*verb, check=False)
    assert done.returncode == 1
    words = done.stderr.decode().splitlines()[-1]
    assert words == "weft: wrong-state: machine 'db' is elastic: what comes and goes cannot be captured"
    db.check_well()


def test_a_machine_that_is_stopped_in_the_middle_ends_as_others_do(fabric: TestFabric, hog: Path) -> None:
    short = Elastic(fabric, "short", 64 * MIB, 2 * GIB)
    short.grow(2 * GIB)
    short.start_hog(hog, "pin", "512")
    short.scale(64 * MIB, wait=False)
    fabric.run("stop", "--timeout", "1s", "short")
    request = short.view()["request"]
    assert (request["state"], request["reason"]) == ("failed", "the machine has ended")
    fabric.run("start", "short")
    assert short.view()["granted"] == short.view()["qemu"] == 64 * MIB
    short.grow(2 * GIB)
    short.scale(64 * MIB, wait=False)
    fabric.run("rm", "-f", "short")
    assert "short" not in fabric.text("ps", "-a")


def test_policy_is_manual_here(db: Elastic, fabric: TestFabric) -> None:
    assert fabric.client.elastic("db")["policy"]["mode"] == MANUAL["mode"]
