"""Sessions inside a machine: exec and console."""

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weft.cli.environment import environment_options, read_environment
from weft.cli.face import Face
from weft.cli.params import MACHINE

if TYPE_CHECKING:
    from weft.client import Client
    from weft.client.session import ConsoleSession, ExecSession

_DETACH = b"\x1d"  # Ctrl-], as in telnet and virsh
_LAST_ANSWER = 1.0
_REST = {"allow_interspersed_args": False}


def parse_command(words: tuple[str, ...]) -> list[str]:
    """The words after NAME, with or without `--` between."""
    return list(words[1:] if words[:1] == ("--",) else words)


@click.command("exec", context_settings=_REST, short_help="Run a program in a machine.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on, also when it is not a terminal.")
@click.option("-t/-T", "--tty/--no-tty", default=None, help="Give it a terminal. Default: if we have one.")
@click.option("-d", "--detach", is_flag=True, help="Return when it runs: no input, no output, no terminal.")
@environment_options
@click.option("-w", "--workdir", metavar="DIR", help="The directory to run in.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user of the machine, by name or number.")
@click.argument("name", type=MACHINE)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.pass_obj
def exec_(
    face: Face,
    stdin: bool,
    tty: bool | None,
    detach: bool,
    environment: tuple[str, ...],
    env_files: tuple[Path, ...],
    workdir: str | None,
    user: str | None,
    name: str,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND in machine NAME and exit with its status (128 + signal if it was killed).

    At a terminal the program gets a terminal and the keyboard. In scripts it gets no input, so that a loop that reads
    a list is not eaten by the first exec in it; `-i` passes input on.
    """
    from weft.cli.terminal import find_size, open_raw

    if not (argv := parse_command(command)):
        raise click.UsageError("Missing argument 'COMMAND'", click.get_current_context())
    env = read_environment(environment, env_files)
    if detach:
        face.client().start_exec(name, argv, env=env, cwd=workdir, user=user)
        return
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    want_tty = at_terminal if tty is None else tty
    size = (find_size(1) or (24, 80)) if want_tty else None
    want_input = stdin or (want_tty and at_terminal)
    opening = face.client().open_exec(name, argv, env=env, cwd=workdir, user=user, tty=size, stdin=want_input)
    with opening as session, open_raw(0 if size and want_input else -1):
        if want_input:
            _start_input(session, resizable=size is not None)
        status = _pump_output(session)
    raise click.exceptions.Exit(status)


def _start_input(session: "ExecSession", *, resizable: bool) -> None:
    from weft.cli.terminal import Input, find_size

    def resize() -> None:
        if size := find_size(1):
            session.resize(*size)

    Input(0, session.send_input, session.close_input, resize if resizable else None).start()


def _pump_output(session: "ExecSession") -> int:
    """Until the program ends. Ctrl-C is passed on, once; the second one ends the session and the program with it."""
    try:
        _copy_output(session)
    except KeyboardInterrupt:
        session.send_signal(signal.SIGINT)
        _copy_output(session)
    return session.exit.shell_status if session.exit else 1


def _copy_output(session: "ExecSession") -> None:
    from weft.cli.terminal import write_all

    for stream, data in session:
        write_all(stream, data)


@click.command(short_help="Attach to a machine's serial console.")
@click.option("--tail", "-n", type=click.IntRange(min=0), metavar="N", help="Print the last N lines of its log first.")
@click.argument("name", type=MACHINE)
@click.pass_obj
def console(face: Face, name: str, tail: int | None) -> None:
    """Attach the terminal to the serial console of machine NAME. Ctrl-] detaches; the machine runs on."""
    from weft.cli.terminal import open_raw, write_all

    with face.client().open_console(name) as session:
        if sys.stdin.isatty():
            print(f"weft: console of {name}; Ctrl-] detaches", file=sys.stderr)
        if tail:
            _print_tail(face.client(), name, tail)
        with open_raw(0, cooked_output=True):
            _start_typing(session)
            for data in session:
                write_all(1, data)


def _print_tail(client: "Client", name: str, lines: int) -> None:
    """What was said before; what comes now comes from the console."""
    from weft.cli.terminal import write_all

    with client.open_logs(name, tail=lines) as answer:
        for piece in answer.pieces():
            write_all(1, piece)


def _start_typing(session: "ConsoleSession") -> None:
    from weft.cli.terminal import Input

    interactive = sys.stdin.isatty()

    def send(data: bytes) -> bool:
        before, detach, _ = data.partition(_DETACH) if interactive else (data, b"", b"")
        if before:
            session.send_input(before)
        if detach:
            session.detach()
        return not detach

    def end() -> None:
        """Input from a file or a pipe is over: what the machine answers within a moment is still shown."""
        time.sleep(_LAST_ANSWER)
        session.detach()

    Input(0, send, lambda: None if interactive else end()).start()
