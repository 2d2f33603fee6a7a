"""Paths of a 9P server as arguments: the shell completes them by asking the server."""

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from weft.cli.ninep_dialing import SOCKET, Server, find_user
from weft.cli.ninep_serving import read_secret
from weft.cli.params import ParamType
from weft.model.errors import WeftError

if TYPE_CHECKING:
    from weft.ninep.client import NinepClient

_TIMEOUT = 1.0


class _RemotePath(ParamType):
    name = "path"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        folder, slash, start = incomplete.rpartition("/")
        try:
            names = _find_server(ctx).ask(lambda client: _list_names(client, folder), timeout=_TIMEOUT)
        except (WeftError, OSError, TimeoutError):
            return []
        return [CompletionItem(f"{folder}{slash}{name}") for name in names if name.startswith(start)]


REMOTE_PATH = _RemotePath()


def _find_server(ctx: click.Context) -> Server:
    """As the words before say. The fabric's own tree is asked only if it is there."""
    from weft.client import Client

    given = ctx.params
    address, secret = given.get("address"), given.get("secret_file")
    if address is None:
        address = f"unix!{Client(ctx.find_root().params.get('home'), start=False).home / SOCKET}"
    return Server(address, given.get("user") or find_user(), given.get("aname") or "", secret and read_secret(secret))


async def _list_names(client: "NinepClient", folder: str) -> list[str]:
    return [f"{entry.name}/" if entry.qid.is_dir else entry.name for entry in await client.list(folder)]
