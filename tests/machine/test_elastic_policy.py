"""Elastic machines that change by themselves: more when they are short, less when they are calm, and they say why."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.elastic_machine import MIB, Elastic, build_hog
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

BUSY = "(while :; do :; done) >/dev/null 2>&1 </dev/null &"
CALM_SOON = "down_after=10s"


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("policy") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def hog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_hog(tmp_path_factory.mktemp("hog"))


def make(fabric: TestFabric, name: str) -> Elastic:
    elastic = {"max_cpus": 4, "max_memory": 1024 * MIB, "policy": {"mode": "auto"}}
    return Elastic(fabric, name, 128 * MIB, 1024 * MIB, elastic=elastic)


def cpus(machine: Elastic) -> int:
    """What it was granted, for which its guest is not asked: that is work, too."""
    return int(machine.fabric.client.machine(machine.name)["cpus"])


def memory(machine: Elastic) -> int:
    return int(machine.fabric.client.machine(machine.name)["memory"])


def explain(machine: Elastic) -> str:
    return machine.fabric.text("elastic", "explain", machine.name)


def test_busy_programs_get_processors_and_their_end_takes_them(fabric: TestFabric) -> None:
    machine = make(fabric, "busy")
    assert "it has had 1 CPU since its start" in explain(machine)
    machine.exec("sh", "-c", f"{BUSY * 2} sleep 0")
    wait_for(lambda: cpus(machine) >= 2, "a processor for each program", say=lambda: explain(machine))
    wait_for(lambda: int(machine.exec("nproc")) == cpus(machine), "the guest uses them")
    wait_for(
        lambda: f"it got {cpus(machine)} CPUs" in explain(machine), "its story says so", say=lambda: explain(machine)
    )
    assert "programs waited" in explain(machine)
    fabric.run("elastic", "set", "busy", CALM_SOON, "cpu_comfort=0.8")
    machine.exec("killall", "sh")
    wait_for(lambda: cpus(machine) == 1, "it is small again", say=lambda: explain(machine))
    assert "asked by policy: no more than" in explain(machine)
    fabric.run("rm", "-f", "busy")


def test_a_program_that_takes_memory_gets_it_and_its_end_gives_it_back(fabric: TestFabric, hog: Path) -> None:
    machine = make(fabric, "hungry")
    machine.start_hog(hog, "hold", "80")
    wait_for(lambda: memory(machine) > 128 * MIB, "more memory", say=lambda: explain(machine))
    machine.check_well()
    assert "were available" in explain(machine)
    fabric.run("elastic", "set", "hungry", CALM_SOON)
    machine.end_hog()
    wait_for(lambda: memory(machine) == 128 * MIB, "it is small again", say=lambda: explain(machine))
    machine.check_well()
    fabric.run("rm", "-f", "hungry")


def test_a_machine_asks_and_may_refuse_to_shrink(fabric: TestFabric) -> None:
    machine = make(fabric, "picky")
    machine.exec("sh", "-c", "echo cpus 3 | /proc/1/exe event need; echo memory 300M | /proc/1/exe event need")
    wait_for(lambda: (cpus(machine), memory(machine)) == (3, 300 * MIB), "what it needs", say=lambda: explain(machine))
    assert "it has asked for 300M" in explain(machine)
    script = "mkdir -p /etc/weft; printf '#!/bin/sh\\necho no: $*\\ntest -e /tmp/calm\\n' >/etc/weft/on-shrink"
    machine.exec("sh", "-c", f"{script}; chmod +x /etc/weft/on-shrink")
    done = fabric.run("scale", "picky", "--cpus", "1", check=False)
    assert done.returncode == 1
    assert done.stdout.decode() == "picky: cpus 1 refused: it does not want to: no: cpus 3 1 (now 3)\n"
    fabric.run("elastic", "set", "picky", CALM_SOON, "ask_holds=1s")
    machine.exec("sh", "-c", "echo memory 128M | /proc/1/exe event need")
    wait_for(lambda: "does not want to: no: memory" in explain(machine), "it refuses", say=lambda: explain(machine))
    assert memory(machine) == 300 * MIB
    machine.exec("touch", "/tmp/calm")
    wait_for(lambda: memory(machine) == 128 * MIB, "it does not mind any more", say=lambda: explain(machine))
    fabric.run("rm", "-f", "picky")


def test_a_new_daemon_goes_on_with_it_and_manual_stops_it(fabric: TestFabric) -> None:
    machine = make(fabric, "kept")
    fabric.kill_daemon()
    machine.exec("sh", "-c", f"{BUSY * 2} sleep 0")
    wait_for(lambda: cpus(machine) >= 2, "the next daemon sees it", say=lambda: explain(machine))
    fabric.run("elastic", "set", "kept", "--mode", "manual")
    wait_for(lambda: "its policy is manual" in explain(machine), "it is left alone", say=lambda: explain(machine))
    view = fabric.json("elastic", "explain", "kept")
    assert (view["mode"], view["cpus"]["waits_for"]) == ("manual", "weft scale, or the host")
    assert fabric.json("elastic", "show", "kept")["policy"]["mode"] == "manual"
    fabric.run("rm", "-f", "kept")


def test_what_is_wrong_is_told_in_a_line(fabric: TestFabric) -> None:
    make(fabric, "right")
    assert fabric.refusal("elastic", "set", "right", "speed=1") == "invalid"
    assert fabric.refusal("elastic", "set", "right", "cpu_busy=0.5") == "invalid"
    assert fabric.refusal("elastic", "show", "nobody") == "not-found"
    fabric.run("run", "-d", "--name", "fixed", "base")
    for command in ("show", "explain"):
        assert fabric.refusal("elastic", command, "fixed") == "wrong-state"
    assert fabric.refusal("elastic", "set", "fixed", "cpu_busy=0.8") == "wrong-state"
    fabric.run("rm", "-f", "right", "fixed")
