"""What is in files of a 9P server: read, write, rdwr."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from weft.cli.ninep_dialing import Server, server_options, telling
from weft.cli.ninep_paths import REMOTE_PATH
from weft.cli.terminal import write_all
from weft.model.errors import Invalid, NotFound

if TYPE_CHECKING:
    from weft.ninep.client import NinepClient, RemoteFile

_PIECE = 64 << 10


@click.command(short_help="Print files of a server.")
@click.argument("paths", nargs=-1, required=True, type=REMOTE_PATH, metavar="PATH...")
@server_options
def read(paths: tuple[str, ...], server: Server) -> None:
    """Write PATHs to standard output, as they come: of a file like `event`, what happens, until Ctrl-C."""
    server.ask(lambda client: _read(client, paths))


async def _read(client: "NinepClient", paths: tuple[str, ...]) -> None:
    for path in paths:
        with telling(path):
            async with await client.walk(path) as file:
                if (await file.stat()).qid.is_dir:
                    raise Invalid(f"{path} is a directory", hint="weft 9p ls shows what is in it")
                await file.open()
                offset = 0
                while data := await file.read(offset):
                    write_all(1, data)
                    offset += len(data)


@click.command(short_help="Write to a file of a server.")
@click.option("-l", "--lines", is_flag=True, help="Each line is a write of its own, as a file of commands wants it.")
@click.option("-c", "--create", is_flag=True, help="Make the file if it is not there.")
@click.argument("path", type=REMOTE_PATH)
@click.argument("source", type=click.Path(exists=True, dir_okay=False, allow_dash=True), default="-")
@server_options
def write(path: str, source: str, server: Server, lines: bool, create: bool) -> None:
    """Write SOURCE (default: standard input) to PATH, in place of what was in it."""
    with _opened(source) as fd:
        server.ask(lambda client: _write(client, path, fd, lines=lines, create=create))


async def _write(client: "NinepClient", path: str, fd: int, *, lines: bool, create: bool) -> None:
    from weft.ninep.client import REWRITE

    with telling(path):
        if create:
            await _create_missing(client, path)
        async with client.opened(path, REWRITE) as file:
            offset = 0
            async for piece in _split_lines(fd) if lines else _read_pieces(fd):
                await file.write(piece, offset)
                offset += len(piece)


async def _create_missing(client: "NinepClient", path: str) -> None:
    from weft.ninep.words import EXISTS, NOT_FOUND, NinepError

    try:
        await client.stat(path)
    except NinepError as err:
        if err.text != NOT_FOUND:
            raise
        try:
            await client.create(path)
        except NinepError as failed:
            if failed.text != EXISTS:  # somebody else was faster
                raise


@click.command(short_help="Ask a file of a server.")
@click.argument("path", type=REMOTE_PATH)
@server_options
def rdwr(path: str, server: Server) -> None:
    """Print what PATH says, and after each line that is written to it from standard input, what it says then.

    PATH stays open all the time: what `clone` has made is there until the end of the input.
    """
    server.ask(lambda client: _converse(client, path))


async def _converse(client: "NinepClient", path: str) -> None:
    from weft.ninep.words import Access, NinepError, OpenMode

    with telling(path):
        async with client.opened(path, OpenMode(Access.READ_WRITE)) as file:
            with suppress(NinepError):  # some files say nothing until they are asked
                await _print_answer(file)
            async for line in _split_lines(0):
                await file.write(line)
                await _print_answer(file)


async def _print_answer(file: "RemoteFile") -> None:
    write_all(1, await file.read())


@contextmanager
def _opened(source: str) -> Iterator[int]:
    """A descriptor to read from. Raises NotFound."""
    if source == "-":
        yield 0
        return
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as err:
        raise NotFound(f"{source} cannot be read: {err.strerror}") from err
    try:
        yield fd
    finally:
        os.close(fd)


async def _split_lines(fd: int) -> AsyncIterator[bytes]:
    """Each with its end; the last one may have none."""
    rest = b""
    async for piece in _read_pieces(fd):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


async def _read_pieces(fd: int) -> AsyncIterator[bytes]:
    while True:
        await _wait_readable(fd)
        piece = os.read(fd, _PIECE)
        if not piece:
            return
        yield piece


async def _wait_readable(fd: int) -> None:
    """So that Ctrl-C is heard while nothing comes. Files can always be read, and cannot be waited for."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(fd, readable.set)
    except PermissionError:
        return
    try:
        await readable.wait()
    finally:
        loop.remove_reader(fd)
