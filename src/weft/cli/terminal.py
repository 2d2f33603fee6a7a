"""The user's terminal: raw mode, its size, and bytes in and out without buffers in between."""

import os
import select
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import click

_PIECE = 1 << 15
_DEADLY = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_RAW_INPUT = (
    termios.IGNBRK
    | termios.BRKINT
    | termios.PARMRK
    | termios.ISTRIP
    | termios.INLCR
    | termios.IGNCR
    | termios.ICRNL
    | termios.IXON
)
_RAW_LOCAL = termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN


def write_all(fd: int, data: bytes) -> None:
    """Writes all of it. Raises BrokenPipeError if nobody reads any more."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def find_size(fd: int) -> tuple[int, int] | None:
    """Rows and columns, or None if this is no terminal."""
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return None
    return size.lines, size.columns


class Ended(click.exceptions.Exit):
    """A signal asked us to end. The status is a shell's for a program that the signal has killed."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


@contextmanager
def open_raw(fd: int, *, cooked_output: bool = False) -> Iterator[None]:
    """Raw mode while the context lasts; nothing if `fd` is no terminal.

    However it ends, the terminal is as it was: a signal that would kill us leaves the context first, and one that would
    stop us stops us with the terminal as it was. With `cooked_output` a line feed still begins a new line: a serial
    line carries bare ones.
    """
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    raw = _make_raw(before, cooked_output)
    with _open_signals(partial(_stop, fd, before, raw)):
        termios.tcsetattr(fd, termios.TCSADRAIN, raw)
        try:
            yield
        finally:
            with suppress(termios.error):  # it may be gone
                termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _make_raw(attributes: list[Any], cooked_output: bool) -> list[Any]:
    """As cfmakeraw(3) makes it."""
    raw = [*attributes[:6], list(attributes[6])]
    raw[0] &= ~_RAW_INPUT
    raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[3] &= ~_RAW_LOCAL
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    if cooked_output:
        raw[1] |= termios.OPOST | termios.ONLCR
    else:
        raw[1] &= ~termios.OPOST
    return raw


@contextmanager
def _open_signals(on_stop: Callable[[], None]) -> Iterator[None]:
    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise Ended(number)

    def stop(_number: int, _frame: FrameType | None) -> None:
        on_stop()

    handlers = {**dict.fromkeys(_DEADLY, end), signal.SIGTSTP: stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(fd: int, before: list[Any], raw: list[Any]) -> None:
    """Stops, with the terminal as it was; goes on raw."""
    termios.tcsetattr(fd, termios.TCSADRAIN, before)
    os.kill(os.getpid(), signal.SIGSTOP)
    termios.tcsetattr(fd, termios.TCSADRAIN, raw)


class Input:
    """Reads a descriptor in a thread of its own and hands on what comes, its end, and changes of the window's size.

    All three callbacks run in that thread. `on_data` returns False to stop reading.
    """

    def __init__(
        self,
        fd: int,
        on_data: Callable[[bytes], bool | None],
        on_end: Callable[[], None],
        on_resize: Callable[[], None] | None = None,
    ) -> None:
        self._fd = fd
        self._on_data = on_data
        self._on_end = on_end
        self._on_resize = on_resize
        self._resized, self._resize_mark = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

        if on_resize:
            signal.signal(signal.SIGWINCH, self._mark_resize)

    def start(self) -> None:
        """Begins. The thread is left behind when the process ends: a read of a terminal cannot be called off."""
        threading.Thread(target=self.pump, name="input", daemon=True).start()

    def _mark_resize(self, _number: int, _frame: FrameType | None) -> None:
        # A signal handler may interrupt a send in progress, so it only leaves a mark for the thread.
        with suppress(BlockingIOError):
            os.write(self._resize_mark, b"r")

    def pump(self) -> None:
        """Reads in the thread that calls this."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._resized, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._resized in ready:
                os.read(self._resized, 64)
                if self._on_resize:
                    self._on_resize()
            if self._fd in ready and not self._pass_on():
                return

    def _pass_on(self) -> bool:
        try:
            data = os.read(self._fd, _PIECE)
        except OSError:
            data = b""
        if not data:
            self._on_end()
            return False
        return self._on_data(data) is not False
