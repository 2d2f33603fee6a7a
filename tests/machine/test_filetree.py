"""The fabric as files, over 9P on the daemon's own socket: a machine from `clone` to its removal."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import pytest
from tests.machine.fabrics import PATIENCE, TestFabric, open_fabric, wait_for

from weft.filetree.words import split_words
from weft.model.errors import NotFound
from weft.ninep.client import NinepClient, RemoteFile, open_client
from weft.ninep.words import Access, NinepError, OpenMode

T = TypeVar("T")
BOTH = OpenMode(Access.READ_WRITE)
SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
"""What a pcapng file begins with."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with the machine `web`, made by what was written to a file."""
    with open_fabric(tmp_path_factory.mktemp("tree") / "home") as fabric:
        fabric.client.version()
        asyncio.run(make_web(fabric))
        yield fabric


def attach(fabric: TestFabric) -> AbstractAsyncContextManager[NinepClient]:
    return open_client(f"unix!{fabric.home / '9p.sock'}")


async def make_web(fabric: TestFabric) -> None:
    async with attach(fabric) as files, files.opened("machine/clone", BOTH) as ctl:
        assert await ctl.read() == b"m1\n"
        await ctl.write(b"name web\nimage web\nmemory 64M\nlabel tier=front\nenv 'MOTTO=it''s'\nstart\n")
        assert await files.read("machine/web/ctl") == b"web\n"


async def soon(act: Awaitable[T]) -> T:
    return await asyncio.wait_for(act, PATIENCE)


async def read_until(file: RemoteFile, word: bytes) -> bytes:
    """What is read until this is in it."""
    content = b""
    while word not in content:
        piece = await soon(file.read(len(content)))
        assert piece, f"it ended, and no {word!r} in {content!r}"
        content += piece
    return content


def test_the_socket_is_its_owners_alone(tree: TestFabric) -> None:
    assert stat.S_IMODE((tree.home / "9p.sock").stat().st_mode) == 0o600


async def test_what_is_told_of_a_machine(tree: TestFabric) -> None:
    async with attach(tree) as files:
        words = split_words((await files.read("machine/web/status")).decode())
        view = tree.client.machine("web")
        assert words[:7] == ["web", "running", "web", view["networks"][0]["address"], str(view["pid"]), "67108864", "1"]
        log = wait_for(lambda: tree.client.open_logs("web").read(), "the web server says that it runs")
        assert (await files.read("machine/web/kmesg")).startswith(log)
        assert (await files.read("machine/web/stats")).split()[0] == b"web"
        assert b"lighttpd" in await files.read("machine/web/ps")
        listed = {one.name for one in await files.list("machine/web")}
        assert {"ctl", "cons", "event", "wait", "ns", "floppy", "port"} <= listed
        with pytest.raises(NinepError, match="wrong-state: "):
            await files.write("machine/web/ctl", b"start")
        with pytest.raises(NinepError, match="file does not exist"):
            await files.read("machine/nobody/status")


async def test_a_blocking_read_of_events_can_be_given_up(tree: TestFabric) -> None:
    async with attach(tree) as files, files.opened("event") as event, files.opened("machine/web/event") as own:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event.read(), 0.2)
        await files.write("machine/web/ctl", b"update labels tier=back")
        for reader in (event, own):
            assert split_words((await soon(reader.read())).decode())[2:4] == ["machine.changed", "web"]


async def test_a_sniffer_is_slipped_in_by_echo_and_reading_pcap_sniffs(tree: TestFabric) -> None:
    async with attach(tree) as files:
        await files.write("machine/web/port/0/ctl", b"insert sniffer name=ear mode=copy\n")
        assert (await files.read("machine/web/port/0/chain")).split()[:5] == [
            b"ear",
            b"sniffer",
            b"copy",
            b"open",
            b"active",
        ]
        assert b"insert sniffer name=ear mode=copy fail=open\n" in await files.read("machine/web/ns")
        await files.write("machine/web/port/0/ctl", b"eject ear\n")
        async with files.opened("machine/web/port/0/pcap") as pcap:
            assert (await soon(pcap.read())).startswith(SECTION_HEADER)
            assert len(tree.chain("web")) == 1
    wait_for(lambda: tree.chain("web") == [], "the sniffer goes with who reads it")


async def test_a_program_with_input_and_output(tree: TestFabric) -> None:
    async with attach(tree) as files:
        async with files.opened("machine/web/exec/clone", BOTH) as ctl:
            place = f"machine/web/exec/{(await ctl.read()).decode().strip()}"
            await ctl.write(b"run sh -c 'cat; echo bad >&2; exit 3'\n")
        await files.write(f"{place}/data", b"good\n")
        await files.write(f"{place}/ctl", b"eof")
        assert (await soon(files.read(f"{place}/wait"))).startswith(b"ended 3 sh -c ")
        assert await files.read(f"{place}/data") == b"good\n"
        assert await files.read(f"{place}/stderr") == b"bad\n"
        await files.remove(place)


async def test_the_console(tree: TestFabric) -> None:
    async with attach(tree) as files:
        await files.write("machine/clone", b"name shell\nimage base\ncommand sh\nnetworks none\nstart\n")
        async with files.opened("machine/shell/cons") as console:
            await files.write("machine/shell/cons", b"echo $((6 * 7))\n")
            await read_until(console, b"42")
            async with files.opened("machine/shell/wait") as wait:
                await files.write("machine/shell/cons", b"exit 5\n")
                assert split_words((await soon(wait.read())).decode())[:2] == ["shell", "5"]
        await files.remove("machine/shell")


async def test_a_machine_is_made_again_by_its_recipe(tree: TestFabric, tmp_path: Path) -> None:
    async with attach(tree) as files:
        config = await files.read("machine/web/config")
        recipe = tmp_path / "recipe"
        recipe.write_bytes(await files.read("machine/web/ns"))
        await files.remove("machine/web")
        with pytest.raises(NotFound):
            tree.client.machine("web")
        for file, lines in await run_recipe(recipe, tmp_path):
            await files.write(file, lines)
        assert await files.read("machine/web/config") == config
        assert tree.client.machine("web")["state"] == "running"


async def run_recipe(recipe: Path, folder: Path) -> list[tuple[str, bytes]]:
    """What a shell writes to which files, in a folder that has those it needs."""
    for file in ("machine/clone", "machine/web/port/0/ctl"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec("sh", "-e", recipe, cwd=folder)
    assert await process.wait() == 0
    written = [Path(path, name) for path, _, names in os.walk(folder / "machine") for name in names]
    return [(str(file.relative_to(folder)), file.read_bytes()) for file in written]
