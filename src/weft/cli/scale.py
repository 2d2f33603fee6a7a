"""Giving machines that run more or less: scale."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.params import DURATION, ELASTIC, Parsed
from weft.cli.printing import dump_memory, print_json
from weft.cli.progress import open_progress
from weft.cli.report import report_error
from weft.model.errors import WeftError
from weft.model.ranges import Wish, parse_cpus_wish, parse_memory_wish
from weft.model.units import dump_size

if TYPE_CHECKING:
    from weft.client import Client

Views = dict[str, dict[str, Any]]
BY = "weft scale"
LOOK, PATIENCE, PAUSE = 0.2, 20.0, 0.05
"""Seconds that the daemon may take to answer, with somebody who looks on and without; and between two questions."""
LATE = 10.0
"""Seconds after its deadline at which a request that is still on its way is nobody's any more."""


@click.command(short_help="Give machines that run more or less.")
@click.option("--cpus", type=Parsed("cpus", parse_cpus_wish), metavar="[+|-]N",
              help="So many CPUs, or so many more or fewer.")  # fmt: skip
@click.option("--memory", type=Parsed("memory", parse_memory_wish), metavar="[+|-]SIZE",
              help="So much memory, like 512M, or so much more or less, like +512M.")  # fmt: skip
@click.option("--timeout", type=DURATION, help="Wait no longer than that; what is on its way goes on.")
@wait_option
@click.argument("names", nargs=-1, required=True, type=ELASTIC, metavar="NAME...")
@format_option
@click.pass_obj
def scale(
    face: Face,
    cpus: Wish | None,
    memory: Wish | None,
    timeout: float | None,
    wait: bool,
    names: tuple[str, ...],
    output: str,
) -> None:
    """Give machines NAME other numbers of CPUs or other sizes of memory, within their ranges, while they run.

    Prints what became of it: `applied`, `refused`, `failed`, or `converging` for what is on its way. The status is 1
    when one of them has not all of it then; with --no-wait only when it could not be asked for.
    """
    wishes = {key: wish for key, wish in (("cpus", cpus), ("memory", memory)) if wish is not None}
    if not wishes:
        raise click.UsageError("nothing to change: --cpus or --memory", click.get_current_context())
    client, failures = face.client(), _Failures()
    body = {f"add_{key}" if wish.is_change else key: wish.size for key, wish in wishes.items()}
    views = failures.collect(names, lambda name: client.scale_machine(name, **body, wait=False, by=BY))
    if wait:
        views = _await_settled(client, views, list(wishes), timeout, failures)
    requests = [view[key]["request"] for view in views.values() for key in wishes]
    if output == "json":
        print_json(list(views.values()))
    else:
        for name, view in views.items():
            for key in wishes:
                print(f"{name}: {_tell(key, view[key])}")
    settled = ("applied",) if wait else ("applied", "converging")
    if failures.some or not all(request["state"] in settled and request["by"] == BY for request in requests):
        raise click.exceptions.Exit(1)


class _Failures:
    """Errors are told as they come; whether there was one."""

    def __init__(self) -> None:
        self.some = False

    def collect(self, names: Iterable[str], act: Callable[[str], dict[str, Any]]) -> Views:
        """What each comes to, of those that do not fail."""
        views: Views = {}
        for name in dict.fromkeys(names):
            try:
                views[name] = act(name)
            except WeftError as err:
                report_error(err)
                self.some = True
        return views


def _await_settled(
    client: "Client", views: Views, keys: list[str], timeout: float | None, failures: _Failures
) -> Views:
    """The machines when nothing is on its way any more, or when the time is over. Somebody at a terminal sees it."""
    until = time.monotonic() + timeout if timeout is not None else float("inf")
    is_watched = sys.stderr.isatty()
    progress: AbstractContextManager[Any] = open_progress("scaling") if is_watched else nullcontext(lambda *_: None)
    with progress as show:

        def follow(name: str) -> dict[str, Any]:
            while moving := [key for key in keys if _is_moving(views[name][key]["request"])]:
                left = until - time.monotonic()
                if left <= 0:
                    break
                show(f"{name}: {'; '.join(_dump_way(key, views[name][key]) for key in moving)}", None)
                views[name] = client.elastic(name, patience=min(LOOK if is_watched else PATIENCE, left))
                time.sleep(min(PAUSE, left))
            return views[name]

        return failures.collect(views, follow)


def _is_moving(request: Mapping[str, Any]) -> bool:
    return bool(request["state"] == "converging" and time.time() < request["deadline"] + LATE)


def _tell(key: str, view: Mapping[str, Any]) -> str:
    request, now = view["request"], _find_now(view)
    text = f"{key} {_dump(key, request['wanted'])} {request['state']}"
    if request["reason"]:
        text += f": {request['reason']}"
    if request["state"] != "applied" and now is not None:
        text += f" (now {_dump_short(key, now)})"
    return text if request["by"] == BY else f"{text}, which {request['by']} has asked for since"


def _dump_way(key: str, view: Mapping[str, Any]) -> str:
    """How far it has come: `memory 1.2G of 4.5G` on the way up, `memory 1.2G, down to 64M`."""
    wanted, now = view["request"]["wanted"], _find_now(view)
    if now is None:
        return f"{key} to {_dump(key, wanted)}"
    return f"{key} {_dump_short(key, now)}{', down to' if now > wanted else ' of'} {_dump(key, wanted)}"


def _find_now(view: Mapping[str, Any]) -> int | None:
    now: int | None = view["guest"] if view["qemu"] is None else view["qemu"]
    return now


def _dump(key: str, size: int) -> str:
    return dump_size(size) if key == "memory" else str(size)


def _dump_short(key: str, size: int) -> str:
    return dump_memory(size) if key == "memory" else str(size)
