"""The user's terminal: raw mode, its size, and bytes in and out without buffers in between."""

import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_PIECE = 1 << 15


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


@contextmanager
def open_raw(fd: int, *, cooked_output: bool = False) -> Iterator[None]:
    """Raw mode while the context lasts; nothing if `fd` is no terminal.

    With `cooked_output` a line feed still begins a new line: a serial line carries bare ones.
    """
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    tty.setraw(fd)
    if cooked_output:
        attributes = termios.tcgetattr(fd)
        attributes[1] |= termios.OPOST | termios.ONLCR
        termios.tcsetattr(fd, termios.TCSADRAIN, attributes)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


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

    def start(self) -> None:
        """Begins. The thread is left behind when the process ends: a read of a terminal cannot be called off."""
        if self._on_resize:
            signal.signal(signal.SIGWINCH, self._mark_resize)
        threading.Thread(target=self._pump, name="input", daemon=True).start()

    def _mark_resize(self, _number: int, _frame: FrameType | None) -> None:
        # A signal handler may interrupt a send in progress, so it only leaves a mark for the thread.
        with suppress(BlockingIOError):
            os.write(self._resize_mark, b"r")

    def _pump(self) -> None:
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
