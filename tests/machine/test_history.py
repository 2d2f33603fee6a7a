"""What machines used and use, as the daemon sees it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
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
    last = [point for point in points(fabric, "busy") if point["memory_used"] is not None][-1]
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
    fabric.kill_daemon()
    wait_for(lambda: any(point["seconds"] == 60 for point in points(fabric, "busy")), "the next daemon knows of it")


# Numbers for Prometheus


def scrape(*where: str) -> dict[tuple[str, str], float]:
    """Samples of all machines by metric and machine, as curl gets them and Prometheus' own parser reads them."""
    done = subprocess.run(["curl", "-sS", "--fail", "--max-time", "30", *where], capture_output=True, check=True)
    families = list(text_string_to_metric_families(done.stdout.decode()))
    assert {family.type for family in families} <= {"counter", "gauge", "unknown"}
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, sample.labels.get("machine", "")): sample.value for sample in samples}


def test_prometheus_scrapes_the_daemon(fabric: TestFabric) -> None:
    samples = scrape("--unix-socket", str(fabric.home / "weft.sock"), "http://weft/metrics")
    assert samples["weft_machine_running", "busy"] == samples["weft_machine_agent_up", "idle"] == 1
    assert samples["weft_machine_memory_used_bytes", "busy"] > 1 << 20
    assert samples["weft_machine_memory_additional_bytes", "idle"] > 1 << 20
    before = samples["weft_machine_cpu_seconds_total", "busy"]
    where = ("--unix-socket", str(fabric.home / "weft.sock"), "http://weft/metrics?ask=no")
    wait_for(lambda: scrape(*where)["weft_machine_cpu_seconds_total", "busy"] > before, "it works on")


def test_a_machine_that_hangs_holds_up_no_scrape(fabric: TestFabric) -> None:
    pid = fabric.client.machine("busy")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: scrape_agent(fabric, "busy") == 0, "what it said last is too old")
        assert scrape_agent(fabric, "idle") == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: scrape_agent(fabric, "busy") == 1, "it answers again")


def scrape_agent(fabric: TestFabric, name: str) -> float:
    samples = scrape("--unix-socket", str(fabric.home / "weft.sock"), "http://weft/metrics")
    return samples["weft_machine_agent_up", name]


def test_an_exporter_outlives_the_daemon(fabric: TestFabric) -> None:
    exporter = fabric.start("metrics", "--listen", "127.0.0.1:0")
    try:
        assert exporter.stderr
        url = exporter.stderr.readline().decode().split()[-1]
        assert scrape(url)["weft_machine_running", "busy"] == 1
        fabric.client.shutdown()
        away = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]
        wait_for(lambda: subprocess.run(away, capture_output=True).stdout == b"503", "it tells that there is no daemon")
        fabric.run("ps")
        assert scrape(url)["weft_machine_running", "busy"] == 1
    finally:
        exporter.terminate()
        exporter.communicate(timeout=30)


def test_changes_of_size_are_part_of_a_history(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "wide", "--memory", "64M..512M", "base")
    wait_for(lambda: points(fabric, "wide"), "it was seen small")
    fabric.run("scale", "wide", "--memory", "256M")
    wait_for(lambda: points(fabric, "wide")[-1]["memory_granted"] == 256 << 20, "it was seen large")
    (view,) = fabric.json("stats", "--history", "wide")
    (change,) = view["changes"]
    assert (change["resource"], change["before"], change["after"]) == ("memory", 64 << 20, 256 << 20)
    assert "machine.scale-applied" in {event["kind"] for event in view["events"]}
    samples = scrape("--unix-socket", str(fabric.home / "weft.sock"), "http://weft/metrics")
    assert samples["weft_machine_memory_granted_bytes", "wide"] == 256 << 20
    assert 128 << 20 < samples["weft_machine_memory_bytes", "wide"] <= 256 << 20
    fabric.run("rm", "-f", "wide")
