"""The main job once more as an ordinary user: no privilege, no group, and a /dev/net/tun that anybody may open."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from benchmarks.harness.appliance import add_appliance
from tests.host.registries import busybox_layers, make_sample, open_registry
from tests.machine.fabrics import PATIENCE, TestFabric, open_fabric, wait_for
from tests.machine.roots import make_root
from tests.machine.serial_lines import ask, type_line, wait_ready
from tests.machine.test_limits import RATE, read_rate
from tests.multiboot.building import TestKernels
from tests.multiboot.media import make_cd, make_floppy, read_floppy
from tests.ordinary import AS_ROOT, BECOME, UID, private_mounts

from weft.client.starting import is_answering

HOLD = ["sh", "-c", "echo ready; exec sleep 3600"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that an ordinary user may enter; pytest's own are for their owner only."""
    with tempfile.TemporaryDirectory(prefix="weft-rootless-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "stage").mkdir()
        yield path


@pytest.fixture
def become(folder: Path, request: pytest.FixtureRequest) -> Iterator[Sequence[str]]:
    """Puts a command where /dev/net/tun has the mode that is asked for, as an ordinary user."""
    if not AS_ROOT:
        yield ()
        return
    mode = getattr(request, "param", "666")
    holder = subprocess.Popen([*private_mounts(folder / "stage", mode), *HOLD], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"ready\n"
    yield ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--", *BECOME]
    holder.kill()
    holder.communicate()


@pytest.fixture
def fabric(folder: Path, become: Sequence[str]) -> Iterator[TestFabric]:
    """A fabric in a folder of that user."""
    home = Path(tempfile.mkdtemp(dir=folder)) / "home"
    fabric = TestFabric(home, prefix=become)
    if AS_ROOT:
        # Not the payloads: these are shared with the prepared home, and anybody may read them.
        for path in (home.parent, home, *home.rglob("*")):
            if path.stat().st_nlink == 1 or path.is_dir():
                os.chown(path, UID, UID)
    yield fabric
    if is_answering(home):
        fabric.close()
    assert not fabric.leftovers()


def uids(pid: int) -> set[int]:
    """Whom a process is, in all four ways."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(uid) for line in status if line.startswith("Uid:") for uid in line.split()[1:]}


def test_the_main_job_needs_no_privilege(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "-p", "80", "web")
    fabric.run("run", "-d", "--name", "client", "--expose", "room", "base")
    tree = "trans=tcp,version=9p2000,port=5640,cache=none,noextend 10.87.0.1 /m"
    script = f"mkdir /m && mount -t 9p -o {tree} && cat /m/machine/web/status && umount /m"
    assert fabric.exec("client", "sh", "-c", script).split()[:2] == ["web", "running"]
    assert "<html" in fabric.exec("client", "wget", "-q", "-O", "-", "http://web/").lower()
    assert fabric.json("inspect", "client")["networks"][0]["pinned"]
    fabric.exec("client", "ip", "addr", "add", "10.87.0.99/24", "dev", "eth0")
    assert " 0 packets received" in fabric.exec(
        "client", "ping", "-c", "2", "-i", "0.2", "-W", "1", "-I", "10.87.0.99", "web", check=False
    )
    with fabric.client.open_exec("client", ["sh", "-c", "ping -c 150 -i 0.05 web > /tmp/ping 2>&1 &"]) as session:
        list(session)
    fabric.run("insert", "sniffer", "--before", "web", "--name", "eye")
    assert fabric.chain("web") == [("eye", "active")]
    before = {machine["name"]: machine["pid"] for machine in fabric.json("ps")}
    daemon = fabric.daemon_pid()
    if AS_ROOT:
        assert all(uids(pid) == {UID} for pid in (daemon, *before.values()))
    os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not is_answering(fabric.home), "the daemon is dead")
    assert {machine["name"]: machine["pid"] for machine in fabric.json("ps")} == before
    assert fabric.chain("web") == [("eye", "active")]
    (published,) = fabric.json("port", "web")
    url = f"http://127.0.0.1:{published['host_port']}/"
    assert b"<html" in subprocess.run(["curl", "-s", "-m", str(PATIENCE), url], capture_output=True, check=True).stdout
    if AS_ROOT:
        assert fabric.refusal("run", "-d", "--name", "low", "-p", "1:1", "base") == "unavailable"
    fabric.run("cp", "web:/srv", str(fabric.home.parent / "copy"))
    fabric.run("cp", str(fabric.home.parent / "copy"), "client:/tmp")
    assert "www" in fabric.exec("client", "ls", "/tmp/copy")
    view = json.loads(fabric.text("stats", "--no-stream", "--format", "json", "web"))
    assert view["cpu_seconds"] > 0 and view["resident"] > 0 and view["nics"][0]["sent"] > 0
    fabric.run("eject", "eye")
    assert fabric.text("fork", "client", "--name", "twin") == "twin\n"
    assert "1 packets received" in fabric.exec("twin", "ping", "-c", "1", "-W", "5", "web")
    assert fabric.text("fork", "room:default", "staging").split() == ["web", "client", "twin"]
    assert fabric.refusal("fork", "room:default", "shade", "--shadow") == "unavailable"
    fabric.run("rm", "-f", "twin")
    fabric.run("room", "rm", "-f", "staging")
    report = wait_for(lambda: fabric.exec("client", "grep", "packets", "/tmp/ping", check=False), "ping's report")
    assert "150 packets transmitted, 150 packets received" in report
    assert fabric.chain("web") == []


def test_media_of_ones_own(fabric: TestFabric, multiboot_kernels: TestKernels) -> None:
    place = fabric.home.parent
    cd, floppy = make_cd(place / "live.iso", multiboot_kernels.aout), make_floppy(place / "floppy.img", "color=red\n")
    floppy.chmod(0o600)
    media = ["--memory", "64M", "--cdrom", str(cd), "--floppy-drive", str(floppy)]
    if AS_ROOT:
        assert fabric.refusal("run", "-d", "--name", "live", *media, "foreign") == "unavailable"
        os.chown(floppy, UID, UID)
    fabric.run("run", "-d", "--name", "live", *media, "foreign")
    wait_ready(fabric, "live")
    type_line(fabric, "live", "save color=blue", "saved")
    fabric.run("stop", "live")
    assert read_floppy(floppy) == "color=red\ncolor=blue\n"


def test_a_root_of_ones_own(fabric: TestFabric, multiboot_kernels: TestKernels) -> None:
    kernel = fabric.home.parent / "9pc"
    kernel.write_bytes(multiboot_kernels.aout.read_bytes())
    fabric.run("kernel", "import", str(kernel), "--name", "9pc")
    fabric.run("image", "import", "-t", "nine", "--kind", "plan9", "-", input=make_root())
    fabric.run("run", "-d", "--name", "fred", "--kernel", "9pc", "nine")
    wait_ready(fabric, "fred")
    ask(fabric, "fred", "write /lib/hello changed")
    assert ask(fabric, "fred", "cat /lib/hello").startswith("changed")
    fabric.run("rm", "-f", "fred")


def test_volumes_and_folders_of_ones_own(fabric: TestFabric, folder: Path) -> None:
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "theirs").write_text("theirs")
    if AS_ROOT:
        os.chown(place, UID, UID)
        (place / "theirs").chmod(0o600)
    fabric.run("ps")
    mounts = [
        {"kind": "volume", "source": "data", "target": "/data"},
        {"kind": "host", "source": str(place), "target": "/host"},
    ]
    fabric.client.create_machine({"name": "box", "image": "base", "nics": [], "mounts": mounts})
    script = (
        "echo x > /data/x; sync; mkdir /host/d; echo x > /host/d/f; chmod 600 /host/d/f; cat /host/d/f /host/theirs"
    )
    said = fabric.exec("box", "sh", "-c", script, check=False)
    assert said == ("x\n" if AS_ROOT else "x\ntheirs")
    made = {(path.stat().st_uid, path.stat().st_gid) for path in (place / "d", place / "d" / "f")}
    assert made == {(UID, UID) if AS_ROOT else (os.geteuid(), os.getegid())}
    fabric.run("restart", "box")
    assert fabric.exec("box", "cat", "/data/x", "/host/d/f") == "x\nx\n"
    fabric.run("rm", "-f", "box")
    assert fabric.text("volume", "rm", "data") == "data\n"


def test_settings_of_an_appliance_of_ones_own(fabric: TestFabric) -> None:
    add_appliance(fabric.home)
    fabric.run("run", "-d", "--name", "gate", "gate")
    fabric.run("config", "set", "gate", "lan.mtu=1400")
    assert fabric.exec("gate", "cat", "/sys/class/net/eth0/mtu", "/media/floppy/settings.toml", check=False) == "1400\n"
    floppy = Path(fabric.json("inspect", "gate")["floppy"])
    assert floppy.stat().st_uid == (UID if AS_ROOT else os.geteuid())
    assert fabric.refusal("config", "set", "gate", "mode=broken") == "invalid"
    assert "lan.mtu = 1400" in fabric.text("floppy", "read", str(floppy), "settings.toml")
    assert [one["why"] for one in fabric.json("config", "history", "gate")] == ["lan.mtu set"]


def test_a_dead_appliance_is_bypassed_here_too(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    fabric.run("insert", "sniffer", "--before", "web", "--name", "weak")
    os.kill(fabric.client.machine("weak")["pid"], signal.SIGKILL)
    wait_for(lambda: fabric.chain("web") == [("weak", "bypassed")], "it is bypassed")
    assert fabric.exec("weak", "true", check=False) == ""
    fabric.run("rm", "-f", "web")
    assert fabric.json("ps", "-a") == []


def test_doctor_finds_nothing_missing(fabric: TestFabric) -> None:
    checks = fabric.doctor()
    assert checks["taps"]["ok"] and checks["filters"]["ok"] and checks["sandbox"]["ok"], checks
    assert checks["network namespace"]["detail"] == "in a user namespace"


@pytest.fixture
def owner(folder: Path) -> Iterator[TestFabric]:
    """A fabric of root's in a folder that is open to everybody."""
    theirs = Path(tempfile.mkdtemp(dir=folder))
    theirs.chmod(0o755)
    with open_fabric(theirs / "home") as owner:
        owner.run("ps")
        yield owner


@pytest.mark.skipif(not AS_ROOT, reason="only root can be two users")
def test_a_fabric_is_its_owners_alone(owner: TestFabric, become: Sequence[str]) -> None:
    done = subprocess.run([*become, *owner.argv, "ps"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    reason = "cannot be reached: Permission denied (it belongs to another user)"
    assert done.stderr == f"weft: unavailable: the daemon in {owner.home} {reason}\n"
    kept = [owner.home / name for name in ("weft.sock", "weft.db", "run", "machines")]
    assert [path.name for path in kept if path.stat().st_mode & 0o077] == []


@pytest.mark.skipif(not AS_ROOT, reason="only root can close the node")
@pytest.mark.parametrize("become", ["600"], indirect=True)
def test_without_access_to_tun_doctor_and_run_say_so(fabric: TestFabric) -> None:
    taps = fabric.doctor()["taps"]
    assert not taps["ok"] and taps["needed"]
    assert "/dev/net/tun" in taps["hint"]
    done = fabric.run("run", "-d", "--name", "web", "web", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"weft: unavailable: "), done.stderr
    assert b"/dev/net/tun" in done.stderr
    assert fabric.json("ps", "-a") == []


def test_an_image_from_a_registry(fabric: TestFabric, tmp_path: Path) -> None:
    with open_registry(tmp_path) as registry:
        reference = registry.put(make_sample(busybox_layers()), "hello")
        assert fabric.run("run", "--rm", reference).stdout.startswith(b"hello")
        data = fabric.run("image", "export", reference).stdout
        assert fabric.run("image", "import", "-t", "again", "-", input=data).stdout.startswith(b"again ")
        assert reference in fabric.text("image", "prune", "--all")


def test_rooms_side_by_side(fabric: TestFabric) -> None:
    for room in ("acme", "bolt"):
        fabric.run("room", "create", room)
        fabric.run("--room", room, "network", "create", "lan", "--subnet", "10.20.1.0/24")
    assert [view["room"] for view in fabric.json("network", "ls", "-A")] == ["acme", "bolt"]
    fabric.run("room", "rm", "bolt")
    assert [view["name"] for view in fabric.json("room", "ls")] == ["default", "acme"]


def test_limits_of_disks_and_networks_need_no_privilege(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "reader", "--disk-read", "256K", "--net-out-packets", "100", "base")
    said = fabric.json("inspect", "reader")["enforced"]
    assert "network not enforced" not in said and "disks not enforced" not in said
    assert read_rate(fabric, "reader") < 1.2 * RATE
    fabric.run("update", "--disk-read", "none", "--net-out-packets", "none", "reader")
    assert read_rate(fabric, "reader") > 2 * RATE
