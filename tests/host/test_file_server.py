"""A file server's walls: what is planned, and that it is ready and ends with its socket."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT
from tests.host.waiting import is_program, wait_until

from weft.host.file_server import check_folder, find_owner, plan_file_server, start_file_server
from weft.host.sandbox import Identity
from weft.model.errors import Invalid

pytestmark = pytest.mark.host


@pytest.fixture
def log(tmp_path: Path):
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield fd
    os.close(fd)


async def test_it_ends_when_its_socket_is_closed(tmp_path: Path, log: int):
    (tmp_path / "folder").mkdir()
    with ExitStack() as stack:
        server = start_file_server(stack, tmp_path / "folder", tmp_path / "sock", read_only=False, log=log)
        assert not (tmp_path / "sock").exists()
        server.latched.release()
        process = server.latched.process
        await wait_until(lambda: (found := process.children()) and is_program(found[0].pid, "virtiofsd"))
        # Its root is the folder: there is nothing else, not even the program itself.
        (child,) = process.children()
        await wait_until(lambda: Path(f"/proc/{child.pid}/root").stat().st_ino == (tmp_path / "folder").stat().st_ino)
    await server.latched.watch.wait()


async def test_one_that_was_not_released_leaves_nothing(tmp_path: Path, log: int):
    with ExitStack() as stack:
        server = start_file_server(stack, tmp_path, tmp_path / "sock", read_only=True, log=log)
        server.latched.abandon()
    await server.latched.watch.wait()


def test_it_is_the_folders_owner_where_we_can_choose(tmp_path: Path):
    planned = plan_file_server(tmp_path, 5, 6, read_only=True, owner=Identity(1000, 1001))
    assert planned[1:4] == ["--reuid=1000", "--regid=1001", "--clear-groups"]
    at = planned.index("--ro-bind", planned.index("--proc"))
    assert planned[at : at + 3] == ["--ro-bind", str(tmp_path), "/machine/folder"]
    assert "setpriv" not in " ".join(plan_file_server(tmp_path, 5, 6, read_only=False, owner=Identity(0, 0)))
    assert (find_owner(tmp_path) == Identity(0, 0)) if AS_ROOT else (find_owner(tmp_path) is None)


def test_what_is_no_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(Invalid, match="is not a folder of this host"):
            check_folder(path)
