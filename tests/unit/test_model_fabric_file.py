"""Fabric files: what people write becomes the same long form, and that becomes specs."""

from typing import Any

import pytest
from pydantic import ValidationError

from weft.model.fabric_file import FabricFile, NetworkFile, RoomFile, VolumeFile
from weft.model.insert import Mode
from weft.model.machine import MachineRestart, MachineSpec
from weft.model.machine_file import HealthFile, MachineFile
from weft.model.mount import MountKind

ROOM: dict[str, Any] = {
    "networks": {"wan": {"uplink": True}, "lan": {"subnet": "10.20.1.0/24", "gateway": "fw"}, "dmz": "10.20.2.0/24"},
    "machines": {
        "fw": {"image": "firewall", "networks": ["wan", "lan", "dmz"], "publish": ["8080:80", 53]},
        "web": {
            "image": "web",
            "networks": {"dmz": {"address": "10.20.2.10"}},
            "memory": "64M",
            "restart": "on-failure:4",
            "after": "fw",
        },
        "old": {
            "build": "./old",
            "networks": {"lan": "10.20.1.9"},
            "command": "sleep '1 2'",
            "env": ["A=b=c", "N=1"],
            "volumes": ["data:/srv", "./www:/www:ro"],
            "tmpfs": ["/run:size=1M"],
            "health": {"command": "true; true", "interval": "1m"},
            "state": "stopped",
        },
        "plain": "base",
        "bare": None,
    },
    "inserts": {"tap": {"appliance": "sniffer", "before": "web", "mode": "copy", "for": "10m"}},
    "volumes": {"data": "2G", "more": None},
}


def read(room: dict[str, Any]) -> RoomFile:
    return FabricFile.model_validate({"rooms": {"acme": room}}, context={"folder": "/etc/weft"}).rooms["acme"]


def test_short_forms_become_long_ones() -> None:
    room = read(ROOM)
    assert str(room.networks["dmz"].subnet) == "10.20.2.0/24"
    old = room.machines["old"]
    assert (old.command, old.env) == (("sleep", "1 2"), {"A": "b=c", "N": "1"})
    assert [(mount.kind, mount.source) for mount in old.volumes] == [
        (MountKind.VOLUME, "data"),
        (MountKind.HOST, "/etc/weft/www"),
    ]
    assert old.health == HealthFile(command=("/bin/sh", "-c", "true; true"), interval=60.0)
    assert (old.build, old.image_name) == ("/etc/weft/old", "old")
    assert (room.machines["plain"].image, room.machines["bare"].image) == ("base", None)
    assert room.volumes == {"data": VolumeFile(size=2 << 30), "more": VolumeFile()}


def test_what_was_read_can_be_written_and_read_again() -> None:
    file = FabricFile.model_validate({"rooms": {"acme": ROOM}, "x-mine": 1})
    assert FabricFile.model_validate_json(file.model_dump_json(by_alias=True)) == file
    assert FabricFile.model_validate(file.model_dump()) == file


def test_parts_become_specs() -> None:
    room = read(ROOM)
    web = room.machine_specs()["web"]
    assert web.restart is MachineRestart.ON_FAILURE and (web.max_restarts, web.memory) == (4, 64 << 20)
    assert web.nics and str(web.nics[0].address) == "10.20.2.10"
    assert room.machine_specs()["plain"] == MachineSpec(name="plain", image="base")
    assert room.network_specs()["lan"].gateway == "fw"
    tap = room.inserts["tap"].to_spec("tap")
    assert (tap.mode, tap.before, tap.lifetime, tap.position) == (Mode.COPY, "web:0", 600.0, None)
    assert room.volume_specs()["data"].size == 2 << 30


def test_no_nic_and_no_health_check() -> None:
    machine = MachineFile.model_validate({"image": "base", "networks": "none", "health": "none", "restart": "no"})
    spec = machine.to_spec("m")
    assert (spec.nics, spec.no_health, spec.health, spec.restart) == ((), True, None, MachineRestart.NEVER)


def test_a_plain_text_is_the_main_thing() -> None:
    assert NetworkFile.model_validate("10.1.2.0/24") == NetworkFile.model_validate({"subnet": "10.1.2.0/24"})
    assert HealthFile.model_validate("true").command == ("/bin/sh", "-c", "true")


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        read(
            {
                "machines": {
                    "a": {"image": "base", "memroy": "64M", "memory": "much", "env": {"A": None}},
                    "B": {"publish": ["x"], "stop_signal": "SIGNOTHING", "volumes": ["/x"], "user": []},
                }
            }
        )
    places = {error["loc"][3:] for error in caught.value.errors()}
    assert places == {
        ("a", "memroy"),
        ("a", "memory"),
        ("a", "env"),
        ("B", "[key]"),
        ("B", "publish", 0),
        ("B", "stop_signal"),
        ("B", "volumes", 0),
        ("B", "user"),
    }
