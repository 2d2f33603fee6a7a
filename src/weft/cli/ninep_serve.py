"""`weft 9p serve`: a folder of this host over 9P."""

import resource
from contextlib import nullcontext
from pathlib import Path

import click

from weft.cli.ninep_serving import serve_tree, serving_options
from weft.model.errors import Unavailable


@click.command(short_help="Serve a folder.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.option("--ro", "read_only", is_flag=True, help="Nothing in it can be changed.")
@click.option("--user", metavar="NAME", help="What the owner of your files is called. Default: as on this host.")
@serving_options
def serve(
    folder: Path,
    *,
    read_only: bool,
    user: str | None,
    addresses: tuple[str, ...],
    secret_file: Path | None,
    no_auth: bool,
) -> None:
    """Serve folder DIR until Ctrl-C. Clients may do in it what you may; they do not get out of it.

    Links are not followed and not shown, and neither are devices, pipes and sockets. No daemon is needed.
    """
    from weft.ninep.folder import FolderTree

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        tree = FolderTree(folder, read_only=read_only, user=user)
    except OSError as err:
        raise Unavailable(f"{folder} cannot be served: {err.strerror}") from err
    with tree:
        serve_tree(nullcontext(tree), str(folder), addresses=addresses, secret_file=secret_file, no_auth=no_auth)
