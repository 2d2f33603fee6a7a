"""What the host is: facts, the accelerator's probe, the doctor."""

import json
import os
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT

from weft.host.accelerator import TCG, dump_boot_sector, find_accelerator, probe
from weft.host.doctor import Program, check_program, diagnose, missing_packages
from weft.host.facts import find_facts, parse_khz, parse_qemu_version
from weft.model.errors import Unavailable

pytestmark = pytest.mark.host


def test_versions_are_read():
    assert parse_qemu_version("QEMU emulator version 7.2.22 (Debian 1:7.2)") == (7, 2, 22)
    assert parse_qemu_version("something else") == (0, 0, 0)


def test_the_clock_is_read():
    assert parse_khz("processor\t: 0\ncpu MHz\t\t: 2599.996\n") == 2599996
    assert parse_khz("") == 0


async def test_facts_are_of_this_host(tmp_path: Path):
    facts = await find_facts(tmp_path)
    assert facts.qemu.endswith("qemu-system-x86_64")
    assert facts.qemu_version >= (7, 2, 0)
    assert facts.accel in ("kvm", "tcg")
    assert facts.accel_reason
    assert facts.cpus >= 1
    assert facts.memory_bytes > 1 << 28
    assert facts.root is AS_ROOT


async def test_a_probe_is_made_once_per_boot(tmp_path: Path):
    await find_facts(tmp_path)
    cache = tmp_path / "facts.json"
    kept = json.loads(cache.read_text())
    cache.write_text(json.dumps({**kept, "reason": "kept"}))
    assert (await find_facts(tmp_path)).accel_reason == "kept"
    cache.write_text(json.dumps({**kept, "key": "another boot", "reason": "kept"}))
    assert (await find_facts(tmp_path)).accel_reason != "kept"
    cache.write_text("half a f")
    assert (await find_facts(tmp_path)).accel_reason != "kept"


async def test_a_set_accelerator_is_taken(tmp_path: Path):
    assert (await find_facts(tmp_path, "tcg")).accel == "tcg"
    assert not (tmp_path / "facts.json").exists()


async def test_the_probe_guest_runs():
    assert len(dump_boot_sector()) == 512
    assert await probe("qemu-system-x86_64", TCG, deadline=30) is None


async def test_a_probe_that_hangs_is_ended():
    for_ever = b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa"
    assert "within 1 s" in str(await probe("qemu-system-x86_64", TCG, deadline=1, boot_sector=for_ever))


async def test_a_probe_that_fails_says_why():
    assert "no-such" in str(await probe("qemu-system-x86_64", "no-such-accelerator"))
    assert "not installed" in str(await probe("no-such-emulator", TCG))


async def test_a_device_alone_is_no_proof(tmp_path: Path):
    device = tmp_path / "kvm"
    assert "does not exist" in (await find_accelerator("qemu-system-x86_64", device)).reason
    device.write_text("")
    found = await find_accelerator("qemu-system-x86_64", device, "flags\t\t: fpu sse2\n")
    assert (found.name, "neither vmx nor svm" in found.reason) == (TCG, True)


@pytest.mark.skipif(AS_ROOT, reason="root opens everything")
async def test_a_closed_device_is_told(tmp_path: Path):
    device = tmp_path / "kvm"
    device.write_text("")
    device.chmod(0)
    assert "may not be opened" in (await find_accelerator("qemu-system-x86_64", device)).reason


async def test_the_doctor_looks_at_everything_and_leaves_nothing(tmp_path: Path):
    checks = {check.name: check for check in await diagnose(tmp_path)}
    assert {"qemu version", "accelerator", "control groups", "sandbox", "network namespace"} <= set(checks)
    assert {"links", "filters", "taps", "firewall"} <= set(checks)
    for check in checks.values():
        assert check.ok or check.hint, check
    for name in ("sandbox", "links", "filters", "firewall", "pins"):
        assert checks[name].ok, checks[name]
    assert checks["taps"].ok == os.access("/dev/net/tun", os.R_OK | os.W_OK)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["facts.json"])


def test_a_missing_program_names_its_package():
    missing = check_program(Program("no-such-program", "no-such-package", "does nothing"))
    assert not missing.ok
    assert missing_packages([missing, missing]) == ["no-such-package"]
    assert missing_packages([check_program(Program("sh", "dash", "runs scripts"))]) == []


def test_the_error_of_a_missing_program_points_to_the_doctor():
    from weft.host.process import program

    with pytest.raises(Unavailable, match="weft doctor"):
        program("no-such-program")
