"""Machines that get processors and give them back, and guests that make it hard."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

BUSY = "for i in 1 2 3 4; do (while :; do :; done) & done; wait"


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("cpus") / "home") as fabric:
        yield fabric


@pytest.fixture
def make(fabric: TestFabric, request: pytest.FixtureRequest) -> Iterator["Maker"]:
    maker = Maker(fabric)
    yield maker
    fabric.client.remove_machine("m", force=True)


class Maker:
    """Makes the machine `m`, of one processor and up to four."""

    def __init__(self, fabric: TestFabric) -> None:
        self._fabric = fabric

    def __call__(self, most: int = 4, *, wait: bool = True, **spec: Any) -> "Elastic":
        elastic = {"max_cpus": most, "policy": {"mode": "manual"}}
        plain = {"name": "m", "image": "base", "cpus": 1, "elastic": elastic}
        self._fabric.client.create_machine(plain | spec, wait=wait)
        return Elastic(self._fabric)


class Elastic:
    """The machine and its processors."""

    def __init__(self, fabric: TestFabric) -> None:
        self.fabric = fabric

    def scale(self, cpus: int) -> tuple[str, str]:
        """What becomes of a request, and why."""
        request = self.fabric.client.scale_machine("m", cpus=cpus)["cpus"]["request"]
        return request["state"], request["reason"]

    @property
    def view(self) -> dict[str, Any]:
        return dict(self.fabric.client.elastic("m")["cpus"])

    @property
    def sizes(self) -> tuple[int, int]:
        """Granted by the host, and in use by the guest."""
        view = self.view
        return view["granted"], view["guest"]

    @property
    def quota(self) -> float | None:
        """Processors that its control group allows it; None: there are no such groups here."""
        for group in map(Path, self.fabric.leftovers()):
            if group.name == "m" and (group / "cpu.cfs_quota_us").exists():
                return int((group / "cpu.cfs_quota_us").read_text()) / 100_000
            if group.name == "m" and (group / "cpu.max").exists():
                return int((group / "cpu.max").read_text().split()[0]) / 100_000
        return None

    def sh(self, script: str) -> str:
        return self.fabric.exec("m", "sh", "-c", script)


@pytest.mark.parametrize("profile", ["microvm", "q35"])
def test_they_come_and_go(make: Maker, profile: str) -> None:
    machine = make(profile=profile)
    assert machine.sizes == (1, 1)
    for cpus in (4, 1, 2, 3, 1, 4):
        assert machine.scale(cpus) == ("applied", "")
        assert machine.sizes == (cpus, cpus)
        assert machine.sh("nproc").strip() == str(cpus)
        assert machine.quota in (cpus + 0.5, None)
    view = machine.view
    assert (view["mechanism"], view["qemu"], view["lost"]) == ("parked", None, "")


def test_a_machine_that_is_elastic_in_memory_alone(make: Maker, fabric: TestFabric) -> None:
    machine = make(cpus=2, profile="microvm", elastic={"max_memory": 1 << 30, "policy": {"mode": "manual"}})
    view = machine.view
    assert (view["mechanism"], view["granted"], view["qemu"], view["guest"]) == ("fixed", 2, 2, 2)
    assert fabric.refusal("scale", "m", "--cpus", "1") == "wrong-state"


def test_a_restart_brings_it_back_to_its_minimum(make: Maker, fabric: TestFabric) -> None:
    machine = make(cpus=2)
    assert machine.scale(4)[0] == "applied"
    fabric.client.restart_machine("m")
    assert machine.sizes == (2, 2)
    assert fabric.refusal("scale", "m", "--cpus", "1") == "invalid"
    assert fabric.refusal("scale", "m", "--cpus", "5") == "invalid"


def test_a_machine_that_is_booting_gets_them_then(make: Maker) -> None:
    machine = make(wait=False)
    assert machine.scale(3) == ("applied", "")
    assert machine.sizes == (3, 3)


def test_a_guest_that_is_busy_on_all_of_them(make: Maker) -> None:
    machine = make(command=["sh", "-c", BUSY])
    for cpus in (4, 1, 3, 1):
        assert machine.scale(cpus) == ("applied", "")
    assert machine.sizes == (1, 1)


def test_a_program_that_is_bound_to_one(make: Maker) -> None:
    """Linux lets it run elsewhere when its processor goes."""
    machine = make()
    machine.scale(4)
    machine.sh("taskset 8 sh -c 'while :; do :; done' >/dev/null 2>&1 & echo $! >/tmp/pid")
    assert machine.scale(1) == ("applied", "")
    machine.sh("kill -0 $(cat /tmp/pid)")


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program for what no shell can."""
    path = tmp_path_factory.mktemp("programs") / "scheduled"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", path, Path(__file__).with_name("scheduled.c")], check=True)
    return path


def begin(machine: Elastic, program: Path, *args: str, says: str) -> None:
    machine.fabric.run("cp", str(program), "m:/usr/bin/scheduled")
    machine.sh(f": >/tmp/said; scheduled {' '.join(args)} >/tmp/said 2>&1 &")
    wait_for(lambda: machine.sh("cat /tmp/said") == says, says)


def test_programs_that_were_promised_two(make: Maker, scheduled: Path) -> None:
    machine = make()
    machine.scale(2)
    begin(machine, scheduled, "deadline", says="promised\npromised\n")
    state, reason = machine.scale(1)
    assert (state, machine.sizes) == ("refused", (2, 2))
    assert reason == "the guest uses 2 processors: cpu1: Resource busy"
    machine.sh("killall scheduled")
    wait_for(lambda: machine.scale(1)[0] == "applied", "the processor is free")
    assert machine.sizes == (1, 1)


def test_a_program_that_lets_nobody_run_there(make: Maker, scheduled: Path) -> None:
    """Linux keeps 5 % for others: that is enough."""
    machine = make()
    machine.scale(2)
    begin(machine, scheduled, "fifo", says="taken\n")
    assert machine.scale(1) == ("applied", "")


def test_a_guest_that_does_not_let_them_go(make: Maker) -> None:
    machine = make()
    machine.scale(3)
    machine.sh("cd /sys/devices/system/cpu; mount --bind . .; mount -o remount,bind,ro /sys/devices/system/cpu")
    state, reason = machine.scale(1)
    assert (state, machine.sizes, machine.quota in (3.5, None)) == ("refused", (3, 3), True)
    assert reason == "the guest uses 3 processors: cpu1: Read-only file system"
    machine.sh("umount /sys/devices/system/cpu")
    assert machine.scale(1) == ("applied", "")


def test_a_guest_that_takes_what_it_was_not_given(make: Maker) -> None:
    """Its control group keeps it to what it was."""
    machine = make()
    machine.sh("for i in 1 2 3; do echo 1 > /sys/devices/system/cpu/cpu$i/online; done")
    assert machine.sizes == (1, 4)
    assert machine.quota in (1.5, None)
    assert machine.scale(1) == ("applied", "")
    assert machine.sizes == (1, 1)


def test_more_than_its_kernel_knows(make: Maker) -> None:
    machine = make(12)
    state, reason = machine.scale(10)
    assert (state, reason) == ("refused", "the guest uses 8 processors: its kernel knows of 8 only")
    assert machine.sizes == (8, 8)
    assert machine.scale(8) == ("applied", "")


def test_a_guest_that_can_do_nothing_any_more(make: Maker, fabric: TestFabric) -> None:
    machine = make()
    machine.scale(2)
    machine.sh("umount -l /sys")
    state, reason = machine.scale(3)
    assert state == "failed"
    assert reason == "the guest cannot switch processors: /sys/devices/system/cpu: No such file or directory"
    assert machine.view["lost"] == reason
    assert machine.view["granted"] == 3, "nobody knows that it has less"
    assert fabric.refusal("scale", "m", "--cpus", "1") == "wrong-state"
    fabric.client.restart_machine("m")
    assert machine.view["lost"] == ""
    assert machine.scale(2) == ("applied", "")


def test_a_machine_that_stands_still(make: Maker, fabric: TestFabric) -> None:
    """When it goes on it does what it is told then."""
    machine = make()
    machine.scale(2)
    pid = fabric.client.machine("m")["pid"]
    os.kill(pid, signal.SIGSTOP)
    state, reason = machine.scale(4)
    assert state == "failed"
    assert "within" in reason
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: machine.scale(1) == ("applied", ""), "it goes on")
    assert machine.sizes == (1, 1)


def test_the_last_wish_counts(make: Maker, fabric: TestFabric) -> None:
    machine = make()
    for cpus in (4, 2, 4, 3):
        fabric.client.scale_machine("m", cpus=cpus, wait=False)
    assert machine.scale(2) == ("applied", "")
    assert machine.sizes == (2, 2)


def test_a_daemon_that_dies_on_the_way(make: Maker, fabric: TestFabric) -> None:
    """The next one goes on with it."""
    machine = make()
    fabric.client.scale_machine("m", cpus=4, wait=False)
    fabric.kill_daemon()
    wait_for(lambda: machine.view["request"]["state"] == "applied", "it has what was asked for")
    assert machine.sizes == (4, 4)
    assert machine.quota in (4.5, None)
