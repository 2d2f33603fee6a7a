"""`weft 9p fabric`: the fabric as files, to whom its own socket does not reach."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weft.cli.face import Face
from weft.cli.ninep_serving import serve_tree, serving_options

if TYPE_CHECKING:
    from weft.ninep.tree import Tree


@click.command(short_help="Serve the fabric as files.")
@click.option("--ro", "read_only", is_flag=True, help="It can be looked at, and nothing of it changed.")
@serving_options
@click.pass_obj
def fabric(face: Face, *, read_only: bool, addresses: tuple[str, ...], secret_file: Path | None, no_auth: bool) -> None:
    """Serve the fabric as files until Ctrl-C; with --room before the command, that room alone.

    Whoever attaches may do what you may, so it is for this host, or for who has the secret. The daemon serves the same
    tree at all times, to you, on the unix socket 9p.sock in the fabric's folder.
    """
    face.client().version()  # the daemon is started if need be, or told to be out of reach now
    what = f"room {face.room}" if face.chosen_room else f"the fabric in {face.home}"
    tree = _open_tree(face.home, face.chosen_room, read_only)
    serve_tree(tree, what, addresses=addresses, secret_file=secret_file, no_auth=no_auth)


@asynccontextmanager
async def _open_tree(home: Path, room: str | None, read_only: bool) -> AsyncIterator["Tree"]:
    from weft.filetree.api import Api, open_api
    from weft.filetree.looking import LookingApi
    from weft.filetree.root import FabricTree, RoomTree
    from weft.model.names import DEFAULT_ROOM

    async with open_api(home, room or DEFAULT_ROOM) as opened:
        api: Api = LookingApi(opened) if read_only else opened
        yield RoomTree(api) if room else FabricTree(api)
