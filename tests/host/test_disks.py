"""Disks in files: made whole or not at all, mended after a crash, grown; programs that read one are walled in."""

import os
import subprocess
from pathlib import Path

import pytest

from weft.host.disks import create_disk, find_stored, give_disk, grow_disk, replay_journal, takes_direct
from weft.host.sandbox import Identity
from weft.model.errors import NoRoom, Unavailable

pytestmark = pytest.mark.host
SIZE = 64 << 20


@pytest.fixture
async def disk(tmp_path: Path) -> Path:
    await create_disk(tmp_path / "disk.img", SIZE)
    return tmp_path / "disk.img"


def debugfs(disk: Path, *commands: str) -> str:
    """What debugfs says; it needs neither root nor a mount."""
    options = [word for command in commands for word in ("-R", command)]
    return subprocess.run(
        ["/usr/sbin/debugfs", "-w", *options, disk], capture_output=True, text=True, check=True
    ).stdout


def fsck(disk: Path) -> int:
    return subprocess.run(["/usr/sbin/e2fsck", "-f", "-n", disk], capture_output=True, check=False).returncode


async def test_a_disk_is_sparse_whole_and_its_owners_alone(disk: Path):
    assert disk.stat().st_size == SIZE
    assert find_stored(disk) < 4 << 20
    assert disk.stat().st_mode & 0o777 == 0o600
    assert fsck(disk) == 0
    assert "discard" in debugfs(disk, "show_super_stats -h")
    assert [path.name for path in disk.parent.iterdir()] == ["disk.img"]


async def test_a_disk_that_cannot_be_made_leaves_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoRoom):
        await create_disk(tmp_path / "file" / "disk.img", SIZE)
    with pytest.raises(NoRoom):
        await create_disk(tmp_path / "large.img", 1 << 62)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


async def test_a_disk_grows_with_its_content(disk: Path, identity: Identity | None, tmp_path: Path):
    (tmp_path / "file").write_text("kept")
    debugfs(disk, f"write {tmp_path}/file file")
    await grow_disk(disk, 4 * SIZE, identity)
    assert disk.stat().st_size == 4 * SIZE
    assert fsck(disk) == 0
    assert debugfs(disk, "cat file") == "kept"


async def test_a_clean_disk_has_nothing_to_replay(disk: Path, identity: Identity | None):
    before = disk.read_bytes()
    await replay_journal(disk, identity)
    assert disk.read_bytes() == before


async def test_a_journal_is_replayed(disk: Path, identity: Identity | None):
    debugfs(disk, "feature needs_recovery")
    assert "needs_recovery" in debugfs(disk, "feature")
    await replay_journal(disk, identity)
    assert "needs_recovery" not in debugfs(disk, "feature")


async def test_what_is_no_file_system_is_refused_in_one_line(tmp_path: Path, identity: Identity | None):
    disk = tmp_path / "disk.img"
    disk.write_bytes(os.urandom(1 << 20))
    with pytest.raises(Unavailable, match="damaged") as refused:
        await replay_journal(disk, identity)
    assert "\n" not in refused.value.message


async def test_a_disk_is_given_to_one_or_shown_to_many(disk: Path, identity: Identity | None):
    give_disk(disk, identity, shared=False)
    state = disk.stat()
    assert (state.st_mode & 0o777, state.st_uid) == (0o600, identity.uid if identity else os.geteuid())
    give_disk(disk, identity, shared=True)
    assert disk.stat().st_mode & 0o777 == 0o644


def test_a_file_system_that_cannot_bypass_the_cache_is_noticed(tmp_path: Path):
    assert not takes_direct(tmp_path / "missing")
