"""Attaching to a machine's entry point: its output from now on, and what is typed for it."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING

import click

from weft.cli.face import Face
from weft.cli.params import MACHINE
from weft.cli.statuses import find_status

if TYPE_CHECKING:
    from weft.cli.terminal import Input
    from weft.client import Client
    from weft.client.session import ConsoleSession

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_POLL = 0.05


@click.command(short_help="Attach to a machine's entry point.")
@click.option("--stdin/--no-stdin", default=True, help="Pass standard input on (default), or only show its output.")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals on (default), where no terminal does.")
@click.argument("name", type=MACHINE)
@click.pass_obj
def attach(face: Face, name: str, stdin: bool, sig_proxy: bool) -> None:
    """Attach to the entry point of machine NAME: its output from now on, and standard input for it.

    Ctrl-P Ctrl-Q detaches, and the machine runs on. The exit status is that of the entry point when it ends.
    """
    client = face.client()
    attached = Attached(client, name, stdin=stdin)
    with attached.open_proxy() if sig_proxy and not attached.at_terminal else nullcontext():
        attached.visit()
        status = 0 if attached.detached else find_status(client.wait_machine(name))
    raise click.exceptions.Exit(status)


class Attached:
    """One visit to an entry point. Its terminal is the machine's console, and only one can visit at a time."""

    def __init__(self, client: "Client", name: str, *, stdin: bool) -> None:
        self._client = client
        self._name = name
        self._stdin = stdin
        self._session: ConsoleSession | None = None
        self.detached = False
        self.at_terminal = stdin and sys.stdin.isatty()

    def visit(self) -> None:
        """Until the machine has ended, or the keys were pressed: then `detached`."""
        from weft.cli.terminal import open_raw

        with open_raw(0 if self.at_terminal else -1, cooked_output=True):
            self._visit()
        if self.detached:
            print(f"weft: detached from {self._name}, which runs on", file=sys.stderr)

    def _visit(self) -> None:
        """Comes again when the daemon was replaced meanwhile."""
        from weft.client.client import is_live

        source = self._make_input() if self._stdin else None
        while True:
            daemon = self._client.version()["pid"]
            with self._client.open_console(self._name) as self._session:
                if source is not None:
                    Thread(target=self._start_input, args=(source,), name="input", daemon=True).start()
                source = None
                self._copy_output(self._session)
            if self.detached or self._client.version()["pid"] == daemon:
                return
            if not is_live(self._client.machine(self._name)):
                return

    def _copy_output(self, session: "ConsoleSession") -> None:
        from weft.cli.terminal import write_all

        for data in session:
            write_all(1, data)

    def _start_input(self, source: "Input") -> None:
        """When the machine is ready: what comes before nobody would read."""
        while self._client.machine(self._name)["state"] == "starting":
            time.sleep(_POLL)
        if self.at_terminal:
            self._resize()
        else:
            self._open().hide_input()
        source.pump()

    def _make_input(self) -> "Input":
        from weft.cli.terminal import Input
        from weft.client.keys import DetachKeys, LineQuoter

        keys, quoter = DetachKeys(), LineQuoter()

        def typed(data: bytes) -> bool:
            before, detach = keys.feed(data)
            if before:
                self._send(before)
            if detach:
                self.detached = True
                self._open().detach()
            return not detach

        if self.at_terminal:
            return Input(0, typed, lambda: None, self._resize)
        return Input(0, lambda data: self._send(quoter.feed(data)), lambda: self._send(quoter.end()))

    def _open(self) -> "ConsoleSession":
        assert self._session is not None, "input begins after the visit"
        return self._session

    def _send(self, data: bytes) -> None:
        self._open().send_input(data)

    def _resize(self) -> None:
        from weft.cli.terminal import find_size

        if size := find_size(0):
            self._open().resize(*size)

    @contextmanager
    def open_proxy(self) -> Iterator[None]:
        """While the context lasts, signals to us go to the entry point."""
        numbers: SimpleQueue[int | None] = SimpleQueue()

        def put(number: int, _frame: FrameType | None) -> None:
            numbers.put(number)

        def pass_on() -> None:
            while (number := numbers.get()) is not None:
                if self._session is not None:
                    self._session.send_signal(number)

        before = {number: signal.signal(number, put) for number in _PASSED_ON}
        Thread(target=pass_on, name="signals", daemon=True).start()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            numbers.put(None)
