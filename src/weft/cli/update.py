"""Changing machines that are there."""

import sys
from typing import Any

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.lifecycle import for_each
from weft.cli.limit_options import limit_options, make_limits, take_limits
from weft.cli.media_options import media_options, take_media
from weft.cli.params import DURATION, IMAGE, KERNEL, MACHINE, Parsed
from weft.cli.plan9_options import plan9_changes, take_plan9_changes
from weft.cli.size_options import size_options
from weft.model.options import parse_expose, parse_label, parse_restart
from weft.model.ranges import change_sizes


def _parse_part(text: str) -> dict[str, Any] | None:
    return None if text == "none" else parse_expose(text)


@click.command(short_help="Change machines that are there.")
@size_options(memory="", cpus="", profile="One that becomes elastic gets q35.")
@click.option("--restart", "policy", type=Parsed("policy", parse_restart), metavar="POLICY",
              help="When it is started again: `no`, `on-failure[:N]`, `always`, `unless-stopped`.")  # fmt: skip
@click.option("--label", "labels", multiple=True, type=Parsed("label", parse_label), metavar="KEY[=VALUE]",
              help="A label; those it has otherwise stay.")  # fmt: skip
@click.option("--unlabel", multiple=True, metavar="KEY", help="Take a label away.")
@click.option("--stop-timeout", type=DURATION, help="Kill it when a stop takes longer.")
@click.option("--image", type=IMAGE, help="What it boots.")
@click.option("--kernel", type=KERNEL, help="Its kernel.")
@click.option("--expose", multiple=True, type=Parsed("part", _parse_part), metavar="PART[:ro]",
              help="What it finds of the file tree at its gateway, in place of what it has; `none`.")  # fmt: skip
@media_options
@plan9_changes
@limit_options
@click.option("--restart-now", is_flag=True, help="Stop and start those that run, where a change needs that.")
@click.argument("names", nargs=-1, required=True, type=MACHINE, metavar="NAME...")
@wait_option
@format_option
@click.pass_obj
def update(
    face: Face,
    /,
    policy: dict[str, Any] | None,
    labels: tuple[tuple[str, str], ...],
    unlabel: tuple[str, ...],
    expose: tuple[dict[str, Any] | None, ...],
    restart_now: bool,
    names: tuple[str, ...],
    wait: bool,
    output: str,
    **wanted: Any,
) -> None:
    """Change machines NAME. They keep their names, addresses, volumes and settings.

    Labels, limits, what it sees of the file tree, the restart policy, the time of a stop, which CD or floppy is in a
    drive and whether it grows and shrinks by itself change at once; `none` takes a limit away. Memory, CPUs, their
    ranges, image, kernel, disks, drives, boot files, firmware and how Plan 9 boots need a start: of a machine that runs
    they are refused without --restart-now; on a terminal it asks. A range makes the machine elastic, a size alone fixes
    it. Within its range `weft scale` gives a machine that runs more or less.
    """
    client = face.client()
    limits = take_limits(wanted)
    system = take_media(wanted)
    if plan9 := take_plan9_changes(wanted):
        system["plan9"] = plan9
    changes = change_sizes(*(wanted.pop(key) for key in ("cpus", "memory", "elastic")))
    changes |= {key: value for key, value in wanted.items() if value is not None}
    changes |= {"expose": list(filter(None, expose))} if expose else {}
    changes |= {"max_restarts": None, **policy} if policy else {}
    changes |= {"foreign": system} if system else {}

    def collect(name: str) -> dict[str, Any]:
        before = client.machine(name) if labels or unlabel or limits else {}
        found = dict(changes)
        if labels or unlabel:
            kept = {**before["labels"], **dict(labels)}
            found["labels"] = {key: value for key, value in kept.items() if key not in unlabel}
        if limits:
            found["limits"] = make_limits(limits, before["limits"])
        return found

    if not (changes or labels or unlabel or limits):
        raise click.UsageError("nothing to change", click.get_current_context())
    wanted_for = {name: collect(name) for name in names}
    if not restart_now and sys.stdin.isatty():
        due = [name for name in names if _needs_restart(client.update_machine(name, wanted_for[name], plan=True))]
        if due:
            click.confirm(f"{', '.join(due)} will be restarted. Go on?", abort=True, err=True)
            restart_now = True
    for_each(names, lambda name: client.update_machine(name, wanted_for[name], restart=restart_now, wait=wait), output)


def _needs_restart(plan: dict[str, Any]) -> bool:
    return bool(plan["restart"]) and plan["machine"]["state"] in ("starting", "running", "stopping")
