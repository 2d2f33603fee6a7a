"""Media that boot by UEFI: firmware that all machines share, and variables that each keeps."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.serial_lines import type_line, wait_said
from tests.uefi.building import build_program, make_uefi_cd

SMALL = ("--memory", "64M")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("uefi") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(tmp_path_factory.mktemp("program"))


def test_a_cd_that_knows_no_bios_boots_and_keeps_its_variables(
    shared: TestFabric, program: Path, tmp_path: Path
) -> None:
    cd = make_uefi_cd(tmp_path / "live.iso", program)
    shared.run("run", "-d", "--name", "modern", *SMALL, "--cdrom", str(cd), "foreign")
    wait_said(shared, "modern", "No bootable device")
    shared.run("kill", "modern")
    shared.run("update", "--firmware", "uefi", "modern")
    assert shared.client.machine("modern")["foreign"]["firmware"] == "uefi"
    shared.run("start", "modern")
    wait_said(shared, "modern", "boots: 1\nready\n% ")
    shared.run("kill", "modern")
    shared.run("start", "modern")
    wait_said(shared, "modern", "boots: 2\nready\n% ")
    type_line(shared, "modern", "off")
    wait_for(lambda: shared.client.machine("modern")["state"] == "stopped", "it powers off")
    (variables,) = shared.home.glob("machines/modern/variables.*")
    os.truncate(variables, 4096)
    assert shared.refusal("start", "modern") == "unavailable", "other firmware had them"
    shared.run("rm", "modern")
    assert not variables.parent.exists()


def test_a_program_comes_over_the_network(shared: TestFabric, program: Path) -> None:
    boot = ["--firmware", "uefi", "--profile", "pc", "--pxe", "--boot-file", str(program)]
    shared.run("run", "-d", "--name", "caller", *SMALL, "--nic", "e1000e", *boot, "foreign")
    assert "program.efi... ok" in wait_said(shared, "caller", "boots: 1\nready\n% ")
