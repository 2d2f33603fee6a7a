"""A served folder where its server may not do everything: as an ordinary user, and behind a filter of system calls."""

import errno
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT
from tests.ordinary import REPOSITORY
from tests.unit.ninep_folders import READ, WRITE, list_names, make_directory, make_file, read_file, walk

from weft.host.process import program
from weft.host.seccomp import Rule, open_filter
from weft.ninep.folder import FolderTree
from weft.ninep.words import PERMISSION, Access, Mode, NinepError, OpenMode, StatChange

pytestmark = pytest.mark.host

_OPENAT2 = 437
_TESTS = ["tests/unit/test_ninep_folder.py", "tests/unit/test_ninep_folder_escapes.py"]


def test_all_is_the_same_without_openat2_and_proc() -> None:
    """There are hosts whose filters say that there is no such call; and a server's walls need not show it /proc."""
    with ExitStack() as stack:
        # One below the other, folders of tests have names too long for sockets.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-"))
        argv = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/in"]
        argv += [*_TESTS, "--deselect", f"{_TESTS[0]}::test_no_descriptor_is_left"]
        fd = open_filter(stack, [Rule(_OPENAT2, errno.ENOSYS)])
        walls = [program("bwrap"), "--dev-bind", "/", "/", "--tmpfs", "/proc", "--seccomp", str(fd), "--"]
        done = subprocess.run(
            [*walls, *argv], cwd=REPOSITORY, pass_fds=[fd], capture_output=True, text=True, timeout=3000, check=False
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "there is no openat2" in done.stdout, "the filter has let it through"


_WRITE_IN_OVERLAY = """
import asyncio, sys
from pathlib import Path
from tests.unit.ninep_folders import make_file, open_file, WRITE
from weft.ninep.folder import FolderTree

async def main():
    with FolderTree(Path(sys.argv[1])) as tree:
        root = await tree.attach("", "")
        nodes = [await root.walk("file"), await root.walk("folder")]
        before = [node.qid for node in nodes]
        opened = await open_file(root, "file", WRITE)
        await opened.write(0, b"upper")
        await opened.close()
        await make_file(nodes[1], "new")
        for was, node in zip(before, nodes):
            print(was.path == node.qid.path, was.version == node.qid.version)

asyncio.run(main())
"""


@pytest.mark.skipif(not AS_ROOT, reason="only root may mount")
def test_a_file_stays_itself_when_an_overlay_copies_it(tmp_path: Path) -> None:
    """What is written to for the first time is another file below, with a birth of its own."""
    for name in ("lower/folder", "upper", "work", "merged"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower" / "file").write_text("lower")
    mount = 'mount -t overlay -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" none "$0/merged" || exit 77'
    argv = ["unshare", "--mount", "sh", "-c", f'{mount}; exec "$@" "$0/merged"', str(tmp_path)]
    argv += [sys.executable, "-B", "-c", _WRITE_IN_OVERLAY]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == 77:
        pytest.skip("this kernel has no overlay")
    assert (done.stdout, done.stderr) == ("True False\nTrue False\n", "")
    assert (tmp_path / "upper" / "file").read_text() == "upper"


@pytest.mark.skipif(AS_ROOT, reason="root may do everything")
async def test_what_the_servers_user_may_not_do_nobody_may(tmp_path: Path) -> None:
    with FolderTree(tmp_path) as tree:
        root = await tree.attach("root", "")
        await make_file(root, "hidden", b"text", perm=0)
        closed = await make_directory(root, "closed", perm=0o500)
        hidden = await root.walk("hidden")
        for act in (
            hidden.open(READ),
            hidden.open(WRITE),
            closed.create("new", 0o600, WRITE),
            closed.create("new", Mode.DIR | 0o700, READ),
            hidden.wstat(StatChange(gid="root")),
            hidden.wstat(StatChange(length=0, mode=0o600, name="other")),
        ):
            with pytest.raises(NinepError, match=PERMISSION):
                await act
        assert (await hidden.stat()).mode == 0
        assert await list_names(root) == ["closed", "hidden"]
        await hidden.wstat(StatChange(mode=0o600))
        assert await read_file(root, "hidden") == b"text"


@pytest.mark.skipif(AS_ROOT, reason="root may do everything")
async def test_who_may_not_remove_a_file_cannot_have_it_removed_on_close(tmp_path: Path) -> None:
    with FolderTree(tmp_path) as tree:
        root = await tree.attach("root", "")
        await make_file(await make_directory(root, "folder"), "file")
        (tmp_path / "folder").chmod(0o500)
        file = await walk(root, "folder/file")
        with pytest.raises(NinepError, match=PERMISSION):
            await file.open(OpenMode(Access.READ, remove_on_close=True))
        with pytest.raises(NinepError, match=PERMISSION):
            await file.remove()
        (tmp_path / "folder").chmod(0o700)
        await file.remove()
