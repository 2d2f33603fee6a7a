"""Control groups: the kernel's own where we may, and the shapes of other hosts as plain folders."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.host.waiting import wait_until

from weft.host.cgroup import Cgroup, CgroupMode, Cgroups, Limits, find_cgroups
from weft.host.pids import ProcessId, stop_processes
from weft.host.process import start_latched
from weft.host.usage import find_usage
from weft.model.errors import Unavailable, WrongState


def make_v2(root: Path, controllers: str = "cpu io memory pids") -> None:
    """What a version 2 mount looks like; plain files take what is written."""
    root.mkdir(exist_ok=True)
    (root / "cgroup.controllers").write_text(controllers)
    (root / "cgroup.subtree_control").write_text("")
    (root / "cgroup.procs").write_text("")


def make_v1(root: Path) -> None:
    for controller in ("cpu", "memory", "pids"):
        (root / controller).mkdir(parents=True)
        (root / controller / "cgroup.procs").write_text("")


def test_version_2_is_preferred(tmp_path: Path):
    make_v1(tmp_path)
    make_v2(tmp_path)
    found = find_cgroups("f", tmp_path, "0::/", uid=0)
    assert (found.mode, found.bases) == (CgroupMode.V2, (tmp_path / "weft-f",))


def test_a_version_2_without_controllers_is_passed_over(tmp_path: Path):
    make_v1(tmp_path)
    make_v2(tmp_path, "hugetlb")
    assert find_cgroups("f", tmp_path, "0::/", uid=0).mode == CgroupMode.V1


def test_why_there_are_none_is_said(tmp_path: Path):
    found = find_cgroups("f", tmp_path, "", uid=0)
    assert found.mode == CgroupMode.NONE
    assert found.reason == "version 2 is not mounted; version 1 lacks cpu, memory, pids"
    make_v2(tmp_path, "cpu")
    assert "lacks memory, pids" in find_cgroups("f", tmp_path, "0::/", uid=0).reason


def test_without_control_groups_all_is_accepted_and_nothing_done():
    group = Cgroups(CgroupMode.NONE, (), "why").create("web", Limits(1.0, 1 << 20, 10))
    group.add(os.getpid())
    assert (group.pids(), group.usage()) == ([], None)
    group.remove()


def test_version_2_limits(tmp_path: Path):
    make_v2(tmp_path)
    found = find_cgroups("f", tmp_path, "0::/", uid=0)
    base = found.bases[0]
    make_v2(base)
    for file in ("cpu.max", "cpu.weight", "memory.max", "pids.max", "cgroup.procs"):
        (base / "web").mkdir(exist_ok=True)
        (base / "web" / file).write_text("")
    group = found.create("web", Limits(cpus=1.5, memory_bytes=64 << 20, pids=None, weight=300))
    read = {path.name: path.read_text() for path in (base / "web").iterdir()}
    assert read == {
        "cpu.max": "150000 100000",
        "cpu.weight": "300",
        "memory.max": "67108864",
        "pids.max": "max",
        "cgroup.procs": "",
    }
    (base / "cpu.weight").write_text("100")
    group.set_weight(1)
    found.set_weight(400)
    assert [(path / "cpu.weight").read_text() for path in (base / "web", base)] == ["1", "400"]
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (base / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    (base / "web" / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    (base / "web" / "memory.current").write_text("4096\n")
    usage = group.usage()
    assert usage is not None
    assert (usage.cpu_seconds, usage.memory_bytes, usage.pids) == (1.5, 4096, 0)


def test_a_delegated_group_makes_way(tmp_path: Path):
    # As a user: the service manager delegates the group we are in, and no group with processes may have controllers.
    make_v2(tmp_path)
    own = tmp_path / "user" / "weft.service"
    own.mkdir(parents=True)
    make_v2(own)
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n")
    found = find_cgroups("f", tmp_path, "1:name=x:/\n0::/user/weft.service\n", uid=1000)
    assert found.bases == (own / "weft-f",)
    found.create("web", Limits())
    assert (own / "daemon" / "cgroup.procs").read_text() == str(os.getpid())


WORTH = 3.0
"""Seconds of processor time that tell shares apart."""
real = find_cgroups("test")


@pytest.fixture
async def groups() -> AsyncIterator[Cgroups]:
    if real.mode == CgroupMode.NONE:
        pytest.skip(real.reason)
    found = find_cgroups(f"test-{os.getpid()}")
    yield found
    found.remove()


@pytest.mark.host
async def test_a_process_is_counted_and_its_group_goes_with_it(groups: Cgroups):
    group = groups.create("web", Limits(0.5, 64 << 20, 20))
    assert groups.names() == ["web"]
    latched = start_latched(["sh", "-c", "sleep 60 & wait"])
    group.add(latched.pid)
    latched.release()
    await wait_until(latched.process.children)
    children = latched.process.children()
    assert set(group.pids()) == {latched.pid, *(child.pid for child in children)}
    usage = group.usage()
    assert usage is not None
    assert usage.pids == 2
    with pytest.raises(WrongState):
        group.remove()
    await stop_processes([*children, latched.process])
    group.remove()
    group.remove()
    assert groups.names() == []


@pytest.mark.host
async def test_a_process_comes_in_by_the_doors_before_its_program_runs(groups: Cgroups):
    group = groups.create("web", Limits())
    latched = start_latched(["sleep", "60"], doors=group.doors)
    await wait_until(lambda: all(path.joinpath("cgroup.procs").read_text() for path in group.paths))
    assert group.pids() == [latched.pid]
    latched.abandon()
    assert await latched.watch.wait() == 1
    group.remove()


@pytest.mark.host
async def test_the_limit_of_processes_holds(groups: Cgroups):
    group = groups.create("web", Limits(pids=1))
    latched = start_latched(["sh", "-c", "sleep 1 & true"])  # cannot fork
    group.add(latched.pid)
    latched.release()
    assert await latched.watch.wait() != 0
    group.remove()


def test_version_1_counts_weights_in_shares(tmp_path: Path):
    make_v1(tmp_path)
    found = find_cgroups("f", tmp_path, "", uid=0)
    (tmp_path / "cpu" / "weft-f" / "web").mkdir(parents=True)
    for place in (found.bases[0], found.bases[0] / "web"):
        (place / "cpu.shares").write_text("")
    group = found.create("web", Limits(weight=300))
    found.set_weight(1)
    assert [(path / "cpu.shares").read_text() for path in (group.paths[0], found.bases[0])] == ["3072", "10"]


@pytest.mark.host
@pytest.mark.parametrize("change_live", [False, True])
async def test_two_greedy_groups_get_a_processor_by_their_weights(groups: Cgroups, change_live: bool):
    weights, processor = {"light": 100, "heavy": 300}, str(min(os.sched_getaffinity(0)))
    found = {name: groups.create(name, Limits(weight=100 if change_live else of)) for name, of in weights.items()}
    for group in found.values():
        start_latched(["taskset", "-c", processor, "sh", "-c", "while :; do :; done"], doors=group.doors).release()
    await wait_until(lambda: all(group.pids() for group in found.values()))
    if change_live:
        for name, weight in weights.items():
            found[name].set_weight(weight)
    try:
        light, heavy = await measure_shares([found["light"], found["heavy"]])
    finally:
        processes = [find_process(pid) for group in found.values() for pid in group.pids()]
        await stop_processes(processes, term_for=0)
        await wait_until(lambda: not any(group.pids() for group in found.values()))
        for group in found.values():
            group.remove()
    assert heavy / light == pytest.approx(3, rel=0.1)


async def measure_shares(groups: list[Cgroup]) -> list[float]:
    """Processor time of each, while all of them together have used much more than what one tick is."""
    before = [cpu_seconds(group) for group in groups]
    used = [0.0]
    while sum(used) < WORTH:
        await asyncio.sleep(0.05)
        used = [cpu_seconds(group) - begin for group, begin in zip(groups, before, strict=True)]
    return used


def cpu_seconds(group: Cgroup) -> float:
    """By the processes' own word: in version 1 another controller counts, which may have no groups of ours."""
    return sum(usage.cpu_seconds for pid in group.pids() if (usage := find_usage(pid)))


def find_process(pid: int) -> ProcessId:
    process = ProcessId.find(pid)
    assert process is not None
    return process


@pytest.mark.host
async def test_a_group_that_is_there_is_taken_with_new_limits(groups: Cgroups):
    groups.create("web", Limits(pids=1))
    group = groups.create("web", Limits(pids=7))
    assert (group.paths[-1] / "pids.max").read_text().strip() == "7"
    group.remove()


@pytest.mark.host
async def test_a_process_that_is_gone_cannot_be_added(groups: Cgroups):
    group = groups.create("web", Limits())
    with pytest.raises(Unavailable):
        group.add((1 << 22) + 1)
    group.remove()
