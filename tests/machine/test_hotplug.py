"""Processors that come by hot-plug, where it works, and the machine that shows whether it does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

ELASTIC = {"name": "m", "image": "base", "profile": "q35", "cpus": 1, "elastic": {"max_cpus": 4}}


@pytest.fixture
def fabric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[TestFabric]:
    """Its parameter is the setting of hot-plug."""
    monkeypatch.setenv("WEFT_HOTPLUG", request.param)
    with open_fabric(tmp_path / "home") as fabric:
        yield fabric


def look(fabric: TestFabric) -> dict[str, Any]:
    return dict(fabric.client.elastic("m")["cpus"])


@pytest.mark.parametrize("fabric", ["yes"], indirect=True)
def test_one_comes_and_goes(fabric: TestFabric) -> None:
    """No more than that: emulated processors of QEMU 7.2 do not survive another one."""
    fabric.client.create_machine(ELASTIC)
    for cpus in (2, 1):
        view = fabric.client.scale_machine("m", cpus=cpus)["cpus"]
        assert (view["request"]["state"], view["request"]["reason"]) == ("applied", "")
        assert (view["mechanism"], view["granted"], view["qemu"], view["guest"]) == ("hotplug", cpus, cpus, cpus)
        assert fabric.exec("m", "nproc").strip() == str(cpus)


@pytest.mark.parametrize("fabric", ["auto"], indirect=True)
def test_it_is_tried_out_beside_the_first_machine(fabric: TestFabric) -> None:
    fabric.client.create_machine(ELASTIC)
    assert look(fabric)["mechanism"] == "parked", "nobody knows yet"
    known = fabric.home / "run/hotplug.json"
    wait_for(known.exists, "it was tried out")
    ((verdict,),) = [json.loads(known.read_text())["kernels"].values()]
    check = fabric.doctor()["hot-plug"]
    if not verdict["works"]:
        assert verdict["reason"].startswith("step ")
        assert (check["ok"], check["detail"]) == (False, verdict["reason"])
    wait_for(lambda: not list((fabric.home / "trial").rglob("*.sock")), "nothing of it is left")
    wait_for(lambda: not [process for process in fabric.leftovers() if "trial.hotplug" in process], "nor a process")
    fabric.client.restart_machine("m")
    assert look(fabric)["mechanism"] == ("hotplug" if verdict["works"] else "parked")
    written = known.stat().st_mtime_ns
    assert fabric.client.scale_machine("m", cpus=2)["cpus"]["request"]["state"] == "applied"
    assert known.stat().st_mtime_ns == written, "it is not tried again"


@pytest.mark.parametrize("fabric", ["auto"], indirect=True)
def test_what_a_daemon_leaves_of_it_is_removed_by_the_next(fabric: TestFabric) -> None:
    fabric.client.create_machine(ELASTIC)
    record = fabric.home / "trial/machines/trial.hotplug/process.json"
    wait_for(record.exists, "it is being tried out")
    fabric.kill_daemon()
    wait_for(lambda: fabric.client.machine("m")["state"] == "running", "another daemon serves")
    known, log = fabric.home / "run/hotplug.json", fabric.home / "daemon.log"
    wait_for(known.exists, "that one tries it out", say=lambda: log.read_text()[-3000:])
    wait_for(lambda: not record.exists(), "nothing of it is left")
