"""Changing the state of machines: stop, start, restart, kill, rm, wait. Each takes any number of names."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.params import DURATION, MACHINE
from weft.cli.printing import print_json
from weft.cli.report import report_error
from weft.model.errors import WeftError

if TYPE_CHECKING:
    from queue import SimpleQueue

Outcome = dict[str, Any] | WeftError | None

_names = click.argument("names", nargs=-1, required=True, type=MACHINE, metavar="NAME...")
_grace = click.option(
    "--timeout", type=DURATION, help="Kill it if it has not powered off after this long. Default: the daemon's."
)


def for_each(names: tuple[str, ...], act: Callable[[str], Outcome], output: str) -> None:
    """Does something to every name at once; prints each name, or all views as JSON, and reports every error.

    Exits with status 1 if one failed, after the others are done.
    """
    views, failed = [], False
    for name, outcome in _outcomes(dict.fromkeys(names), act):
        if isinstance(outcome, WeftError):
            report_error(outcome)
            failed = True
        else:
            views.append(outcome or {"name": name})
            if output != "json":
                print(name, flush=True)
    if output == "json":
        print_json(views)
    if failed:
        raise click.exceptions.Exit(1)


def _outcomes(names: Iterable[str], act: Callable[[str], Outcome]) -> Iterable[tuple[str, Outcome]]:
    """In the order in which they are done: a machine that takes long to stop does not hold the others up."""
    import threading
    from queue import SimpleQueue

    outcomes: SimpleQueue[tuple[str, Outcome | BaseException]] = SimpleQueue()
    threads = [threading.Thread(target=_attempt, args=(name, act, outcomes), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for _ in threads:
        name, outcome = outcomes.get()
        if isinstance(outcome, BaseException) and not isinstance(outcome, WeftError):
            raise outcome
        yield name, outcome


def _attempt(
    name: str, act: Callable[[str], Outcome], outcomes: "SimpleQueue[tuple[str, Outcome | BaseException]]"
) -> None:
    try:
        outcomes.put((name, act(name)))
    except BaseException as err:
        # Carried to the main thread, which reports or raises it: an outcome for every name, whatever happens.
        outcomes.put((name, err))


@click.command(short_help="Stop machines.")
@_names
@_grace
@wait_option
@format_option
@click.pass_obj
def stop(face: Face, names: tuple[str, ...], timeout: float | None, wait: bool, output: str) -> None:
    """Ask the guests to power off, and kill those that do not."""
    client = face.client()
    for_each(names, lambda name: client.stop_machine(name, wait=wait, timeout=timeout), output)


@click.command(short_help="Start machines.")
@click.option("--failsafe", is_flag=True, help="Appliances without their floppies: with factory settings.")
@_names
@wait_option
@format_option
@click.pass_obj
def start(face: Face, failsafe: bool, names: tuple[str, ...], wait: bool, output: str) -> None:
    """Start machines that are stopped; returns when their agents answer."""
    client = face.client()
    for_each(names, lambda name: client.start_machine(name, wait=wait, failsafe=failsafe), output)


@click.command(short_help="Stop and start machines.")
@_names
@_grace
@wait_option
@format_option
@click.pass_obj
def restart(face: Face, names: tuple[str, ...], timeout: float | None, wait: bool, output: str) -> None:
    """Stop and start machines. What is inserted in front of them stays."""
    client = face.client()
    for_each(names, lambda name: client.restart_machine(name, wait=wait, timeout=timeout), output)


@click.command(short_help="End machines at once.")
@_names
@wait_option
@format_option
@click.pass_obj
def kill(face: Face, names: tuple[str, ...], wait: bool, output: str) -> None:
    """End machines at once, as if their power failed."""
    client = face.client()
    for_each(names, lambda name: client.kill_machine(name, wait=wait), output)


@click.command(short_help="Remove machines.")
@click.option("-f", "--force", is_flag=True, help="Stop those that run first.")
@_names
@format_option
@click.pass_obj
def rm(face: Face, force: bool, names: tuple[str, ...], output: str) -> None:
    """Remove machines, with their logs and all they left."""
    client = face.client()
    for_each(names, lambda name: client.remove_machine(name, force=force), output)


@click.command(short_help="Wait until machines have ended.")
@_names
@format_option
@click.pass_obj
def wait(face: Face, names: tuple[str, ...], output: str) -> None:
    """Wait until all these machines have ended; print the exit status of each, a line each, in the order of NAMEs.

    It is that of the entry point, 128 + signal if it was killed, and 0 for a machine that was stopped or went off by
    itself. One that failed has none: an error says why.
    """
    from weft.cli.statuses import find_status

    client, views, failed = face.client(), [], False
    for name in names:
        try:
            view = client.wait_machine(name)
            views.append(view)
            if output != "json":
                print(find_status(view), flush=True)
        except WeftError as err:
            report_error(err)
            failed = True
    if output == "json":
        print_json(views)
    if failed:
        raise click.exceptions.Exit(1)
