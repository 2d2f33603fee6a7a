"""Appliances in front of machines: insert, eject, policy."""

from typing import Any

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.lifecycle import for_each
from weft.cli.params import DURATION, IMAGE, INSERT, PORT, SIZE
from weft.cli.printing import print_json
from weft.cli.setting_options import read_settings, settings_options


@click.command(short_help="Slip an appliance in front of a machine or a gateway.")
@click.argument("appliance", type=IMAGE)
@click.option("--before", type=PORT, required=True, metavar="PORT",
              help="MACHINE, MACHINE:NIC, or network:NETWORK for its gateway.")  # fmt: skip
@click.option("--name", help="The insert's name. Default: made from the appliance's.")
@click.option("--mode", type=click.Choice(["inline", "copy", "routed"]),
              help="Frames pass through it, it gets copies, or it is the gateway. Default: as usual.")  # fmt: skip
@click.option("--fail", type=click.Choice(["open", "closed"]), default="open", show_default=True,
              help="If it dies or hangs: bypass it, or stop traffic.")  # fmt: skip
@click.option("--at", "position", type=click.IntRange(min=0), metavar="POSITION",
              help="Place in the chain, 0 at the network. Default: next to the machine.")  # fmt: skip
@click.option("--for", "lifetime", type=DURATION, help="Eject it by itself after this long.")
@click.option("--memory", type=SIZE, help="Its memory. Default: what the image says.")
@click.option("--cold", is_flag=True, help="Boot it, though there may be a template to go on from.")
@settings_options
@wait_option
@format_option
@click.pass_obj
def insert(face: Face, /, appliance: str, wait: bool, output: str, **wanted: Any) -> None:
    """Slip APPLIANCE, an image or a parked appliance, in front of a machine, or of the gateway of a network, while
    traffic flows. Prints its name.

    Returns when frames flow through it.
    """
    settings = read_settings(wanted.pop("values"), wanted.pop("settings_file"))
    spec: dict[str, Any] = {"appliance": appliance} | ({"settings": settings} if settings else {})
    spec |= {key: value for key, value in wanted.items() if value is not None and value is not False}
    view = face.client().create_insert(spec, wait=wait)
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


@click.command(short_help="Take inserts out.")
@click.argument("names", nargs=-1, required=True, type=INSERT, metavar="NAME...")
@click.option("--keep", is_flag=True, help="Keep its machine, parked, to be inserted again at once.")
@click.option("--drain", type=DURATION, help="How long flows that a routed one translates may stay. Default: 30s.")
@click.option("--now", is_flag=True, help="Do not wait for these flows, also when somebody else does already.")
@format_option
@click.pass_obj
def eject(face: Face, names: tuple[str, ...], keep: bool, drain: float | None, now: bool, output: str) -> None:
    """Take inserts out of their chains while traffic flows."""
    client = face.client()
    for_each(names, lambda name: client.eject(name, keep=keep, drain=0 if now else drain), output)


@click.command(short_help="Change what happens when an insert fails.")
@click.argument("name", type=INSERT)
@click.argument("fail", type=click.Choice(["open", "closed"]))
@format_option
@click.pass_obj
def policy(face: Face, name: str, fail: str, output: str) -> None:
    """Change the fail policy of insert NAME while it runs: `open` bypasses it if it fails, `closed` stops traffic."""
    view = face.client().change_insert(name, {"fail": fail})
    if output == "json":
        print_json(view)
    else:
        print(view["name"], view["fail"])
