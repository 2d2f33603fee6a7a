"""Limits of machines: what they come to for the kernel and for QEMU, and how they are said."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.latching import limits_of
from weft.fabric.room import Room
from weft.host.disk_limits import dump_throttle, find_disks
from weft.model.errors import Unavailable
from weft.model.limits import LimitsSpec
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.machine_file import MachineFile
from weft.plan.changes.words import compare
from weft.plan.net_limits import NOTHING, LimitedMachine, plan_net_limits


def test_limits_that_limit_nothing_are_none() -> None:
    assert MachineSpec(name="web", image="base", limits=LimitsSpec()).limits is None
    assert MachineFile.model_validate({"image": "base", "limits": None}).to_spec("web").limits is None


@pytest.mark.parametrize(
    "wrong",
    [{"cpu_weight": 0}, {"cpu_weight": 10001}, {"disk_read": 1}, {"net_in_packets": 0}, {"net": 1}],
)
def test_what_no_limit_can_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LimitsSpec.model_validate(wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MachineFile.model_validate({"image": "base", "limits": wrong})


def test_a_file_says_them_in_words_that_people_write() -> None:
    file = MachineFile.model_validate({"image": "base", "limits": {"cpu_weight": 300, "disk_read": "10M"}})
    assert file.to_spec("web").limits == LimitsSpec(cpu_weight=300, disk_read=10 << 20)


def test_a_difference_is_told_in_the_same_words() -> None:
    before = MachineSpec(name="web", image="base")
    after = before.model_copy(update={"limits": LimitsSpec(cpu_weight=300, net_out=1 << 20)})
    assert compare(before, after, ["limits"]) == ["limits default → cpu_weight 300, net_out 1M"]


def test_disks_share_one_budget_and_are_let_go() -> None:
    blocks: list[dict[str, Any]] = [
        {"qdev": "/a", "inserted": {}},
        {"qdev": "/b", "inserted": {"bps": 0}},
        {"qdev": ""},
        {"qdev": "/machine/system.flash1", "inserted": {"bps": 0}},
    ]
    assert find_disks(blocks) == ["/b"]
    told = dump_throttle("/b", LimitsSpec(disk_read=1 << 20, disk_write_ops=50))
    assert (told["id"], told["bps_rd"], told["bps_wr"], told["iops_wr"], told["group"]) == (
        "/b",
        1 << 20,
        0,
        50,
        "machine",
    )
    free = dump_throttle("/b", LimitsSpec(cpu_weight=7))
    assert "group" not in free and not any(value for key, value in free.items() if key != "id")


def test_the_rules_of_the_network() -> None:
    greedy = LimitedMachine(3, ("b3.0", "b3.1"), LimitsSpec(net_out=8 << 20, net_in=64 << 10))
    busy = LimitedMachine(4, ("b4.0",), LimitsSpec(net_out_packets=5000))
    alone = LimitedMachine(5, (), LimitsSpec(net_out=1 << 20))
    text = plan_net_limits([greedy, busy, alone])
    assert text.splitlines()[2:] == [
        "table bridge weft-limits {",
        "  limit m4_out_packets { rate over 5000/second burst 500 packets; }",
        '  map out_packets { type ifname : limit; elements = { "b4.0" : "m4_out_packets" }; }',
        "  limit m3_out_bytes { rate over 8388608 bytes/second burst 838860 bytes; }",
        '  map out_bytes { type ifname : limit; elements = { "b3.0" : "m3_out_bytes", "b3.1" : "m3_out_bytes" }; }',
        "  chain out { type filter hook prerouting priority -310; policy accept;"
        " limit name iifname map @out_packets drop; limit name iifname map @out_bytes drop; }",
        "  limit m3_in_bytes { rate over 65536 bytes/second burst 262144 bytes; }",
        '  map in_bytes { type ifname : limit; elements = { "b3.0" : "m3_in_bytes", "b3.1" : "m3_in_bytes" }; }',
        "  chain in { type filter hook postrouting priority 0; policy accept; limit name oifname map @in_bytes drop; }",
        "}",
    ]
    assert plan_net_limits([alone]) == NOTHING == plan_net_limits([])


@pytest.fixture
async def room(tmp_path: Path):
    async with open_paper_room(tmp_path / "home") as opened:
        yield opened


async def make(room: Room, **limits: int) -> MachineSpec:
    spec = MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),), limits=LimitsSpec(**limits))
    return (await room.machines.create(spec)).spec


async def test_they_change_without_a_restart_and_are_shown(room: Room) -> None:
    spec = await make(room, cpu_weight=300)
    machine = room.site.shelves.machines.get("web")
    assert limits_of(room.site, machine).weight == 300
    change = await room.updates.update("web", spec.model_copy(update={"limits": LimitsSpec(cpu_weight=50)}))
    assert (change.live, change.restart) == (("limits",), ())
    view = room.machines.view(room.site.shelves.machines.get("web"))
    assert view.limits == LimitsSpec(cpu_weight=50)
    assert limits_of(room.site, machine.with_(spec=spec.model_copy(update={"limits": None}))).weight == 100


async def test_what_is_not_enforced_is_said(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = await make(room, net_in=1 << 20, disk_read=1 << 20)
    monkeypatch.setattr(room.site.namespace, "argv", lambda argv: ["sh", "-c", "echo no such thing >&2; exit 1"])
    await room.ports.limits.load()
    machine = room.site.shelves.machines.get("web")
    said = "network not enforced: nft refuses the rules: no such thing"
    assert room.machines.view(machine).enforced == said
    machine = await room.site.shelves.machines.save(machine.with_(state=State.RUNNING, limits="cgroup v2"))
    with pytest.raises(Unavailable):  # there is no QEMU to ask
        await room.updates.update("web", spec.model_copy(update={"limits": LimitsSpec(disk_read=1 << 21)}))
    machine = room.site.shelves.machines.get("web")
    assert room.machines.view(machine).enforced.startswith("cgroup v2; disks not enforced: no QEMU at ")


def test_they_are_said_to_run(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    assert weft("run", "-d", "--cpu-weight", "300", "--disk-read", "10M", "--net-out-packets", "500", "web").status == 0
    assert fake.last().body["spec"]["limits"] == {"cpu_weight": 300, "disk_read": 10 << 20, "net_out_packets": 500}
    done = weft("run", "-d", "--cpu-weight", "lots", "web")
    assert (done.status, "--cpu-weight" in done.err, "'lots' is not a number" in done.err) == (2, True, True)


def test_an_update_changes_those_that_are_named(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/machines/web", MACHINE | {"limits": {"cpu_weight": 300, "disk_read": 1 << 20, "net_in": None}})
    fake.on("PATCH", "/v1/machines/web", {"machine": MACHINE, "live": ["limits"], "restart": []})
    assert weft("update", "--disk-read", "none", "--net-in", "2M", "web").status == 0
    assert fake.last().body["changes"] == {"limits": {"cpu_weight": 300, "net_in": 2 << 20}}
    weft("update", "--cpu-weight", "none", "--disk-read", "none", "web")
    assert fake.last().body["changes"] == {"limits": None}
