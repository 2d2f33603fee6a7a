"""Where roots are served, and which may be: decided on paper."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.layout import MachineFiles
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.fabric.roots.finding import RootFiles, find_home
from weft.model.errors import Invalid
from weft.model.machine import MachineSpec, NicSpec
from weft.model.network import NetworkSpec
from weft.plan.callers import GatewayPort


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_paper_room(tmp_path / "home") as opened:
        await opened.networks.create(NetworkSpec(name="walled", gateway="wall"))
        yield opened


async def make(room: Room, root: Path, *networks: str) -> MachineRecord:
    medium = room.site.home.parent / "live.iso"
    medium.write_bytes(bytes(4096))
    spec = {
        "name": "fred",
        "image": "plan9",
        "foreign": {"cdroms": [str(medium)], "plan9": {"root": str(root)}},
        "nics": [{"network": network} for network in networks],
    }
    return await room.machines.create(MachineSpec.model_validate(spec))


async def test_a_root_is_at_the_first_gateway_that_is_the_fabric(room: Room, tmp_path: Path) -> None:
    machine = await make(room, tmp_path, "walled", "lan")
    home = find_home(room.site, machine)
    assert home is not None
    assert (home.network.name, home.nic) == ("lan", machine.nics[1])
    assert {caller.port for caller in room.ports.callers.find_callers()} >= {GatewayPort.ROOT}
    plain = await room.machines.create(MachineSpec(name="plain", image="base", nics=(NicSpec(network="lan"),)))
    assert find_home(room.site, plain) is None


async def test_where_no_gateway_is_the_fabric_there_is_no_root(room: Room, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="the gateway of its network is machine wall"):
        await make(room, tmp_path, "walled")
    with pytest.raises(Invalid, match="is not a folder"):
        await make(room, tmp_path / "nowhere", "lan")
    with pytest.raises(Invalid, match="the fabric's own"):
        await make(room, tmp_path / "home" / "run", "lan")


def test_each_image_has_changes_of_its_own(tmp_path: Path) -> None:
    files = MachineFiles(tmp_path)
    folders = {RootFiles.of(files, image).folder for image in ("nine", "h.example/nine:1", "h.example/nine:2")}
    assert len(folders) == 3
    assert all(folder.parent == files.roots for folder in folders)
