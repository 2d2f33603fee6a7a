"""Settings of a real appliance: told at boot, applied live, committed from inside, kept over a pulled plug."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.harness.appliance import add_appliance
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

COMMIT = """
sed 's/"mode": "[a-z]*"/"mode": "MODE"/' /run/weft/settings.json >/tmp/new && cat /tmp/new >/run/weft/settings.json
/proc/1/exe commit </run/weft/settings.json
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with the machine `gate`, run from a floppy of the host that somebody has written by hand."""
    folder = tmp_path_factory.mktemp("gate")
    with open_fabric(folder / "home") as fabric:
        add_appliance(fabric.home)
        floppy = str(folder / "acme.img")
        fabric.run("floppy", "create", floppy)
        fabric.run("floppy", "write", floppy, "settings.toml", input=b"lan.mtu = 1400\nhostname = 'tor'\n")
        fabric.run("floppy", "write", floppy, "keys/id", input=b"s3cret")
        fabric.run("run", "-d", "--name", "gate", "--floppy", floppy, "gate")
        yield fabric


def running(fabric: TestFabric) -> dict[str, object]:
    """What the machine says its settings are."""
    found: dict[str, object] = json.loads(fabric.exec("gate", "cat", "/run/weft/settings.json"))
    return found


def mtu(fabric: TestFabric) -> int:
    return int(fabric.exec("gate", "cat", "/sys/class/net/eth0/mtu"))


def test_it_is_told_at_boot_and_applies_before_anybody_waits_for_it(gate: TestFabric) -> None:
    assert running(gate) == {"hostname": "tor", "mode": "open", "lan.mtu": 1400}
    assert gate.exec("gate", "hostname") == "tor\n" and mtu(gate) == 1400
    assert gate.exec("gate", "cat", "/media/floppy/keys/id") == "s3cret"
    assert gate.exec("gate", "sh", "-c", "echo x >/media/floppy/x || echo no") == "no\n"
    assert gate.exec("gate", "sh", "-c", ". /run/weft/settings.env; echo $WEFT_LAN_MTU") == "1400\n"


def test_a_change_is_applied_without_a_restart_and_saved(gate: TestFabric) -> None:
    started = gate.json("inspect", "gate")["started"]
    assert "revision 1" in gate.text("config", "set", "gate", "lan.mtu=1300", "hostname=burg", "key=x")
    assert mtu(gate) == 1300 and gate.exec("gate", "hostname") == "burg\n"
    assert "burg" in gate.exec("gate", "cat", "/etc/hosts")
    assert gate.exec("gate", "stat", "-c", "%a", "/run/weft/settings.json") == "600\n"
    assert gate.json("inspect", "gate")["started"] == started


def test_a_refusal_leaves_everything_as_it_was(gate: TestFabric) -> None:
    before = running(gate)
    done = gate.run("config", "set", "gate", "mode=broken", "lan.mtu=1200", check=False)
    assert done.stderr == b"weft: invalid: the appliance refuses: mode broken is not possible here\n"
    assert running(gate) == before and mtu(gate) == 1300
    assert json.loads(gate.exec("gate", "cat", "/run/applied")) == before
    assert len(gate.json("config", "history", "gate")) == 1


def test_a_program_in_the_machine_commits(gate: TestFabric) -> None:
    gate.exec("gate", "sh", "-c", COMMIT.replace("MODE", "strict"))
    (newest, _) = gate.json("config", "history", "gate")
    assert (newest["by"], newest["why"]) == ("the machine", "mode set")
    refused = gate.run("exec", "gate", "--", "sh", "-c", COMMIT.replace("MODE", "wrong"), check=False)
    assert b"mode: 'wrong' is none of open, strict" in refused.stderr and refused.returncode != 0
    gate.run("config", "revert", "gate")
    assert running(gate)["mode"] == "strict"


def test_settings_outlive_daemon_and_machine(gate: TestFabric) -> None:
    gate.kill_daemon()
    gate.run("config", "set", "gate", "lan.mtu=1250")
    gate.run("kill", "gate")
    gate.run("config", "set", "gate", "mode=open")
    gate.run("start", "gate")
    assert running(gate) == {"hostname": "burg", "mode": "open", "lan.mtu": 1250, "key": "x"} and mtu(gate) == 1250
    assert gate.json("inspect", "gate")["settings"] == "revision 4"


def test_failsafe_and_the_button(gate: TestFabric) -> None:
    floppy = Path(gate.json("inspect", "gate")["floppy"])
    before = floppy.read_bytes()
    gate.run("reset", "--failsafe", "gate")
    assert running(gate) == {"hostname": "gate", "mode": "open", "lan.mtu": 1500}
    assert "failsafe" in gate.json("inspect", "gate")["settings"] and floppy.read_bytes() == before
    gate.run("reset", "-y", "--no-wait", "gate")
    wait_for(lambda: gate.json("inspect", "gate")["state"] == "running", "it runs again")
    assert gate.json("config", "history", "gate") == [] and gate.json("floppy", "ls", str(floppy))["files"] == []
    assert gate.json("inspect", "gate")["settings"] == "factory defaults"
