"""The walls: what a program inside can see, be and do."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT
from tests.host.waiting import is_program, wait_until

from weft.host.frugality import plan_frugality
from weft.host.namespace import Namespace
from weft.host.process import run, start_latched
from weft.host.sandbox import Bind, Identity, plan_sandbox
from weft.host.seccomp import open_filter

pytestmark = pytest.mark.host


async def inside(script: str, identity: Identity | None, **more: object) -> str:
    argv = plan_sandbox(["/bin/sh", "-c", script], identity=identity, **more)  # type: ignore[arg-type]
    return (await run(argv)).text


async def test_only_what_was_given_is_there(identity: Identity | None, tmp_path: Path):
    given = tmp_path / "given"
    given.write_text("mine")
    given.chmod(0o644)
    seen = await inside("ls /; ls /machine; cat /machine/disk", identity, binds=[Bind(given, "disk")])
    assert set(seen.split()) <= {
        "bin",
        "sbin",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "usr",
        "etc",
        "dev",
        "machine",
        "disk",
        "mine",
    }
    assert "mine" in seen


async def test_the_hosts_secrets_are_not_there(identity: Identity | None):
    script = "for f in /etc/shadow /etc/passwd /root /home /proc /sys /run /var; do test -e $f && echo $f; done; true"
    assert await inside(script, identity) == ""


async def test_it_is_somebody_without_powers(identity: Identity | None, namespace: Namespace):
    latched = start_latched(plan_sandbox(["sleep", "60"], identity=identity))
    latched.release()
    await wait_until(lambda: (found := latched.process.children()) and is_program(found[0].pid, "sleep"))
    (child,) = latched.process.children()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines())
    expected = identity.uid if identity else os.geteuid()
    assert set(status["Uid"].split()) == {str(expected)}
    assert set(status["Gid"].split()) == {str(identity.gid if identity else os.getegid())}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert status["NoNewPrivs"] == "1"
    for kind in ("net", "ipc", "uts", "mnt", "pid"):
        assert not Path(f"/proc/{child.pid}/ns/{kind}").samefile(f"/proc/self/ns/{kind}")
    child.send(signal.SIGKILL)
    await latched.watch.wait()


async def test_nothing_can_be_written_but_what_was_given_so(identity: Identity | None, tmp_path: Path):
    for name in ("closed", "open"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o666)
    binds = [Bind(tmp_path / "closed", "closed"), Bind(tmp_path / "open", "open", writable=True)]
    paths = "/x /etc/x /usr/x /machine/x /machine/closed /machine/open"
    script = f"for f in {paths}; do (echo 1 > $f) 2>&- && echo $f; done; true"
    assert await inside(script, identity, binds=binds) == "/machine/open\n"
    assert (tmp_path / "open").read_text() == "1\n"


async def test_it_sees_no_network_and_no_process(identity: Identity | None):
    assert await inside("echo $$; kill -0 2 2>&- || echo alone", identity) == "1\nalone\n"


async def test_what_a_filter_leaves_out_is_not_done_and_not_noticed(identity: Identity | None, tmp_path: Path):
    given = tmp_path / "given"
    rules = plan_frugality("kvm", borrowed=True, disks=False)
    for expected, filtered in ((b"x", True), (b"\0", False)):
        given.write_bytes(b"x" * 8192)
        given.chmod(0o666)
        binds = [Bind(given, "disk", writable=True)]
        with ExitStack() as stack:
            fds = [open_filter(stack, rules)] if filtered else []
            argv = ["/usr/bin/fallocate", "--punch-hole", "--offset", "0", "--length", "4096", "/machine/disk"]
            walls = plan_sandbox(argv, identity=identity, binds=binds, filter_fd=fds[0] if fds else None)
            latched = start_latched(walls, fds=fds)
            latched.release()
            assert await latched.watch.wait() == 0
        assert given.read_bytes() == expected * 4096 + b"x" * 4096


async def test_it_can_stay_in_the_namespace_it_was_started_in(namespace: Namespace, identity: Identity | None):
    latched = start_latched(namespace.argv(plan_sandbox(["sleep", "60"], identity=identity, share_net=True)))
    latched.release()
    await wait_until(latched.process.children)
    (child,) = latched.process.children()
    assert Path(f"/proc/{child.pid}/ns/net").samefile(f"/proc/{namespace.keeper.process.pid}/ns/net")
    child.send(signal.SIGKILL)
    await latched.watch.wait()


@pytest.mark.skipif(not AS_ROOT, reason="only root gives files to others")
async def test_a_file_for_one_machine_is_closed_to_another(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.write_text("secret")
    disk.chmod(0o600)
    os.chown(disk, 70123, 70123)
    script = "cat /machine/disk 2>&- || echo refused"
    assert await inside(script, Identity(70123, 70123), binds=[Bind(disk, "disk")]) == "secret"
    assert await inside(script, Identity(70124, 70124), binds=[Bind(disk, "disk")]) == "refused\n"


def test_a_host_before_the_usr_merge_is_understood(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib64").symlink_to("usr/lib64")
    planned = " ".join(plan_sandbox(["x"], host_root=tmp_path))
    assert "--ro-bind /bin /bin" in planned
    assert "--symlink usr/lib64 /lib64" in planned
    assert "/sbin" not in planned.split("--")[0] + planned.partition("--ro-bind /usr")[2]


def test_devices_and_groups_are_passed_on():
    planned = plan_sandbox(["qemu"], devices=[Path("/dev/kvm")], identity=Identity(5, 6, (7, 8)))
    at = planned.index("--dev-bind")
    assert planned[at + 1 : at + 3] == ["/dev/kvm", "/dev/kvm"]
    assert "--groups=7,8" in planned
    assert planned[-1] == "qemu"
