"""Sessions over WebSockets: programs in a machine with streamed input and output, its serial console, its screen."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from weft.client.http import Disconnected
from weft.model.errors import Internal, Unavailable, WeftError, error_from_dict

STDIN, STDOUT, STDERR = 0, 1, 2
_OPEN_TIMEOUT = 60.0
"""Seconds: a hundred may be opened at once, on a host that is busy."""
_LARGEST_MESSAGE = 1 << 24
_PIECE = 1 << 15


class ExitStatus(NamedTuple):
    """How a program ended: its status, or the signal that killed it."""

    code: int | None
    signal: int | None

    @property
    def shell_status(self) -> int:
        """As shells count: 128 + signal for a program that was killed."""
        return 128 + self.signal if self.signal else self.code or 0


class ExecSession:
    """A program that runs in a machine. Iterating gives its output; `exit` is set when that ends.

    Input may be sent from another thread than the one that iterates.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.pid: int | None = None
        self.exit: ExitStatus | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(STDOUT or STDERR, data) as it arrives. Raises WeftError if the program cannot be run or its machine ends."""
        while self.exit is None:
            message = _receive(self._connection)
            if message is None:
                raise Disconnected("the machine or the daemon ended before the program did")
            if isinstance(message, str):
                self._note(json.loads(message))
            elif message:
                yield message[0], message[1:]

    def wait_started(self) -> int:
        """Until the program runs; its pid. Raises WeftError if it cannot be run."""
        while self.pid is None:
            message = _receive(self._connection)
            if message is None:
                raise Disconnected("the machine or the daemon ended before the program was started")
            if isinstance(message, str):
                self._note(json.loads(message))
        return self.pid

    def _note(self, message: Mapping[str, Any]) -> None:
        if "error" in message:
            raise error_from_dict(message["error"])
        if "started" in message:
            self.pid = message["started"]
        if "exit" in message:
            self.exit = ExitStatus(message["exit"].get("code"), message["exit"].get("signal"))

    def send_input(self, data: bytes) -> None:
        """Sends standard input. Waits when the program does not read; nothing happens if it has ended."""
        for start in range(0, len(data), _PIECE):
            _send(self._connection, bytes([STDIN]) + data[start : start + _PIECE])

    def close_input(self) -> None:
        """Ends standard input."""
        self._control({"eof": True})

    def resize(self, rows: int, columns: int) -> None:
        """Tells the program's terminal its size."""
        self._control({"resize": [rows, columns]})

    def send_signal(self, number: int) -> None:
        """Sends a signal to the program."""
        self._control({"signal": number})

    def _control(self, message: Mapping[str, Any]) -> None:
        _send(self._connection, json.dumps(message))


class ByteSession:
    """Bytes to and from a device of a machine, its serial line or its screen. Iterating gives what it sends."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[bytes]:
        """Raises WeftError if the device cannot be had; ends with the machine."""
        while (message := _receive(self._connection)) is not None:
            if isinstance(message, bytes):
                yield message
            elif error := json.loads(message).get("error"):
                raise error_from_dict(error)

    def send_input(self, data: bytes) -> None:
        """Types, or says whatever else is said to such a device."""
        _send(self._connection, data)

    def detach(self) -> None:
        """Ends the iteration, from whichever thread."""
        self._connection.close()


class ConsoleSession(ByteSession):
    """A machine's serial console."""

    def resize(self, rows: int, columns: int) -> None:
        """Tells the entry point's terminal its size."""
        self._control({"resize": [rows, columns]})

    def hide_input(self) -> None:
        """Nobody is at a terminal: what is sent is not to come back as output."""
        self._control({"echo": False})

    def send_signal(self, number: int) -> None:
        """Sends a signal to the entry point."""
        self._control({"signal": number})

    def _control(self, message: Mapping[str, Any]) -> None:
        _send(self._connection, json.dumps(message))


@contextmanager
def open_exec(sock: socket.socket, path: str, request: Mapping[str, Any]) -> Iterator[ExecSession]:
    """Starts a program; leaving the context ends it if it still runs. Takes the socket over."""
    with _open_connection(sock, path) as connection:
        _send(connection, json.dumps(request))
        yield ExecSession(connection)


@contextmanager
def open_console(sock: socket.socket, path: str) -> Iterator[ConsoleSession]:
    """Attaches to a console; leaving the context detaches. Takes the socket over."""
    with _open_connection(sock, path) as connection:
        yield ConsoleSession(connection)


@contextmanager
def open_display(sock: socket.socket, path: str) -> Iterator[ByteSession]:
    """Looks at a screen by RFB; leaving the context ends that. Takes the socket over."""
    with _open_connection(sock, path) as connection:
        yield ByteSession(connection)


@contextmanager
def _open_connection(sock: socket.socket, path: str) -> Iterator[ClientConnection]:
    try:
        connecting = connect(
            f"ws://weft{path}",
            sock=sock,
            compression=None,
            open_timeout=_OPEN_TIMEOUT,
            # Pings are off: when nobody reads our output we stop reading too, and pongs would wait behind the data.
            ping_interval=None,
            close_timeout=1,
            max_size=_LARGEST_MESSAGE,
        )
        connection = connecting.__enter__()
    except (InvalidHandshake, TimeoutError, OSError) as err:
        sock.close()
        raise _translate(err) from err
    try:
        yield connection
    finally:
        connection.close()


def _translate(err: Exception) -> WeftError:
    if isinstance(err, InvalidStatus):
        try:
            return error_from_dict(json.loads(err.response.body or b"")["error"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return Internal(f"the daemon refused the session with status {err.response.status_code}")
    return Unavailable(f"the daemon does not open a session: {err}")


def _receive(connection: ClientConnection) -> str | bytes | None:
    """The next message, or None at the end."""
    try:
        return connection.recv()
    except ConnectionClosed:
        return None


def _send(connection: ClientConnection, message: str | bytes) -> None:
    # A peer that is gone is noticed, and its reason told, where the answers are read.
    with suppress(ConnectionClosed):
        connection.send(message)
