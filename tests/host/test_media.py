"""Images in drives: which files can be, who has one, and a real QEMU that inherits it with its lock."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from weft.host.media import Drive, check_medium, open_medium
from weft.host.pids import stop_processes
from weft.host.process import start_latched
from weft.host.qemu import Qmp, open_qmp
from weft.host.sockets import listen_unix
from weft.model.errors import Invalid, NotFound, Unavailable, WeftError, WrongState

pytestmark = pytest.mark.host
FLOPPY = 1440 << 10


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make(tmp_path / "image", FLOPPY)


def make(path: Path, size: int, head: bytes = b"") -> Path:
    path.write_bytes(head)
    os.truncate(path, size)
    return path


@pytest.mark.parametrize("drive", Drive)
def test_an_image_is_opened_for_what_is_done_with_it(drive: Drive, stack: ExitStack, image: Path, home: Path) -> None:
    check_medium(image, drive, home)
    medium = open_medium(stack, image, drive, home)
    assert medium.format == "raw"
    if drive.writes:
        assert os.pwrite(medium.fd, b"x", 0) == 1
    else:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(medium.fd, b"x", 0)


def test_the_format_is_that_of_the_first_bytes_of_a_disk_alone(stack: ExitStack, tmp_path: Path, home: Path) -> None:
    image = make(tmp_path / "a", FLOPPY, b"QFI\xfb\0\0\0\3")
    assert open_medium(stack, image, Drive.DISK, home).format == "qcow2"
    other = make(tmp_path / "b", FLOPPY, b"QFI\xfb\0\0\0\3")
    assert open_medium(stack, other, Drive.FLOPPY, home).format == "raw"


def refusal(path: Path, drive: Drive, home: Path) -> WeftError:
    with pytest.raises(WeftError) as caught:
        check_medium(path, drive, home)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return caught.value


def test_what_cannot_be_in_a_drive_is_said(tmp_path: Path, home: Path, image: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(make(home / "weft.db", FLOPPY))
    assert isinstance(refusal(tmp_path / "none", Drive.CDROM, home), NotFound)
    assert isinstance(refusal(tmp_path / "pipe", Drive.CDROM, home), Invalid)
    assert isinstance(refusal(Path("/dev/null"), Drive.DISK, home), Invalid)
    assert "fabric's own" in str(refusal(tmp_path / "link", Drive.DISK, home))
    assert "is empty" in str(refusal(make(tmp_path / "empty", 0), Drive.DISK, home))
    assert "and not 1474560" in str(refusal(make(tmp_path / "short", 1440), Drive.FLOPPY, home))
    assert "truncate -s 1474560" in str(refusal(tmp_path / "short", Drive.FLOPPY, home))
    assert "truncate" not in str(refusal(make(tmp_path / "long", 2 * FLOPPY), Drive.FLOPPY, home))
    assert "rests on" in str(refusal(make(tmp_path / "rests", 99, b"QFI\xfb\0\0\0\3\1\1"), Drive.DISK, home))
    assert isinstance(refusal(tmp_path, Drive.DISK, home), Invalid)


def test_one_that_is_missing_when_it_is_wanted_is_unavailable(stack: ExitStack, tmp_path: Path, home: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        open_medium(stack, tmp_path / "none", Drive.CDROM, home)


@pytest.mark.parametrize(
    ("first", "second", "can"),
    [
        (Drive.CDROM, Drive.CDROM, True),
        (Drive.CDROM, Drive.DISK, False),
        (Drive.DISK, Drive.CDROM, False),
        (Drive.DISK, Drive.FLOPPY, False),
    ],
)
def test_many_read_or_one_writes(first: Drive, second: Drive, can: bool, image: Path, home: Path) -> None:
    with ExitStack() as stack:
        open_medium(stack, image, first, home)
        if can:
            open_medium(stack, image, second, home)
            return
        with pytest.raises(WrongState, match="in use"):
            open_medium(stack, image, second, home)
    with ExitStack() as stack:
        open_medium(stack, image, second, home)


def test_the_lock_is_held_by_who_inherits_the_image(image: Path, home: Path) -> None:
    with ExitStack() as stack:
        fd = open_medium(stack, image, Drive.DISK, home).fd
        holder = subprocess.Popen(["sleep", "60"], pass_fds=[fd])
    try:
        with ExitStack() as stack, pytest.raises(WrongState):
            open_medium(stack, image, Drive.DISK, home)
    finally:
        holder.kill()
        holder.wait()
    with ExitStack() as stack:
        open_medium(stack, image, Drive.DISK, home)


@pytest.mark.parametrize("writes", [True, False])
async def test_what_another_qemu_has_is_in_use(writes: bool, image: Path, home: Path, tmp_path: Path) -> None:
    node = f"driver=file,node-name=a,filename={image},read-only={'off' if writes else 'on'}"
    with listen_unix(tmp_path / "qmp") as sock:
        argv = ["qemu-system-x86_64", "-M", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-S"]
        argv += ["-chardev", f"socket,id=qmp,fd={sock.fileno()},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]
        latched = start_latched([*argv, "-blockdev", node, "-device", "virtio-blk-pci,drive=a"], fds=[sock.fileno()])
    latched.release()
    await (await open_qmp(tmp_path / "qmp")).close()
    for drive in Drive:
        with ExitStack() as stack:
            if drive.writes or writes:
                with pytest.raises(WrongState, match="in use"):
                    open_medium(stack, image, drive, home)
            else:
                open_medium(stack, image, drive, home)
    await stop_processes([latched.process], term_for=0.1)


@pytest.fixture
async def qmp(tmp_path: Path) -> AsyncIterator[Qmp]:
    """A QEMU without a machine, which can make images."""
    path = tmp_path / "qmp"
    with listen_unix(path) as sock:
        argv = ["qemu-system-x86_64", "-M", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S"]
        argv += ["-chardev", f"socket,id=qmp,fd={sock.fileno()},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]
        latched = start_latched(argv, fds=[sock.fileno()])
    latched.release()
    opened = await open_qmp(path)
    yield opened
    await opened.close()
    await stop_processes([latched.process], term_for=0.1)


async def create_image(qmp: Qmp, path: Path, **options: Any) -> Path:
    make(path, 0)
    node = {"driver": "file", "node-name": path.name, "filename": str(path)}
    await qmp.execute("blockdev-add", node)
    job = {"job-id": path.name, "options": {"driver": "qcow2", "file": path.name, "size": 1 << 30, **options}}
    await qmp.execute("blockdev-create", job)
    async with asyncio.timeout(30):
        while (found := await qmp.execute("query-jobs"))[0]["status"] != "concluded":
            pass
    assert "error" not in found[0]
    await qmp.execute("job-dismiss", {"id": path.name})
    await qmp.execute("blockdev-del", {"node-name": path.name})
    return path


async def test_qcow2_images_as_qemu_makes_them(qmp: Qmp, tmp_path: Path, home: Path, image: Path) -> None:
    for version in ("v2", "v3"):
        check_medium(await create_image(qmp, tmp_path / version, version=version), Drive.DISK, home)
    rests = {"backing-file": str(image), "backing-fmt": "raw"}
    await create_image(qmp, tmp_path / "rests", **rests)
    assert "rests on another file" in str(refusal(tmp_path / "rests", Drive.DISK, home))
    data = make(tmp_path / "data", FLOPPY)
    await qmp.execute("blockdev-add", {"driver": "file", "node-name": "data", "filename": str(data)})
    await create_image(qmp, tmp_path / "apart", **{"data-file": "data", "size": FLOPPY})
    assert "its data in another file" in str(refusal(tmp_path / "apart", Drive.DISK, home))
