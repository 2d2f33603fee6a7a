"""Giving machines that run more or less: scale."""

from typing import Any

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.params import MACHINE, SIZE
from weft.cli.printing import dump_bytes, print_json
from weft.model.elastic import Resource, ScaleState


@click.command(short_help="Give a machine that runs more or less.")
@click.option("--cpus", type=click.IntRange(min=1), metavar="N", help="So many CPUs.")
@click.option("--memory", type=SIZE, help="So much memory, like 512M.")
@wait_option
@click.argument("name", type=MACHINE, metavar="MACHINE")
@format_option
@click.pass_obj
def scale(face: Face, cpus: int | None, memory: int | None, wait: bool, name: str, output: str) -> None:
    """Give MACHINE another number of CPUs or another size of memory, within its range, while it runs.

    Prints what became of it. The status is 1 when the machine does not have all of it then.
    """
    if cpus is None and memory is None:
        raise click.UsageError("nothing to change: --cpus or --memory", click.get_current_context())
    view = face.client().scale_machine(name, cpus=cpus, memory=memory, wait=wait)
    wanted = [key for key, size in (("cpus", cpus), ("memory", memory)) if size is not None]
    if output == "json":
        print_json(view)
    else:
        for key in wanted:
            print(_tell(key, view[key]))
    states = {view[key]["request"]["state"] for key in wanted}
    if states & {ScaleState.REFUSED, ScaleState.FAILED}:
        raise click.exceptions.Exit(1)


def _tell(resource: str, view: dict[str, Any]) -> str:
    request = view["request"]
    has = view["guest"] if view["qemu"] is None else view["qemu"]
    text = f"{resource}: {_dump(resource, request['wanted'])} {request['state']}"
    if request["reason"]:
        text += f": {request['reason']}"
    if request["state"] != ScaleState.APPLIED and has is not None:
        text += f" (now {_dump(resource, has)})"
    return text


def _dump(resource: str, size: int) -> str:
    return dump_bytes(size) if resource == Resource.MEMORY else str(size)
