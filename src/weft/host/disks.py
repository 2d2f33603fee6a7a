"""Disks in files: sparse raw files that hold one ext4 file system, made without root and without mounting anything.

A guest may have written anything to its disk, so programs that read one run behind the same walls as QEMU.
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from weft.host.durable import put_in_place
from weft.host.process import Completed, ProcessFailed, ProcessTimedOut, program, run
from weft.host.sandbox import Bind, Identity, plan_sandbox
from weft.model.errors import Internal, NoRoom, Unavailable

_WORK_TIMEOUT = 600.0
_UNUSABLE = 4
"""From this status on e2fsck says that errors are left, or that it could not work at all (e2fsck(8))."""


async def create_disk(path: Path, size: int) -> None:
    """Make a disk of `size` bytes with an empty file system: afterwards it is there as a whole, or not at all.

    Raises NoRoom, Unavailable (e2fsprogs is not installed).
    """
    fresh = path.with_suffix(".new")
    try:
        await asyncio.to_thread(_write_sparse, fresh, size)
        # A sparse file is zero already: nothing is left for the guest to initialise later, which would fill the file.
        options = "assume_storage_prezeroed=1,nodiscard,root_owner=0:0"
        await run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, str(fresh)], timeout=_WORK_TIMEOUT)
        # What the guest deletes is given back to the host at once.
        await run(["tune2fs", "-o", "discard", str(fresh)], timeout=_WORK_TIMEOUT)
        await asyncio.to_thread(put_in_place, fresh, path)
    except OSError as err:
        raise NoRoom(f"disk {path} cannot be made: {err.strerror}") from err
    except ProcessFailed as err:
        raise NoRoom(f"disk {path} cannot be made: {err.message}", detail=err.detail) from err
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()


async def grow_disk(path: Path, size: int, identity: Identity | None) -> None:
    """Make a disk that nobody uses larger, with its file system. Raises NoRoom, Unavailable (it is damaged)."""
    try:
        os.truncate(path, max(size, path.stat().st_size))
    except OSError as err:
        raise NoRoom(f"disk {path} cannot grow: {err.strerror}") from err
    await _check(path, identity, ["-f", "-p"])
    await _work_on(path, identity, ["resize2fs"])


async def replay_journal(path: Path, identity: Identity | None) -> None:
    """Bring a disk that nobody uses into a state in which it can be mounted read-only, after a machine that had it was
    killed. Raises Unavailable when it is damaged."""
    await _check(path, identity, ["-p", "-E", "journal_only"])


def give_disk(path: Path, owner: Identity | None, *, shared: bool) -> None:
    """Hand a disk to the user that will write to it, or open it for `shared` reading by all that are shown it.

    Folders above are closed: only who is given the file can open it at all.
    """
    if os.geteuid() == 0:
        os.chown(path, owner.uid if owner else 0, owner.gid if owner else 0)
    path.chmod(0o644 if shared else 0o600)


def find_stored(path: Path) -> int:
    """Bytes of the host's disk that a file takes."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def takes_direct(path: Path) -> bool:
    """Whether the file can be read past the host's page cache: on some file systems it cannot."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _write_sparse(path: Path, size: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(fd, size)
    finally:
        os.close(fd)


async def _check(path: Path, identity: Identity | None, options: Sequence[str]) -> None:
    done = await _work_on(path, identity, ["e2fsck", *options], check=False)
    if done.status >= _UNUSABLE:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise Unavailable(f"the file system on {path} is damaged", hint="e2fsck -f may mend it", detail=said[-2000:])


async def _work_on(path: Path, identity: Identity | None, command: Sequence[str], *, check: bool = True) -> Completed:
    """Run a program on the disk, as nobody who could do any harm with it."""
    give_disk(path, identity, shared=False)
    disk = Bind(path, "disk", writable=True)
    inside = [program(command[0]), *command[1:], str(disk.inside)]
    # /proc: resize2fs wants to know that the disk is not mounted.
    argv = plan_sandbox(inside, binds=[disk], identity=identity, proc=True)
    try:
        return await run(argv, timeout=_WORK_TIMEOUT, check=check)
    except ProcessFailed as err:
        raise Internal(f"{command[0]} cannot work on {path}: {err.message}", detail=err.detail) from err
    except ProcessTimedOut as err:
        raise Unavailable(f"{command[0]} on {path} did not end in time") from err
