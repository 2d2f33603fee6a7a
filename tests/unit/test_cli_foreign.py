"""Machines that bring their own system, on the command line: what is asked for, and what is changed."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are of where we are."""
    monkeypatch.chdir("/usr")


@pytest.mark.parametrize(
    ("options", "foreign"),
    [
        (("--cdrom", "a.iso", "--cdrom", "/b.iso"), {"cdroms": ["/usr/a.iso", "/b.iso"]}),
        (("--floppy-drive", "f.img", "--disk", "d.img"), {"floppy_drive": "/usr/f.img", "disks": ["/usr/d.img"]}),
        (("--pxe", "--boot-file", "a.ipxe", "--nic", "e1000e"), {"boot_files": ["/usr/a.ipxe"], "nic_model": "e1000e"}),
        (
            ("--pxe", "--boot-file", "cfg/default=../m.cfg", "--boot-file", "t/", "--boot-file", "./a=b"),
            {"boot_files": ["cfg/default=/m.cfg", "/usr/t/", "/usr/a=b"]},
        ),
        (("--display", "vnc", "--end", "halt"), {"display": "vnc", "end": "halt"}),
        (("--firmware", "uefi"), {"firmware": "uefi"}),
    ],
)
def test_a_machine_has_in_its_drives_what_was_said(
    options: tuple[str, ...], foreign: dict[str, Any], fake: FakeDaemon, weft: Weft
) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    assert weft("run", "-d", *options, "foreign").status == 0
    spec = fake.last().body["spec"]
    assert (spec["image"], spec["foreign"]) == ("foreign", foreign)
    weft("run", "-d", *options)
    assert fake.last().body["spec"]["image"] == "foreign", "nothing else could be meant"


@pytest.mark.parametrize(
    ("options", "foreign"),
    [
        (("--cdrom", "a.iso"), {"cdroms": ["/usr/a.iso"]}),
        (("--firmware", "bios"), {"firmware": "bios"}),
        (("--cdrom", "none", "--floppy-drive", "none"), {"cdroms": [], "floppy_drive": None}),
        (("--boot-file", "a.ipxe", "--boot-file", "t/"), {"boot_files": ["/usr/a.ipxe", "/usr/t/"]}),
        (("--disk", "./none", "--disk", "/d.img"), {"disks": ["/usr/none", "/d.img"]}),
    ],
)
def test_a_change_names_the_drives_that_it_is_about(
    options: tuple[str, ...], foreign: dict[str, Any], fake: FakeDaemon, weft: Weft
) -> None:
    fake.on("PATCH", "/v1/machines/web", {"machine": MACHINE, "live": [], "restart": []})
    assert weft("update", *options, "web") == (0, "web\n", "")
    assert fake.last().body["changes"] == {"foreign": foreign}


@pytest.mark.parametrize(
    ("options", "plan9"),
    [
        (("-o", "user=bob", "-o", "nobootprompt=local!/dev/sdF0/fs -A"),
         {"options": {"user": "bob", "nobootprompt": "local!/dev/sdF0/fs -A"}}),
        (("-o", "none", "--ini", "none", "--root", "none"), {"options": {}, "ini": "", "root": None}),
        (("--root", "share", "--changes", "discard"), {"root": "/usr/share", "changes": "discard"}),
    ],
)  # fmt: skip
def test_a_change_may_be_about_how_plan_9_boots(
    options: tuple[str, ...], plan9: dict[str, Any], fake: FakeDaemon, weft: Weft
) -> None:
    fake.on("PATCH", "/v1/machines/web", {"machine": MACHINE, "live": [], "restart": []})
    assert weft("update", *options, "web") == (0, "web\n", "")
    assert fake.last().body["changes"] == {"foreign": {"plan9": plan9}}


def test_a_plan9_ini_is_read_here(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("PATCH", "/v1/machines/web", {"machine": MACHINE, "live": [], "restart": []})
    (tmp_path / "plan9.ini").write_text("user=bob\n")
    weft("update", "--ini", str(tmp_path / "plan9.ini"), "web")
    assert fake.last().body["changes"] == {"foreign": {"plan9": {"ini": "user=bob\n"}}}
    failed = weft("update", "--ini", str(tmp_path / "nothing.ini"), "web")
    assert (failed.status, "No such file" in failed.err) == (1, True)


def test_other_changes_leave_drives_alone(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("PATCH", "/v1/machines/web", {"machine": MACHINE, "live": [], "restart": []})
    weft("update", "--memory", "64M", "web")
    assert "foreign" not in fake.last().body["changes"]
