"""Files of a 9P server, looked at and changed: ls, stat, create, rm."""

import time
from typing import TYPE_CHECKING, Any

import click

from weft.cli.face import format_option
from weft.cli.ninep_dialing import Server, server_options, telling
from weft.cli.ninep_paths import REMOTE_PATH
from weft.cli.params import Parsed
from weft.cli.printing import dump_time, print_json, print_table, print_view
from weft.model.errors import Invalid

if TYPE_CHECKING:
    from weft.ninep.client import NinepClient
    from weft.ninep.words import Stat

_BITS = "rwxrwxrwx"


def parse_permissions(text: str) -> int:
    """From octal digits, as chmod takes them. Raises Invalid."""
    if not text.isascii() or not text.isdecimal() or set(text) & {"8", "9"} or int(text, 8) > 0o777:
        raise Invalid(f"{text!r} are no permissions", hint="three octal digits, like 644")
    return int(text, 8)


@click.command(short_help="List files of a server.")
@click.option("-l", "--long", "all_about", is_flag=True, help="All about them.")
@click.argument("paths", nargs=-1, type=REMOTE_PATH, metavar="[PATH]...")
@server_options
@format_option
def ls(paths: tuple[str, ...], server: Server, all_about: bool, output: str) -> None:
    """List what is in directories PATH, or files; without one, the root."""
    found = server.ask(lambda client: _list(client, paths or ("/",)))
    found.sort(key=lambda stat: stat.name)
    if output == "json":
        print_json([view_stat(stat) for stat in found])
    elif all_about:
        rows = [
            (dump_mode(stat.mode), stat.uid, stat.gid, stat.length, dump_time(stat.mtime), _dump_name(stat))
            for stat in found
        ]
        print_table(("MODE", "USER", "GROUP", "LENGTH", "MODIFIED", "NAME"), rows)
    else:
        for stat in found:
            print(_dump_name(stat))


async def _list(client: "NinepClient", paths: tuple[str, ...]) -> "list[Stat]":
    found: list[Stat] = []
    for path in paths:
        with telling(path):
            stat = await client.stat(path)
            found += await client.list(path) if stat.qid.is_dir else [stat]
    return found


@click.command(short_help="Show all about a file of a server.")
@click.argument("path", type=REMOTE_PATH)
@server_options
@format_option
def stat(path: str, server: Server, output: str) -> None:
    """Show all that 9P says about PATH."""
    view = view_stat(server.ask(lambda client: _stat(client, path)))
    if output == "json":
        print_json(view)
        return
    times = {key: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(view[key])) for key in ("accessed", "modified")}
    print_view({**view, **times})


async def _stat(client: "NinepClient", path: str) -> "Stat":
    with telling(path):
        return await client.stat(path)


@click.command(short_help="Make a file or directory of a server.")
@click.argument("path", type=REMOTE_PATH)
@click.option("-d", "--directory", is_flag=True, help="A directory.")
@click.option("-p", "--permissions", type=Parsed("permissions", parse_permissions), metavar="OCTAL",
              help="What it gets as far as its directory has it. Default: 666, of a directory 777.")  # fmt: skip
@click.option("--append", is_flag=True, help="What is written goes to its end, whatever the offset.")
@click.option("--exclusive", is_flag=True, help="One at a time may have it open.")
@server_options
@format_option
def create(
    path: str,
    server: Server,
    *,
    directory: bool,
    permissions: int | None,
    append: bool,
    exclusive: bool,
    output: str,
) -> None:
    """Make PATH an empty file. It must not be there yet."""
    from weft.ninep.words import Mode

    perm = (0o777 if directory else 0o666) if permissions is None else permissions
    for wanted, bit in ((directory, Mode.DIR), (append, Mode.APPEND), (exclusive, Mode.EXCLUSIVE)):
        perm |= bit if wanted else 0
    made = server.ask(lambda client: _create(client, path, perm))
    if output == "json":
        print_json(view_stat(made))
    else:
        print(path)


async def _create(client: "NinepClient", path: str, perm: int) -> "Stat":
    with telling(path):
        await client.create(path, perm=perm)
        return await client.stat(path)


@click.command(short_help="Remove files of a server.")
@click.argument("paths", nargs=-1, required=True, type=REMOTE_PATH, metavar="PATH...")
@server_options
@format_option
def rm(paths: tuple[str, ...], server: Server, output: str) -> None:
    """Remove PATHs: files, empty directories, and what else the server lets be removed."""
    removed = server.ask(lambda client: _remove(client, paths, output))
    if output == "json":
        print_json([{"path": path} for path in removed])


async def _remove(client: "NinepClient", paths: tuple[str, ...], output: str) -> list[str]:
    for path in paths:
        with telling(path):
            await client.remove(path)
        if output != "json":
            print(path, flush=True)
    return list(paths)


def view_stat(stat: "Stat") -> dict[str, Any]:
    """As JSON has it. Times are seconds since the epoch."""
    return {
        "name": stat.name,
        "mode": dump_mode(stat.mode),
        "permissions": f"{stat.mode & 0o777:03o}",
        "length": stat.length,
        "user": stat.uid,
        "group": stat.gid,
        "modifier": stat.muid,
        "accessed": stat.atime,
        "modified": stat.mtime,
        "qid": {"type": int(stat.qid.type), "version": stat.qid.version, "path": stat.qid.path},
    }


def dump_mode(mode: int) -> str:
    """As Plan 9's `ls -l` writes it."""
    from weft.ninep.words import Mode

    kind = "d" if mode & Mode.DIR else "a" if mode & Mode.APPEND else "A" if mode & Mode.AUTH else "-"
    permissions = (letter if mode >> (8 - at) & 1 else "-" for at, letter in enumerate(_BITS))
    return kind + ("l" if mode & Mode.EXCLUSIVE else "-") + "".join(permissions)


def _dump_name(stat: "Stat") -> str:
    name = "".join(c if c.isprintable() else "?" for c in stat.name)
    return f"{name}/" if stat.qid.is_dir and name != "/" else name
