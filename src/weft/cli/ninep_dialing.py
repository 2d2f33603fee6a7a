"""Reaching a server of 9P, and telling its errors as ours."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from weft.cli.face import Face
from weft.cli.ninep_serving import ADDRESS, read_secret, secret_option
from weft.model.errors import ERRORS, Exists, Forbidden, NotFound, Unavailable, WeftError, WrongState

if TYPE_CHECKING:
    from weft.ninep.client import NinepClient

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")

SOCKET = "9p.sock"
"""Of a fabric's own tree, in its folder."""


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to call, and as whom."""

    address: str
    user: str
    aname: str
    secret: bytes | None

    def ask(self, work: "Callable[[NinepClient], Awaitable[Result]]", *, timeout: float | None = None) -> Result:
        """Attach, and do something there. Raises the error that the server's amounts to; TimeoutError."""
        with telling(self.address):
            return asyncio.run(asyncio.wait_for(self._ask(work), timeout))

    async def _ask(self, work: "Callable[[NinepClient], Awaitable[Result]]") -> Result:
        from weft.ninep.client import open_client

        async with open_client(self.address, user=self.user, aname=self.aname, secret=self.secret) as client:
            return await work(client)


def server_options(command: Command) -> Command:
    """`-a`, `--aname`, `--user` and `--secret-file`, passed as one `server`."""

    @wraps(command)
    @click.pass_obj
    def with_server(
        face: Face,
        /,
        *args: Any,
        address: str | None,
        user: str | None,
        aname: str,
        secret_file: Path | None,
        **others: Any,
    ) -> Any:
        secret = None if secret_file is None else read_secret(secret_file)
        server = Server(address or find_own_tree(face), user or find_user(), aname, secret)
        return command(*args, server=server, **others)

    decorated: Any = with_server
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


_OPTIONS = (
    click.option("-a", "--address", type=ADDRESS, metavar="ADDRESS",
                 help="The server: tcp!HOST!PORT or unix!PATH. Default: the fabric's own tree."),
    click.option("--aname", default="", metavar="NAME", help="The part of its tree that is meant. Default: all of it."),
    click.option("--user", metavar="NAME", help="Whom to attach as. Default: who you are here."),
    secret_option("Prove to have the secret that is in FILE."),
)  # fmt: skip


def find_user() -> str:
    """Who we are here: a name, or a number that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def find_own_tree(face: Face) -> str:
    """Where the fabric serves itself; its daemon is started if need be."""
    face.client().version()
    return f"unix!{face.home / SOCKET}"


@contextmanager
def telling(where: str) -> Iterator[None]:
    """What a server says against something, as an error of ours that says of what."""
    from weft.ninep.calling import Disconnected
    from weft.ninep.words import NinepError

    try:
        yield
    except Disconnected as err:
        raise Unavailable(err.text) from err
    except NinepError as err:
        raise translate(err.text, where) from err


def translate(text: str, where: str) -> WeftError:
    """By its text: 9P has no codes. The fabric's tree puts its own before the text."""
    from weft.ninep.auth import FAILED
    from weft.ninep.session import NEEDS_AUTH
    from weft.ninep.words import EXISTS, NOT_FOUND, PERMISSION

    code, _, rest = text.partition(": ")
    if code in ERRORS and rest:
        return ERRORS[code](f"{where}: {rest}")
    if text == NEEDS_AUTH:
        return Forbidden(f"{where}: {text}", hint="--secret-file FILE proves to have its secret")
    kinds: dict[str, type[WeftError]] = {NOT_FOUND: NotFound, EXISTS: Exists, PERMISSION: Forbidden, FAILED: Forbidden}
    return kinds.get(text, WrongState)(f"{where}: {text}")
