"""Limits of real machines: what they hold back, live, and through captures and the deaths of daemons."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, wait_for

from weft.host.usage import find_usage

CLOCK = "cut -d' ' -f1 /proc/uptime"
READ = f"echo 3 >/proc/sys/vm/drop_caches; a=$({CLOCK}); head -c {1 << 20} /dev/vda | wc -c; {CLOCK}; echo $a"
RATE = 256 << 10
WORTH = 6.0
"""Seconds of processor time that tell shares apart."""


def read_rate(fabric: TestFabric, machine: str) -> float:
    """Bytes a second from its root, with nothing of it in its page cache, by its own clock."""
    size, end, begin = map(float, fabric.exec(machine, "sh", "-c", READ).split())
    return size / max(end - begin, 0.01)


def receive(fabric: TestFabric, machine: str, size: int) -> float:
    """Bytes a second from `web`, by the receiver's clock."""
    fetch = f"a=$({CLOCK}); wget -qO- http://web/zeros | wc -c; {CLOCK}; echo $a"
    got, end, begin = fabric.exec(machine, "sh", "-c", fetch).split()
    assert int(got) == size
    return size / max(float(end) - float(begin), 0.01)


def enforced(fabric: TestFabric, machine: str) -> str:
    return str(fabric.client.machine(machine)["enforced"])


@pytest.mark.parametrize("profile", ["q35", "microvm"])
def test_a_disk_is_held_back_and_let_go_live(room: TestFabric, profile: str) -> None:
    reader = f"reader-{profile}"
    room.run("run", "-d", "--name", reader, "--network", "none", "--profile", profile, "--disk-read", "256K", "base")
    assert read_rate(room, reader) < 1.2 * RATE
    room.run("update", "--disk-read", "none", reader)
    assert room.client.machine(reader)["limits"] is None
    assert read_rate(room, reader) > 2 * RATE
    room.run("update", "--disk-read-ops", "1", reader)
    assert read_rate(room, reader) < 2 * RATE
    assert room.refusal("update", "--disk-read", "1", reader) == "invalid"
    assert room.client.machine(reader)["limits"]["disk_read_ops"] == 1


def test_it_stays_held_back_when_it_goes_on_elsewhere_and_under_another_daemon(room: TestFabric) -> None:
    room.run("run", "-d", "--cold", "--name", "reader", "--network", "none", "--disk-read", "256K", "base")
    pid = room.client.machine("reader")["pid"]
    (copy,) = room.client.fork_machine("reader")["machines"]
    assert room.client.machine("reader")["pid"] != pid
    assert read_rate(room, "reader") < 1.2 * RATE
    assert read_rate(room, copy["name"]) < 1.2 * RATE
    room.kill_daemon()
    assert read_rate(room, "reader") < 1.2 * RATE
    room.run("update", "--disk-read", "none", "reader")
    assert read_rate(room, "reader") > 2 * RATE
    room.run("rm", "-f", "reader", copy["name"])


@pytest.mark.parametrize(("machine", "option"), [("web", "--net-out"), ("client", "--net-in")])
def test_a_nic_is_held_back_each_way(room: TestFabric, machine: str, option: str) -> None:
    size = 1 << 20
    room.exec("web", "sh", "-c", f"head -c {size} /dev/zero >/srv/www/zeros")
    room.run("update", option, "128K", machine)
    assert room.client.machine(machine)["limits"][option[2:].replace("-", "_")] == 128 << 10
    assert receive(room, "client", size) < 2 * (128 << 10)
    assert "not enforced: nft" not in enforced(room, machine)
    room.run("update", option, "none", machine)
    assert receive(room, "client", size) > 2 * (128 << 10)


def test_packets_are_counted(room: TestFabric) -> None:
    room.run("update", "--net-out-packets", "20", "client")
    said = room.exec("client", "ping", "-c", "200", "-i", "0.005", "-W", "1", "web", check=False)
    room.run("update", "--net-out-packets", "none", "client")
    got = next(int(words.split()[0]) for words in said.split(", ") if "received" in words)
    assert 16 <= got < 180, said
    assert "10 packets received" in room.exec("client", "ping", "-c", "10", "-i", "0.01", "web")


def test_a_weight_is_the_groups(room: TestFabric) -> None:
    if not enforced(room, "web").startswith("cgroup v"):
        pytest.skip(enforced(room, "web"))
    room.run("update", "--cpu-weight", "300", "web")
    assert find_weight(room) == 300
    room.run("restart", "web")
    assert find_weight(room) == 300
    room.run("update", "--cpu-weight", "none", "web")
    assert find_weight(room) == 100


def test_greedy_machines_get_what_their_weights_say(room: TestFabric) -> None:
    """Held to one processor: over several it also depends on how the kernel spreads the rest of the host's work."""
    if os.geteuid() or not enforced(room, "web").startswith("cgroup v"):
        pytest.skip("needs root and control groups")
    weights = {"light": 100, "heavy": 300}
    for name, weight in weights.items():
        room.run("run", "-d", "--name", name, "--network", "none", "--cpu-weight", str(weight), "base")
        room.run("exec", "-d", name, "--", "sh", "-c", "while :; do :; done")
    pids = {name: int(room.client.machine(name)["pid"]) for name in weights}
    for pid in pids.values():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):  # some come and go
                os.sched_setaffinity(int(thread.name), {min(os.sched_getaffinity(0))})
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    used = wait_for(lambda: find_used(pids, before), "they have used enough to tell them apart", seconds=120)
    room.run("rm", "-f", *weights)
    assert used["heavy"] / used["light"] == pytest.approx(3, rel=0.1)


def find_used(pids: dict[str, int], before: dict[str, float]) -> dict[str, float] | None:
    """Seconds of processor time of each, once they are many together."""
    used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    return used if sum(used.values()) > WORTH else None


def cpu_seconds(pid: int) -> float:
    usage = find_usage(pid)
    assert usage is not None
    return usage.cpu_seconds


def find_weight(fabric: TestFabric) -> int:
    """Of the group that its QEMU is in, as version 2 counts."""
    lines = Path(f"/proc/{fabric.client.machine('web')['pid']}/cgroup").read_text().splitlines()
    groups = {kinds: path for _, kinds, path in (line.split(":", 2) for line in lines)}
    place = next((kinds for kinds in groups if "cpu" in kinds.split(",")), "")
    root = Path("/sys/fs/cgroup") / place / groups[place].strip("/")
    weight = root / "cpu.weight"
    return int(weight.read_text()) if weight.exists() else int((root / "cpu.shares").read_text()) * 100 // 1024


def test_what_serves_machines_is_in_a_group_of_its_own_and_goes(room: TestFabric) -> None:
    """It works for machines, and is not to have the weight of the host's own work."""
    if not enforced(room, "web").startswith("cgroup v"):
        pytest.skip(enforced(room, "web"))
    records = [*(room.home / "networks").glob("*/dns.json"), *(room.home / "run").glob("uplink.json")]
    assert records
    for record in records:
        groups = Path(f"/proc/{json.loads(record.read_text())['pid']}/cgroup").read_text()
        assert "/_services\n" in groups
