"""Templates: create, ls, inspect, rm, prune."""

from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.lifecycle import for_each
from weft.cli.params import IMAGE, KERNEL, SIZE, TEMPLATE
from weft.cli.printing import dump_age, dump_memory, print_json, print_table, print_view

_TITLES = ("KEY", "IMAGE", "KERNEL", "PROFILE", "MEMORY", "CPUS", "NICS", "MACHINES", "SIZE", "USED", "STATE")


@click.group(short_help="Make and look at templates.")
def template() -> None:
    """Templates: machines that were booted once, for others of the same image to go on from in an instant.

    Appliances get theirs by themselves, when the first machine of the kind has been started. A template is for machines
    of one image, kernel, size and number of NICs; when any of it changes it is of no use any more, and goes.
    """


@template.command(short_help="Make a template of an image.")
@click.argument("image", type=IMAGE)
@click.option("--memory", type=SIZE, help="Memory of the machines that it is for. Default: what the image says.")
@click.option("--cpus", type=click.IntRange(min=1, max=64), help="CPUs of these machines. Default: 1.")
@click.option("--nics", type=click.IntRange(min=0), metavar="N",
              help="How many NICs they have. Default: as the appliance, or 1.")  # fmt: skip
@click.option("--profile", type=click.Choice(["microvm", "q35"]), help="Their machine type. Default: microvm.")
@click.option("--kernel", type=KERNEL, help="Their kernel. Default: the default one.")
@click.option("--floppy", is_flag=True, help="They see a floppy, on which there is more than their settings.")
@format_option
@click.pass_obj
def create(face: Face, /, output: str, **wanted: Any) -> None:
    """Make a template of IMAGE for machines like this, and print its key. One that is there already stays."""
    spec = {key: value for key, value in wanted.items() if value is not None and value is not False}
    view = face.client().create_template(spec)
    if output == "json":
        print_json(view)
    else:
        print(view["key"])


@template.command(short_help="List templates.")
@click.option("-A", "--all-rooms", is_flag=True, help="Also those that strict rooms have for themselves.")
@format_option
@click.pass_obj
def ls(face: Face, all_rooms: bool, output: str) -> None:
    """List the templates that machines of the room go on from. MACHINES is how many of them run."""
    views = face.client().templates(all_rooms=all_rooms)
    if output == "json":
        print_json(views)
        return
    titles = ("ROOM", *_TITLES) if all_rooms else _TITLES
    print_table(titles, ([*([view["room"]] if all_rooms else []), *_row(view)] for view in views))


def _row(view: dict[str, Any]) -> tuple[object, ...]:
    return (
        view["key"],
        view["image"],
        view["kernel"],
        view["profile"],
        dump_memory(view["memory"]),
        view["cpus"],
        view["nics"],
        view["machines"],
        dump_memory(view["size"]),
        dump_age(view["used"]),
        "stale" if view["stale"] else "loaded" if view["loaded"] else "ready",
    )


@template.command(short_help="Show all that is known of a template.")
@click.argument("key", type=TEMPLATE)
@format_option
@click.pass_obj
def inspect(face: Face, key: str, output: str) -> None:
    """Show all that is known of template KEY: the beginning of a key, or the name of an image that has one template."""
    view = face.client().template(key)
    if output == "json":
        print_json(view)
    else:
        print_view(view)


@template.command(short_help="Remove templates.")
@click.argument("keys", nargs=-1, required=True, type=TEMPLATE, metavar="KEY...")
@format_option
@click.pass_obj
def rm(face: Face, keys: tuple[str, ...], output: str) -> None:
    """Remove templates. Machines that went on from them run on."""
    client = face.client()
    for_each(keys, client.remove_template, output)


@template.command(short_help="Remove what no machine will use.")
@click.option(
    "--all", "-a", "everything", is_flag=True, help="Every template; appliances get new ones when they start."
)
@format_option
@click.pass_obj
def prune(face: Face, everything: bool, output: str) -> None:
    """Remove templates whose image, kernel, QEMU or anything else has changed since."""
    report = face.client().prune_templates(all=everything)
    if output == "json":
        print_json(report)
        return
    for key in report["templates"]:
        print(key)
    print(f"{dump_memory(report['freed'])} freed")
