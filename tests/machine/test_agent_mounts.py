"""What is mounted and written before anything starts: memory, disks, folders of disks and of the host, fixed roots."""

import subprocess
from pathlib import Path

import pytest
from tests.machine.agent_machine import SQUASHFS, boot, boot_agent, build_image, build_root, find_busybox

from weft.guest.agent import Agent
from weft.guest.config import GuestConfig, GuestFile, GuestMount
from weft.guest.protocol import ExitStatus

pytestmark = pytest.mark.machine


async def run(agent: Agent, script: str) -> str:
    async with await agent.exec(["/bin/sh", "-c", script]) as process:
        status, out, err = await process.collect()
    assert (status.code, err) == (0, b""), (script, status, out, err)
    return out.decode()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """busybox, and content at places that are mounted over."""
    directory = tmp_path_factory.mktemp("image")
    files = {
        "bin/": (0o755, b""),
        "bin/sh": (0o755, find_busybox()),
        "run/": (0o755, b""),
        "run/db/": (0o2770, b""),
        "srv/": (0o751, b""),
        "srv/data/": (0o750, b""),
        "srv/data/one": (0o640, b"first"),
        "srv/data/setuid": (0o4755, b"second"),
        "tmp/": (0o1777, b""),
        "tmp/left": (0o644, b"by a build"),
    }
    return build_image(directory, files, {"srv/link": "data/one", "var": "srv"})


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.ext4"
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", path, "16M"], check=True)
    return path


async def test_memory_disks_and_host_folders(tmp_path: Path, image: Path, disk: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share/hello").write_text("from the host")
    mounts = (
        GuestMount("/srv", "ext4", serial="disk", sub="content", copy=True),
        GuestMount("/srv/deep/er", "ext4", serial="disk", sub="other"),
        GuestMount("/fixed", "ext4", serial="disk", sub="content", read_only=True),
        GuestMount("/host", "9p", tag="share"),
        GuestMount("/host-fixed", "9p", tag="again", read_only=True),
        GuestMount("/scratch", "tmpfs", size=1 << 20),
        GuestMount("/run/db", "tmpfs"),
    )
    files = (GuestFile("/etc/app/app.conf", "a = 1\n", 0o600), GuestFile("/run/x", ""))
    config = GuestConfig(root=SQUASHFS, overlay="50%", mounts=mounts, files=files, cwd="/made/by/init")
    options = {
        "drives": {"root": image},
        "disks": {"disk": disk},
        "shares": dict.fromkeys(("share", "again"), tmp_path / "share"),
    }
    async with boot_agent(tmp_path, config, **options) as (machine, agent):
        seen = await run(agent, "cd /srv; busybox stat -c '%n %a' . data data/one data/setuid; busybox readlink link")
        assert seen == ". 751\ndata 750\ndata/one 640\ndata/setuid 4755\ndata/one\n"
        assert await run(agent, "busybox cat /fixed/data/one /var/data/one /host/hello") == "firstfirstfrom the host"
        assert await run(agent, "busybox stat -c '%a' /scratch /run/db /etc/app/app.conf") == "1777\n2770\n600\n"
        refused = "for f in /fixed/x /host-fixed/x; do (echo > $f) 2>/dev/null || echo refused; done"
        assert await run(agent, refused) == "refused\nrefused\n"
        full = "(busybox dd if=/dev/zero of=/scratch/x bs=64k count=32 2>/dev/null) || echo full"
        assert await run(agent, full) == "full\n"
        await run(agent, "echo kept > /srv/kept; echo there > /srv/deep/er/file; echo back > /host/back")
        assert await run(agent, "cd /made/by/init; busybox cat /tmp/left; echo; echo /run/weft/stage/*") == (
            "by a build\n/run/weft/stage/*\n"
        )
        agent.shutdown(grace=1)
        await agent.closed
        await machine.wait_exit()
    assert (tmp_path / "share/back").read_text() == "back\n"
    async with boot_agent(tmp_path, config, **options) as (_, agent):
        assert await run(agent, "busybox cat /srv/kept /srv/deep/er/file") == "kept\nthere\n"


@pytest.fixture
def half_copied(tmp_path: Path, disk: Path) -> Path:
    """The disk as a machine leaves it that is switched off in the middle of a copy."""
    empty = tmp_path / "empty"
    empty.touch()
    script = f"write {empty} .weft-copying-content\nmkdir content\ncd content\nwrite {empty} half\n"
    subprocess.run(["debugfs", "-w", "-f", "-", disk], input=script, text=True, check=True, capture_output=True)
    return disk


async def test_a_copy_that_was_cut_off_begins_anew(tmp_path: Path, image: Path, half_copied: Path) -> None:
    mounts = (GuestMount("/srv", "ext4", serial="disk", sub="content", copy=True),)
    config = GuestConfig(root=SQUASHFS, overlay="50%", mounts=mounts)
    async with boot_agent(tmp_path, config, drives={"root": image}, disks={"disk": half_copied}) as (_, agent):
        assert await run(agent, "echo /srv/*") == "/srv/data /srv/link\n"


async def test_a_read_only_root(tmp_path: Path, image: Path) -> None:
    """The files of /etc, which this image does not have, can be written to; what it has in /run is not hidden."""
    config = GuestConfig(
        hostname="fixed",
        root=SQUASHFS,
        overlay="50%",
        read_only=True,
        files=(GuestFile("/opt/file", "text"),),
        mounts=(GuestMount("/new/place", "tmpfs"),),
        cwd="/srv/cwd",
        argv=("/bin/sh", "-c", "pwd; exec busybox sleep 600"),
    )
    async with boot_agent(tmp_path, config, drives={"root": image}) as (machine, agent):
        assert await run(agent, "for f in /x /etc/x /opt/x; do (echo > $f) 2>/dev/null || echo no; done") == "no\n" * 3
        assert await run(agent, "echo > /new/place/x; echo > /tmp/x; busybox cat /opt/file") == "text"
        assert await run(agent, "busybox stat -c %a /run/db; busybox cat /tmp/left") == "2770\nby a build"
        async with await agent.exec(["hostname", "renamed"], builtin=True) as process:
            assert await process.collect() == (ExitStatus(code=0), b"", b"")
        assert "renamed\n127.0.0.1 localhost" in await run(agent, "busybox cat /etc/hostname /etc/hosts")
        assert await run(agent, "busybox hostname") == "renamed\n"
        assert "/srv/cwd\n" in machine.log()


@pytest.mark.parametrize(
    ("mount", "reason"),
    [
        (GuestMount("/a", "9p", tag="absent"), "mount of absent (9p) on /a: "),
        (GuestMount("/bin/sh/below", "tmpfs"), "mount of memory (tmpfs) on /bin/sh/below: Not a directory"),
    ],
)
async def test_a_mount_that_fails_is_named(tmp_path: Path, image: Path, mount: GuestMount, reason: str) -> None:
    config = GuestConfig(root=SQUASHFS, overlay="50%", mounts=(mount,))
    async with boot(tmp_path, config, drives={"root": image}) as machine:
        assert await machine.wait_exit() == 0
    assert f"weft-init: {reason}" in machine.log()


async def test_an_image_may_have_strange_places_for_what_the_kernel_mounts(tmp_path: Path) -> None:
    files = {"bin/sh": (0o755, find_busybox()), "proc": (0o644, b"a file"), "etc/": (0o755, b""), "real/": (0o755, b"")}
    root = build_image(
        tmp_path, files, {"dev": "/etc", "sys": "nowhere", "tmp": "/real", "etc/hosts": "/proc/self/mem"}
    )
    config = GuestConfig(hostname="odd", root=SQUASHFS, overlay="50%")
    async with boot_agent(tmp_path, config, drives={"root": root}) as (_, agent):
        assert "odd" in await run(agent, "busybox cat /etc/hosts")
        assert (
            await run(agent, "busybox test -c /dev/null && busybox test -d /sys/block && echo > /tmp/x && echo ok")
            == "ok\n"
        )


async def test_the_old_root_of_the_tests_still_fits(tmp_path: Path) -> None:
    """A squashfs without an overlay: what is mounted for it is memory, and nothing else can be written to."""
    config = GuestConfig(hostname="fixed", root=SQUASHFS, mounts=(GuestMount("/mnt", "tmpfs", copy=True),))
    async with boot_agent(tmp_path, config, drives={"root": build_root(tmp_path)}) as (_, agent):
        assert await run(agent, "echo > /run/x; echo > /tmp/x; echo > /mnt/x; echo /run/weft/*") == (
            "/run/weft/agent.sock /run/weft/events.sock /run/weft/hostname /run/weft/hosts\n"
        )
