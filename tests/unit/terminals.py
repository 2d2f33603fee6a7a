"""The command line as a process, with pipes or with a terminal of its own."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

WEFT = [sys.executable, "-c", "from weft.cli.main import main; main()"]
LIMIT = 15.0


def weft(env: dict[str, str], *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*WEFT, *args], env=env, input=stdin, capture_output=True, timeout=LIMIT, check=False)


@contextmanager
def start_weft(env: dict[str, str], *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that does not outlive a test that gives up: leaving `Popen` itself waits for ever."""
    with subprocess.Popen(
        [*WEFT, *args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class Terminal:
    """A command line with a terminal of its own. `limit`: seconds that anything may take."""

    def __init__(
        self,
        env: dict[str, str],
        *args: str,
        size: tuple[int, int] = (40, 100),
        program: Sequence[str] = WEFT,
        limit: float = LIMIT,
    ) -> None:
        self._limit = limit
        self._unread = b""
        self._master, slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.child = subprocess.Popen(
            [*program, *args], env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def tell_resize(self) -> None:
        # The terminal is not the child's controlling one, so the kernel does not send this by itself.
        self.child.send_signal(signal.SIGWINCH)

    def type(self, data: bytes) -> None:
        os.write(self._master, data)

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self._slave)[3] & termios.ICANON

    def read_until(self, mark: bytes) -> bytes:
        """What comes up to the mark, and the mark; what came with it is read next."""
        data, deadline = self._unread, time.monotonic() + self._limit
        while mark not in data:
            assert select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0], data
            data += os.read(self._master, 4096)
        end = data.index(mark) + len(mark)
        self._unread = data[end:]
        return data[:end]

    def finish(self) -> int:
        """Waits for the end; the status. The terminal must be as it was."""
        try:
            status = self.child.wait(self._limit)
            assert termios.tcgetattr(self._slave) == self.before
            return status
        finally:
            self.child.kill()
            self.child.wait()
            os.close(self._master)
            os.close(self._slave)
