"""Where a fabric lives: its folder, and the socket in it that the daemon answers on."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weft.model.names import DEFAULT_ROOM

SOCKET_NAME = "weft.sock"
LOG_NAME = "daemon.log"
# sun_path holds 108 bytes, the last of them NUL (unix(7)).
_LONGEST_ADDRESS = 107
_PAUSE = 0.01


def default_home() -> Path:
    """`WEFT_HOME` if set, else /var/lib/weft as root and ~/.local/share/weft for anybody else."""
    if home := os.environ.get("WEFT_HOME"):
        return Path(home).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/weft")
    return Path("~/.local/share/weft").expanduser()


def default_room() -> str:
    """`WEFT_ROOM` if set, else the room that is always there."""
    return os.environ.get("WEFT_ROOM") or DEFAULT_ROOM


@contextmanager
def socket_address(home: Path) -> Iterator[str]:
    """An address that fits: a path too long is reached through a descriptor of its folder."""
    address = str(home / SOCKET_NAME)
    if len(os.fsencode(address)) <= _LONGEST_ADDRESS:
        yield address
        return
    folder = os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET_NAME}"
    finally:
        os.close(folder)


def connect_socket(home: Path, timeout: float) -> socket.socket:
    """A stream to the daemon of this home, with `timeout` seconds for every later operation. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        with socket_address(home) as address:
            _connect(sock, address, time.monotonic() + timeout)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(sock: socket.socket, address: str, deadline: float) -> None:
    """A unix socket that cannot be connected to right now has a full queue: its owner is busy, or starting."""
    while True:
        try:
            return sock.connect(address)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
