"""Which UEFI firmware a host has, by what its packages say of it, and what is said where it has none."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.host.doctor import check_firmware
from weft.host.firmware import FlashFile, UefiFirmware, choose_firmware, find_places, list_firmware, parse_descriptor
from weft.model.errors import Unavailable
from weft.model.machine import MachineSpec, Profile

QEMU = (7, 2, 22)
Q35, PC = "pc-q35-7.2", "pc-i440fx-7.2"
NVRAM = "nvram-template"


def describe(folder: Path, **other: Any) -> dict[str, Any]:
    """A descriptor as Debian has it, of files in `folder`, with other members."""
    return {
        "description": "UEFI firmware for x86_64",
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(folder / "code.fd"), "format": "raw"},
            NVRAM: {"filename": str(folder / "vars.fd"), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": ["acpi-s3", "verbose-dynamic"],
        "tags": [],
        **other,
    }


def put(folder: Path, name: str, about: Mapping[str, Any] | None = None) -> None:
    """A descriptor; an empty one if there is nothing to say."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(about) if about is not None else "")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Where the code and the template of variables are."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "code.fd").write_bytes(bytes(8192))
    (folder / "vars.fd").write_bytes(bytes(4096))
    return folder


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the host has is hidden by its user."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    *others, own = find_places({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    own.mkdir(parents=True)
    for descriptor in (file for place in others for file in place.glob("*.json")):
        put(own, descriptor.name)


SMM = [{"architecture": "x86_64", "machines": ["pc-q35-*"]}]


@pytest.mark.parametrize(
    ("board", "other"),
    [
        (Q35, {"features": ["secure-boot", "requires-smm"]}),
        (Q35, {"features": ["secure-boot", "enrolled-keys"]}),
        (Q35, {"interface-types": ["bios"]}),
        (Q35, {"targets": [{"architecture": "aarch64", "machines": ["virt-*", "pc-q35-*"]}]}),
        (Q35, {"mapping": {"device": "memory", "filename": "/ovmf.fd"}}),
        (Q35, {"mapping": {"device": "flash", "mode": "stateless", "executable": {"filename": "/c", "format": "raw"}}}),
        (Q35, {"mapping": {"device": "flash", "executable": {"filename": "/c", "format": "vmdk"}}}),
        (PC, {"targets": SMM}),
    ],
)
def test_what_boots_no_machine_of_ours(board: str, other: dict[str, Any], files: Path) -> None:
    assert parse_descriptor(json.dumps(describe(files, **other)), board) is None


def test_what_boots_one(files: Path) -> None:
    wanted = UefiFirmware(FlashFile(files / "code.fd"), FlashFile(files / "vars.fd"))
    for board in (Q35, PC):
        assert parse_descriptor(json.dumps(describe(files)), board) == wanted
    assert parse_descriptor(json.dumps(describe(files, targets=SMM)), Q35) == wanted
    assert parse_descriptor("[]", Q35) is parse_descriptor("", Q35) is None


def test_the_first_by_its_name_is_the_best_and_later_places_go_over_earlier_ones(files: Path, tmp_path: Path) -> None:
    usual, own = tmp_path / "usual", tmp_path / "own"
    gone = describe(files / "gone")
    qcow2 = describe(files)
    qcow2["mapping"][NVRAM] = {"filename": str(files / "vars.fd"), "format": "qcow2"}
    put(usual, "30-gone.json", gone)
    put(usual, "40-hidden.json", describe(files))
    put(usual, "50-plain.json", describe(files))
    put(own, "40-hidden.json")
    put(own, "60-qcow2.json", qcow2)
    found = list_firmware(Profile.Q35, QEMU, [usual, own, tmp_path / "none"])
    assert [one.template.format for one in found] == ["raw", "qcow2"]
    assert choose_firmware(found, None) == found[0]


def test_a_machine_goes_on_with_what_fits_its_variables(files: Path, tmp_path: Path) -> None:
    head = b"QFI\xfb" + struct.pack(">I16xQ", 3, 4096)
    (files / "vars.qcow2").write_bytes(head)
    code = FlashFile(files / "code.fd")
    raw, packed = (UefiFirmware(code, FlashFile(files / name, name_format)) for name, name_format in FORMATS)
    assert packed.template.size == raw.template.size == 4096
    kept = tmp_path / "kept"
    kept.write_bytes(bytes(4096))
    assert choose_firmware([packed, raw], FlashFile(kept)) == raw
    assert choose_firmware([packed], FlashFile(kept)) is None
    kept.write_bytes(head)
    assert choose_firmware([raw, packed], FlashFile(kept, "qcow2")) == packed
    kept.write_bytes(bytes(8192))
    assert choose_firmware([raw, packed], FlashFile(kept)) is None


FORMATS: tuple[tuple[str, Any], ...] = (("vars.fd", "raw"), ("vars.qcow2", "qcow2"))


def test_the_doctor_knows_the_package(files: Path, tmp_path: Path) -> None:
    missing = check_firmware(QEMU, [tmp_path])
    assert (missing.ok, missing.needed, missing.package, missing.hint) == (False, False, "ovmf", "install ovmf")
    put(tmp_path, "60-plain.json", describe(files))
    assert check_firmware(QEMU, [tmp_path]).detail == str(files / "code.fd")


@pytest.mark.usefixtures("nothing_installed")
async def test_nothing_is_made_where_there_is_none(tmp_path: Path) -> None:
    cd = tmp_path / "a.iso"
    cd.write_bytes(b"x")
    foreign = {"cdroms": [str(cd)], "firmware": "uefi"}
    spec = MachineSpec.model_validate({"name": "cat", "image": "foreign", "foreign": foreign})
    async with open_paper_fabric(tmp_path / "home") as fabric:
        with pytest.raises(Unavailable, match=r"no UEFI firmware on this host for machine 'cat' \(install ovmf"):
            await fabric.rooms.get("default").machines.create(spec)
        assert not list(fabric.rooms.get("default").site.shelves.machines)
