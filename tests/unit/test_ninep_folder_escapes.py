"""Nobody gets out of a directory that is served, whatever happens in it meanwhile."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.ninep_folders import WRITE, read_file, walk

from weft.ninep.folder import FolderTree
from weft.ninep.folder.beneath import DIRECTORY, Opener
from weft.ninep.words import NOT_FOUND, NinepError, StatChange

ROUNDS = 1000
MOST_ROUNDS = 300_000
"""On a host with much to do, neither side may get far in one go."""


@contextmanager
def repeated(act: Callable[[], None]) -> Iterator[None]:
    """Somebody on the host who does this over and over."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.is_set():
            act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A directory with `here/file` in it; beside it are `secret/file` and, to be swapped for `here`, a link there."""
    inside, secret = tmp_path / "inside", tmp_path / "secret"
    (inside / "here").mkdir(parents=True)
    (inside / "here" / "file").write_bytes(b"public")
    secret.mkdir()
    (secret / "file").write_bytes(b"secret")
    (inside / "absolute").symlink_to(secret)
    (inside / "relative").symlink_to("../secret")
    (inside / "file").symlink_to("here/file")
    return inside


@pytest.fixture(params=[True, False], ids=["at once", "in steps"])
def opener(request: pytest.FixtureRequest, inside: Path) -> Iterator[Opener]:
    root = os.open(inside, DIRECTORY)
    try:
        if request.param and not Opener(root).uses_openat2:
            pytest.skip("there is no openat2")
        yield Opener(root, openat2=request.param)
    finally:
        os.close(root)


def test_what_is_below_is_opened(opener: Opener) -> None:
    for path in (b"", b"here", b"here/file"):
        os.close(opener.open(path, os.O_RDONLY))
    with pytest.raises(FileNotFoundError):
        opener.open(b"here/none", os.O_RDONLY)
    with pytest.raises(NotADirectoryError):
        opener.open(b"here/file/none", os.O_RDONLY)


@pytest.mark.parametrize("path", [b"file", b"absolute", b"absolute/file", b"relative/file"])
def test_links_are_never_followed(opener: Opener, path: bytes) -> None:
    with pytest.raises(OSError) as caught:
        opener.open(path, os.O_RDONLY)
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)


def test_a_link_that_comes_and_goes_leads_nowhere(opener: Opener, inside: Path) -> None:
    here, away, link = inside / "here", inside / "away", inside / "link"
    link.symlink_to("../secret")

    def swap() -> None:
        here.rename(away)
        link.rename(here)
        here.rename(link)
        away.rename(here)

    found = refused = 0
    with repeated(swap):
        for _ in range(MOST_ROUNDS):
            try:
                fd = opener.open(b"here/file", os.O_RDONLY)
            except OSError as err:
                assert err.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
                refused += err.errno != errno.ENOENT
                continue
            assert os.read(fd, 10) == b"public"
            os.close(fd)
            found += 1
            if found >= ROUNDS and refused:
                break
    assert found and refused


async def test_no_request_leaves_by_a_link_that_comes_and_goes(inside: Path) -> None:
    here, away, link, secret = inside / "here", inside / "away", inside / "link", inside.parent / "secret"
    link.symlink_to("../secret")

    def swap() -> None:
        here.rename(away)
        link.rename(here)
        here.rename(link)
        away.rename(here)

    with FolderTree(inside) as tree, repeated(swap):
        root = await tree.attach("", "")
        for number in range(ROUNDS):
            for act in (_write_new, _truncate, _change, _read):
                try:
                    await act(root, number)
                except NinepError:
                    continue
    assert [path.name for path in secret.iterdir()] == ["file"]
    assert (secret / "file").read_bytes() == b"secret"
    assert (secret / "file").stat().st_mtime > 1000


async def _write_new(root, number):
    opened = await (await root.walk("here")).create(f"new{number}", 0o600, WRITE)
    await opened.write(0, b"new")
    await opened.close()


async def _truncate(root, _number):
    await (await walk(root, "here/file")).wstat(StatChange(length=1))


async def _change(root, number):
    await (await walk(root, "here/file")).wstat(StatChange(mode=0o600, mtime=number))


async def _read(root, _number):
    assert await read_file(root, "here/file") != b"secret"


async def test_links_are_not_there(inside: Path) -> None:
    with FolderTree(inside) as tree:
        root = await tree.attach("", "")
        for name in ("absolute", "relative", "file"):
            with pytest.raises(NinepError, match=NOT_FOUND):
                await root.walk(name)


async def test_a_directory_that_was_walked_to_and_became_a_link(inside: Path) -> None:
    with FolderTree(inside) as tree:
        node = await walk(await tree.attach("", ""), "here")
        (inside / "here").rename(inside / "away")
        (inside / "here").symlink_to("../secret")
        for act in (node.walk("file"), node.create("new", 0o600, WRITE), node.stat(), node.remove()):
            with pytest.raises(NinepError):
                await act
    assert len(list((inside.parent / "secret").iterdir())) == 1
