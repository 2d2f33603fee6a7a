"""A machine's screen for VNC viewers, which want an address to connect to."""

import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

from weft.cli.face import Face
from weft.cli.params import MACHINE, Parsed
from weft.model.errors import Invalid, Unavailable, WeftError

if TYPE_CHECKING:
    from weft.client import Client
    from weft.client.session import ByteSession

_PIECE = 1 << 16
Address = tuple[str, int] | Path


def parse_listen(text: str) -> Address:
    """`HOST:PORT`, or a path for a unix socket. Raises Invalid."""
    if "/" in text:
        return Path(text)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Invalid(f"{text!r} is neither HOST:PORT nor the path of a socket")
    return host.strip("[]"), int(port)


@click.command(short_help="Show a machine's screen to VNC viewers.")
@click.option(
    "--listen",
    type=Parsed("address", parse_listen),
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT|PATH",
    help="Where viewers connect to. Port 0: any that is free.",
)
@click.argument("name", type=MACHINE)
@click.pass_obj
def display(face: Face, name: str, listen: Address) -> None:
    """Show the screen of machine NAME to VNC viewers, until it ends or Ctrl-C is pressed. Prints where they connect to.

    Nobody is asked for a password: whoever reaches the address has the machine's screen and keyboard. A path is a
    socket for its owner only. The machine is one of `weft run --display vnc`.
    """
    client = face.client()
    _look(client, name)
    with ExitStack() as stack:
        listening = _listen(stack, listen)
        print(_dump_address(listening), flush=True)
        if sys.stderr.isatty():
            print(f"weft: the screen of {name}; Ctrl-C ends this, the machine runs on", file=sys.stderr)
        Thread(target=_wait_end, args=(client, name, listening), name="end", daemon=True).start()
        with suppress(OSError):  # nobody listens any more: the machine has ended
            while True:
                viewer, _ = listening.accept()
                Thread(target=_serve, args=(client, name, viewer), name="viewer", daemon=True).start()


def _look(client: "Client", name: str) -> None:
    """Raises what is in the way of seeing the screen."""
    with client.open_display(name) as session:
        next(iter(session), b"")


def _listen(stack: ExitStack, address: Address) -> socket.socket:
    """Raises Unavailable. What is made for it goes with `stack`."""
    try:
        if isinstance(address, Path):
            return _listen_unix(stack, address)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        return stack.enter_context(socket.create_server(address, family=family))
    except OSError as err:
        where = address if isinstance(address, Path) else _dump_pair(*address)
        raise Unavailable(f"cannot listen at {where}: {err.strerror or err}") from err


def _listen_unix(stack: ExitStack, path: Path) -> socket.socket:
    """For its owner only. What one has left there that was killed goes."""
    from weft.ninep.listening import remove_dead

    remove_dead(str(path))
    listening = stack.enter_context(socket.socket(socket.AF_UNIX))
    listening.bind(str(path))
    stack.callback(path.unlink, missing_ok=True)
    path.chmod(0o600)
    listening.listen()
    return listening


def _dump_address(listening: socket.socket) -> str:
    if listening.family == socket.AF_UNIX:
        return str(listening.getsockname())
    host, port, *_ = listening.getsockname()
    return _dump_pair(host, port)


def _dump_pair(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _wait_end(client: "Client", name: str, listening: socket.socket) -> None:
    """Wakes whoever waits for viewers when there is nothing to be seen any more."""
    with suppress(WeftError):
        client.wait_machine(name)
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)


def _serve(client: "Client", name: str, viewer: socket.socket) -> None:
    """Until the viewer leaves, or the machine ends."""
    with viewer, suppress(OSError, WeftError), client.open_display(name) as session:
        Thread(target=_send, args=(viewer, session), name="input", daemon=True).start()
        for data in session:
            viewer.sendall(data)


def _send(viewer: socket.socket, session: "ByteSession") -> None:
    with suppress(OSError):
        while data := viewer.recv(_PIECE):
            session.send_input(data)
    session.detach()
