"""What is shown of machines: shares, tables, and what a guest or the kernel may say."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_daemon import FakeDaemon, Request
from tests.unit.terminals import LIMIT, Terminal, start_weft, weft

from weft.cli.insight import find_share
from weft.cli.printing import dump_bytes
from weft.guest.processes import parse_processes
from weft.host.pids import ProcessId
from weft.host.usage import AdditionalMemory, find_additional, find_usage
from weft.model.errors import Unavailable
from weft.model.stats import ProcessView, StatsView

STATS = {"name": "web", "time": 100.0, "cpus": 1, "cpu_seconds": 5.0, "resident": 100 << 20, "additional": 12 << 20,
         "memory_total": 64 << 20,
         "memory_used": 16 << 20, "processes": 31, "read_bytes": None, "written_bytes": 0,
         "nics": [{"nic": 0, "network": "lan", "received": 1500, "sent": 700, "forged": 0}]}  # fmt: skip
LINES = b"1 0 0 S 1 335872 1280 420 /init\n30 1 33 R 2 2187264 510 1520 sh%20-c%20a%2520b%0A\n"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path)}


def test_the_samples_here_are_those_of_the_model() -> None:
    assert StatsView.model_validate(STATS).model_dump() == STATS


def test_what_a_guest_says_of_its_processes() -> None:
    init, shell = parse_processes(LINES)
    assert init == ProcessView(pid=1, parent=0, uid=0, state="S", threads=1, resident=335872, cpu_seconds=1.28,
                               started=0.42, command="/init")  # fmt: skip
    assert (shell.pid, shell.command) == (30, "sh -c a%20b\n")


@pytest.mark.parametrize("text", [b"1 2 3", b"x 0 0 S 1 1 1 1 init", b"1 0 0 \xff 1 1 1 1 init"])
def test_what_no_guest_says(text: bytes) -> None:
    with pytest.raises(Unavailable, match="makes no sense"):
        parse_processes(text)


@pytest.mark.parametrize(
    ("before", "now", "share"),
    [
        ({"cpu_seconds": 5.0, "time": 100.0}, {"cpu_seconds": 5.5, "time": 102.0}, 25.0),
        ({"cpu_seconds": 5.0, "time": 100.0}, {"cpu_seconds": 1.0, "time": 102.0}, None),
        ({"cpu_seconds": None, "time": 100.0}, {"cpu_seconds": 1.0, "time": 102.0}, None),
        ({"cpu_seconds": 5.0, "time": 100.0}, {"cpu_seconds": 5.5, "time": 100.0}, None),
        (None, {"cpu_seconds": 1.0, "time": 102.0}, None),
    ],
)
def test_a_share_takes_two_samples_of_one_run(before: Any, now: Any, share: float | None) -> None:
    assert find_share(before, now) == share


@pytest.mark.parametrize(
    ("size", "text"), [(None, "-"), (0, "0B"), (586, "586B"), (1500, "1.46K"), (64 << 20, "64M"), (5 << 40, "5T")]
)
def test_bytes_for_people(size: int | None, text: str) -> None:
    assert dump_bytes(size) == text


def test_what_the_kernel_says_of_a_process() -> None:
    usage = find_usage(os.getpid())
    assert usage is not None
    assert 0 < usage.cpu_seconds <= time.process_time() + 1
    assert usage.resident > 1 << 20
    assert find_usage(1 << 30) is None


def test_what_a_process_costs_in_addition_is_less_than_what_it_holds() -> None:
    usage, additional = find_usage(os.getpid()), find_additional(os.getpid())
    assert usage is not None and additional is not None
    assert 1 << 20 < additional < usage.resident * 1.1
    assert find_additional(1 << 30) is None


async def test_what_is_dear_to_find_is_kept_for_as_long() -> None:
    now, looks = 100.0, 0

    def look(pid: int) -> int:
        nonlocal now, looks
        looks, now = looks + 1, now + 0.05
        return pid + looks

    additional = AdditionalMemory(lambda: now, look)
    one, other = ProcessId(1000, 1), ProcessId(1000, 2)
    assert [await additional.find(one), await additional.find(one), await additional.find(other)] == [1001, 1001, 1002]
    now += 4.9
    assert await additional.find(one) == 1001
    now += 0.2
    assert await additional.find(one) == 1003


def sample(request: Request) -> Any:
    """Half a processor is used."""
    now = time.time()
    return [STATS | {"time": now, "cpu_seconds": now / 2}]


def test_stats_once(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on("GET", "/v1/stats", sample)
    done = weft(env, "stats", "--no-stream", "web")
    words = [line.split() for line in done.stdout.decode().splitlines()]
    assert words[1] == ["web", "50.0%", "16M", "64M", "25", "100M", "12M", "1.46K", "700B", "-", "0B", "31"]
    assert fake.last().query == {"machine": "web"}
    (line,) = weft(env, "stats", "--no-stream", "--format", "json").stdout.splitlines()
    assert json.loads(line)["cpu_percent"] == 50.0


def test_stats_go_on(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on("GET", "/v1/stats", sample)
    with start_weft(env, "stats", "--format", "json") as process:
        assert process.stdout
        assert [json.loads(process.stdout.readline())["name"] for _ in range(2)] == ["web", "web"]
        process.terminate()
        process.communicate(timeout=LIMIT)
    terminal = Terminal(env, "stats")
    terminal.read_until(b"\x1b[H\x1b[JNAME")
    terminal.read_until(b"\x1b[H\x1b[JNAME")
    terminal.child.terminate()
    terminal.finish()


def test_top(fake: FakeDaemon, env: dict[str, str]) -> None:
    views = [view.model_dump() for view in parse_processes(LINES)]
    fake.on("GET", "/v1/machines/web/processes", views)
    rows = [line.split(maxsplit=7) for line in weft(env, "top", "web").stdout.decode().splitlines()]
    assert rows[2] == ["30", "1", "33", "R", "2", "2.09M", "0:00.51", "sh -c a%20b"]
    assert json.loads(weft(env, "top", "web", "--format", "json").stdout) == views
