"""Serving a tree over 9P in the foreground: where, and to whom."""

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from weft.cli.params import Parsed
from weft.model.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from weft.ninep.auth import Auth
    from weft.ninep.tree import Tree

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_ADDRESS = "tcp!127.0.0.1!5640"
_OTHERS = 0o077


def check_address(text: str) -> str:
    """A dial string as it is. Raises Invalid for what is none."""
    from weft.ninep.listening import parse_dial
    from weft.ninep.words import NinepError

    try:
        parse_dial(text)
    except NinepError as err:
        raise Invalid(err.text) from err
    return text


ADDRESS = Parsed("address", check_address)


def serving_options(command: Command) -> Command:
    """`--listen`, `--secret-file` and `--no-auth`, passed on to `serve_tree`."""
    command = click.option(
        "--no-auth", is_flag=True, help="Also beyond this host, ask nobody who he is: whoever gets there may use it."
    )(command)
    command = secret_option("Serve only who proves to have the secret that is in FILE.")(command)
    return click.option(
        "--listen",
        "addresses",
        multiple=True,
        type=ADDRESS,
        metavar="ADDRESS",
        help=f"Where: tcp!HOST!PORT or unix!PATH; more than once if wanted. Default: {DEFAULT_ADDRESS}.",
    )(command)


def secret_option(text: str) -> Callable[[Command], Command]:
    """`--secret-file`, passed as `secret_file`."""
    return click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=text)


def read_secret(file: Path) -> bytes:
    """What is in a file that is its owner's alone, without the white space around. Raises NotFound, Invalid."""
    try:
        secret, mode = file.read_bytes().strip(), file.stat().st_mode
    except OSError as err:
        raise NotFound(f"secret {file} cannot be read: {err.strerror}") from err
    if stat.S_ISREG(mode) and mode & _OTHERS:
        raise Invalid(f"secret {file} can be read by others", hint=f"chmod 600 {file}")
    if not secret:
        raise Invalid(f"secret {file} is empty")
    return secret


def serve_tree(
    opening: "AbstractAsyncContextManager[Tree]",
    what: str,
    *,
    addresses: Sequence[str],
    secret_file: Path | None,
    no_auth: bool,
) -> None:
    """Serve what `opening` opens until Ctrl-C or SIGTERM, and say where. Raises Invalid, NotFound, Unavailable."""
    from weft.ninep.auth import SharedSecret

    if secret_file is not None and no_auth:
        raise Invalid("--secret-file and --no-auth are two ways")
    auth = None if secret_file is None else SharedSecret(read_secret(secret_file))
    with ExitStack() as stack:
        sockets = [stack.enter_context(open_listener(address)) for address in addresses or (DEFAULT_ADDRESS,)]
        if auth is None and not no_auth:
            _refuse_strangers(sockets)
        for sock in sockets:
            print(f"weft: serving {what} at {dump_address(sock)}", file=sys.stderr, flush=True)
        asyncio.run(_serve(opening, sockets, auth))


@contextmanager
def open_listener(address: str) -> Iterator[socket.socket]:
    """Listen there. A unix socket is for its owner only, takes the place of one where nobody listens any more, and
    goes with it. Raises Unavailable.
    """
    from weft.ninep.listening import UnixAddress, listen, parse_dial

    place = parse_dial(address)
    try:
        mask = os.umask(_OTHERS)
        try:
            sock = listen(address)
        finally:
            os.umask(mask)
    except OSError as err:
        raise Unavailable(f"nobody can listen at {address}: {err.strerror or err}") from err
    try:
        with sock:
            yield sock
    finally:
        if isinstance(place, UnixAddress):
            Path(place.path).unlink(missing_ok=True)


def dump_address(sock: socket.socket) -> str:
    """Where a socket listens, as a dial string."""
    name = sock.getsockname()
    return f"unix!{name}" if sock.family == socket.AF_UNIX else f"tcp!{name[0]}!{name[1]}"


def _refuse_strangers(sockets: Sequence[socket.socket]) -> None:
    """Raises Invalid when others than this host's users get to one of the sockets."""
    for sock in sockets:
        if sock.family != socket.AF_UNIX and not ip_address(sock.getsockname()[0]).is_loopback:
            raise Invalid(
                f"everybody would be served who gets to {dump_address(sock)}",
                hint="--secret-file asks them for a secret, --no-auth lets them",
            )


async def _serve(
    opening: "AbstractAsyncContextManager[Tree]", sockets: Sequence[socket.socket], auth: "Auth | None"
) -> None:
    from weft.ninep.server import NinepServer

    async with opening as tree:
        server = NinepServer(tree, auth=auth)
        serving = asyncio.gather(*(server.serve(sock) for sock in sockets))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        task = asyncio.current_task()
        try:
            await serving
        except asyncio.CancelledError:
            if task is not None and task.cancelling():  # Ctrl-C, and not SIGTERM
                raise
