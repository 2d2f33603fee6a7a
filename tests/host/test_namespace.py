"""The keeper and the gate."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import struct
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT
from tests.host.waiting import PATIENCE, wait_until

from weft.host.namespace import Namespace, find_keeper, open_namespace
from weft.host.pids import ProcessId, watch_exit
from weft.host.process import run
from weft.model.errors import Unavailable

pytestmark = pytest.mark.host


def links_of(sock: socket.socket) -> list[str]:
    """The links a socket's namespace has, by its first few indices."""
    found = []
    for index in range(1, 9):
        try:
            answer = fcntl.ioctl(sock, 0x8910, struct.pack("16si20x", b"", index))
        except OSError:
            continue
        found.append(answer[:16].rstrip(b"\0").decode())
    return found


async def test_what_the_gate_opens_lives_inside(namespace: Namespace):
    with await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert links_of(sock) == ["lo"]
    fd = await namespace.open("/proc/self/net/dev")
    with os.fdopen(fd) as file:
        assert len(file.readlines()) == 3


async def test_a_program_runs_inside_as_root_of_it(namespace: Namespace):
    printed = (await run(namespace.argv(["sh", "-c", "id -u; readlink /proc/self/ns/net"]))).text.split()
    assert printed[0] == "0"
    assert printed[1] == str(Path(f"/proc/{namespace.keeper.process.pid}/ns/net").readlink())


async def test_the_namespace_is_quiet(namespace: Namespace):
    names = ["net.ipv6.conf.default.disable_ipv6", "net.ipv4.ip_forward"]
    assert (await run(namespace.argv(["sysctl", "-n", *names]))).text.split() == ["1", "0"]


async def test_the_host_is_not_touched(namespace: Namespace):
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    assert await namespace.set_sysctl("ipv4/ip_forward", "1")
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before
    assert (await run(namespace.argv(["sysctl", "-n", "net.ipv4.ip_forward"]))).text.strip() == "1"


async def test_an_absent_sysctl_is_told(namespace: Namespace):
    assert not await namespace.set_sysctl("ipv4/no_such_thing", "1")


async def test_a_refusal_is_unavailable(namespace: Namespace):
    with pytest.raises(Unavailable, match="/no/such/file"):
        await namespace.open("/no/such/file")
    with pytest.raises(Unavailable):
        await namespace.socket(99, 99)


async def test_the_keeper_outlives_the_daemon_and_is_adopted(tmp_path: Path):
    first = await open_namespace(tmp_path)
    await first.set_sysctl("ipv4/ip_forward", "1")
    await first.close()
    assert first.keeper.process.alive()
    second = await open_namespace(tmp_path)
    try:
        assert second.keeper == first.keeper
        assert second.rootless is not AS_ROOT
        assert (await run(second.argv(["sysctl", "-n", "net.ipv4.ip_forward"]))).text.strip() == "1"
    finally:
        await second.stop()
    assert not second.keeper.process.alive()
    assert list(tmp_path.iterdir()) == []


async def test_a_dead_keeper_is_replaced(tmp_path: Path):
    first = await open_namespace(tmp_path)
    await first.close()
    watch = watch_exit(first.keeper.process)
    first.keeper.process.send(signal.SIGKILL)
    await asyncio.wait_for(watch.wait(), PATIENCE)
    assert find_keeper(tmp_path) is None
    second = await open_namespace(tmp_path)
    assert second.mark != first.mark
    await second.stop()


@pytest.mark.parametrize("moment", [0.0, 0.002, 0.01, 0.03])
async def test_a_keeper_that_is_just_being_replaced_ends_with_the_namespace(tmp_path: Path, moment: float):
    opened = await open_namespace(tmp_path)
    keeping = asyncio.create_task(opened.keep())
    await asyncio.sleep(0)
    opened.keeper.process.send(signal.SIGKILL)
    await asyncio.sleep(moment)
    await opened.stop()
    await asyncio.wait_for(keeping, PATIENCE)
    assert not opened.keeper.process.alive()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", ["", "[]", '{"pid": "x"}', json.dumps({"pid": 1, "start_time": 1})])
def test_a_bad_record_is_no_keeper(tmp_path: Path, record: str):
    (tmp_path / "keeper.json").write_text(record)
    assert find_keeper(tmp_path) is None


async def test_our_own_namespace_is_no_keepers(tmp_path: Path):
    start_time = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    (tmp_path / "keeper.json").write_text(json.dumps({"pid": os.getpid(), "start_time": start_time}))
    assert find_keeper(tmp_path) is None


async def test_the_gate_ends_when_it_is_closed(tmp_path: Path):
    opened = await open_namespace(tmp_path)
    os.close(await opened.open("/proc/self/net/dev"))
    gate = find_gate(opened)
    await opened.close()
    assert not gate.alive()
    assert opened.keeper.process.alive()
    await opened.stop()


async def test_a_gate_that_was_killed_is_replaced(namespace: Namespace):
    os.close(await namespace.open("/proc/self/net/dev"))
    gate = find_gate(namespace)
    watch = watch_exit(gate)
    gate.send(signal.SIGKILL)
    await asyncio.wait_for(watch.wait(), PATIENCE)
    with await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert links_of(sock) == ["lo"]


async def test_a_keeper_that_was_killed_is_replaced_in_the_same_namespace(tmp_path: Path, namespace: Namespace):
    inside = Path(f"/proc/{namespace.keeper.process.pid}/ns/net").readlink()
    keeping = asyncio.create_task(namespace.keep())
    lost = namespace.keeper.process
    lost.send(signal.SIGKILL)
    await wait_until(lambda: namespace.keeper.process != lost)  # it is on record, and runs, a little earlier
    assert Path(f"/proc/{namespace.keeper.process.pid}/ns/net").readlink() == inside
    kept = find_keeper(tmp_path)
    assert kept and kept.mark == namespace.mark
    await namespace.stop()
    await asyncio.wait_for(keeping, PATIENCE)
    assert find_keeper(tmp_path) is None


async def test_nothing_opens_once_the_keeper_is_gone(namespace: Namespace):
    await namespace.close()
    watch = watch_exit(namespace.keeper.process)
    namespace.keeper.process.send(signal.SIGKILL)
    await asyncio.wait_for(watch.wait(), PATIENCE)
    with pytest.raises(Unavailable):
        await namespace.open("/proc/self/net/dev")


def find_gate(namespace: Namespace) -> ProcessId:
    """Our child that runs the gate's file in this namespace."""
    me = ProcessId.find(os.getpid())
    assert me is not None
    inside = Path(f"/proc/{namespace.keeper.process.pid}/ns/net")
    children = [child for child in me.children() if child != namespace.keeper.process]
    return next(child for child in children if Path(f"/proc/{child.pid}/ns/net").samefile(inside))
