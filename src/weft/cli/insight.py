"""Looking into machines: top and stats."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from weft.cli.face import Face, format_option
from weft.cli.params import MACHINE, MOMENT
from weft.cli.printing import dump_bytes, dump_table, print_json, print_table
from weft.model.errors import Invalid

if TYPE_CHECKING:
    from weft.client import Client

_EVERY = 1.0
_TOP_TITLES = ("PID", "PARENT", "USER", "STATE", "THREADS", "MEMORY", "TIME", "COMMAND")
_STATS_TITLES = (
    *("NAME", "CPU", "MEMORY", "OF", "%", "ON HOST", "COSTS"),
    *("NET IN", "NET OUT", "DISK IN", "DISK OUT", "PROCESSES"),
)
_SUMMED = (
    *("cpu_percent", "memory_used", "memory_total", "resident", "additional"),
    *("read_bytes", "written_bytes", "processes"),
)
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


@click.command(short_help="Show what runs in a machine.")
@click.argument("name", type=MACHINE)
@format_option
@click.pass_obj
def top(face: Face, name: str, output: str) -> None:
    """Show the processes in machine NAME, whether or not its image has a `ps`. Users are numbers."""
    views = face.client().processes(name)
    if output == "json":
        print_json(views)
    else:
        print_table(_TOP_TITLES, map(_top_row, views))


def _top_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    minutes, seconds = divmod(view["cpu_seconds"], 60)
    clock = f"{int(minutes)}:{seconds:05.2f}"
    memory = dump_bytes(view["resident"])
    return view["pid"], view["parent"], view["uid"], view["state"], view["threads"], memory, clock, view["command"]


@click.command(short_help="Show what machines use.")
@click.option("--stream/--no-stream", default=True, help="Go on (default), or show it once.")
@click.option("--history", is_flag=True, help="Draw what they used until now, and end.")
@click.option("--since", type=MOMENT, metavar="TIME", help="With --history: since then, like 10m. Default: 1h.")
@click.argument("names", nargs=-1, type=MACHINE, metavar="[NAME...]")
@format_option
@click.pass_obj
def stats(face: Face, stream: bool, history: bool, since: float | None, names: tuple[str, ...], output: str) -> None:
    """Show what machines use: all that run, or those that are named. As JSON: one object a line.

    CPU is a share of one processor of the host. MEMORY is what the guest uses OF what it has, ON HOST what its QEMU
    holds there, COSTS what of that it does not share: its own, and its part of what several machines have together.
    NET and DISK count bytes since the machine was made or started.

    With --history, a chart of each machine: the last hour in steps of ten seconds, the last day in minutes. What only
    the guest knows is in it where somebody asked while it ran, and of machines that are elastic. As JSON: one document.
    """
    if history:
        from weft.cli.history import show_history

        show_history(face.client(), names, since, output)
        return
    if since is not None:
        raise Invalid("--since is of --history only")
    for views in take_samples(face.client(), list(names)):
        if output == "json":
            for view in views:
                print(json.dumps(view), flush=True)
        else:
            show_table(views, live=stream and sys.stdout.isatty())
        if not stream:
            return


def take_samples(client: "Client", names: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Views with `cpu_percent`, a second apart; the first one is kept back, since a share takes two."""
    before = {view["name"]: view for view in client.stats(names)}
    while True:
        time.sleep(_EVERY)
        views = client.stats(names)
        yield [view | {"cpu_percent": find_share(before.get(view["name"]), view)} for view in views]
        before = {view["name"]: view for view in views}


def find_share(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> float | None:
    """Percent of one processor between two samples; None when there are not two of the same run."""
    if before is None or before["cpu_seconds"] is None or now["cpu_seconds"] is None:
        return None
    used, passed = now["cpu_seconds"] - before["cpu_seconds"], now["time"] - before["time"]
    return round(100 * used / passed, 1) if passed > 0 and used >= 0 else None


def sum_samples(views: Sequence[Mapping[str, Any]], name: str = "TOTAL") -> dict[str, Any]:
    """Samples of several machines as one; what nobody could say of any of them is not known of all."""

    def total(key: str) -> Any:
        known = [view[key] for view in views if view[key] is not None]
        return sum(known) if known else None

    nics = [nic for view in views for nic in view["nics"]]
    return {"name": name, "nics": nics, **{key: total(key) for key in _SUMMED}}


def show_table(views: list[dict[str, Any]], *, live: bool) -> None:
    """Live: over what was shown before."""
    text = dump_table(_STATS_TITLES, map(_stats_row, views))
    print(f"{_HOME_AND_CLEAR if live else ''}{text}", flush=True)


def _stats_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    used, total = view["memory_used"], view["memory_total"]
    return (
        view["name"],
        "-" if view["cpu_percent"] is None else f"{view['cpu_percent']:.1f}%",
        dump_bytes(used),
        dump_bytes(total),
        f"{100 * used / total:.0f}" if total else "-",
        dump_bytes(view["resident"]),
        dump_bytes(view["additional"]),
        dump_bytes(sum(nic["received"] for nic in view["nics"])),
        dump_bytes(sum(nic["sent"] for nic in view["nics"])),
        dump_bytes(view["read_bytes"]),
        dump_bytes(view["written_bytes"]),
        view["processes"],
    )
