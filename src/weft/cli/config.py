"""Settings of appliances: shown, changed, tried, kept as revisions, gone back to; and the reset button."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.lifecycle import for_each
from weft.cli.params import DURATION, MACHINE
from weft.cli.printing import dump_time, print_json, print_table
from weft.cli.setting_options import split_setting
from weft.model.errors import Invalid

_MACHINE = click.argument("machine", type=MACHINE)
_CONFIRM = click.option(
    "--confirm", type=DURATION, help="On trial: it goes back after so long, unless `weft config confirm` comes."
)


@click.group(short_help="Settings of appliances.")
def config() -> None:
    """Settings of an appliance: checked, applied while it runs, and kept as revisions on its floppy."""


@config.command(short_help="Show the settings.")
@_MACHINE
@click.option("--running/--saved", default=None, help="What runs or what is saved. Default: what runs, if it does.")
@click.option("--secrets", is_flag=True, help="Also those that are secret.")
@format_option
@click.pass_obj
def show(face: Face, machine: str, running: bool | None, secrets: bool, output: str) -> None:
    """Show the settings of MACHINE. Those that are not set have their defaults in parentheses."""
    view = face.client().config(machine, running=running, secrets=secrets)
    if output == "json":
        print_json(view)
        return
    print_table(("SETTING", "VALUE", "MEANING"), [(s["name"], _dump_setting(s), s["help"]) for s in view["settings"]])
    for name, value in view["unknown"].items():
        print(f"unknown: {name} = {_dump_value(value)}")
    _print_notes(view)


@config.command(short_help="Show what can be set.")
@_MACHINE
@click.option("--json-schema", is_flag=True, help="As a JSON Schema.")
@format_option
@click.pass_obj
def schema(face: Face, machine: str, json_schema: bool, output: str) -> None:
    """Show what can be set on MACHINE."""
    if json_schema:
        print_json(face.client().config_json_schema(machine))
        return
    found = face.client().config_schema(machine)
    if output == "json":
        print_json(found)
        return
    rows = [(name, s["type"], _dump_default(s), _dump_limits(s), s["help"]) for name, s in found["settings"].items()]
    print_table(("SETTING", "TYPE", "DEFAULT", "LIMITS", "MEANING"), rows)


@config.command("set", short_help="Change settings.")
@_MACHINE
@click.argument("values", nargs=-1, required=True, metavar="KEY=VALUE...")
@_CONFIRM
@format_option
@click.pass_obj
def set_(face: Face, machine: str, values: tuple[str, ...], confirm: float | None, output: str) -> None:
    """Give settings of MACHINE other values, all or none: applied if it runs, and saved. Lists have commas."""
    _print_saved(face.client().change_config(machine, dict(map(split_setting, values)), confirm=confirm), output)


@config.command(short_help="Go back to defaults.")
@_MACHINE
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_CONFIRM
@format_option
@click.pass_obj
def unset(face: Face, machine: str, keys: tuple[str, ...], confirm: float | None, output: str) -> None:
    """Give settings of MACHINE their defaults back."""
    _print_saved(face.client().change_config(machine, {}, keys, confirm=confirm), output)


@config.command(short_help="Keep settings that are on trial.")
@_MACHINE
@format_option
@click.pass_obj
def confirm(face: Face, machine: str, output: str) -> None:
    """Keep what was set on MACHINE with --confirm, before its time is up."""
    _print_saved(face.client().confirm_config(machine), output)


@config.command(short_help="Change settings in an editor.")
@_MACHINE
@_CONFIRM
@format_option
@click.pass_obj
def edit(face: Face, machine: str, confirm: float | None, output: str) -> None:
    """Open the saved settings of MACHINE in $EDITOR; what comes out of it is applied and saved.

    What is refused is kept in a file beside the error.
    """
    client = face.client()
    revision = client.config(machine, running=False)["revision"]
    text = client.export_config(machine)
    changed = click.edit(text, extension=".toml", require_save=True)
    if changed is None or changed == text:
        print("nothing has changed", file=sys.stderr)
        return
    try:
        view = client.import_config(machine, changed, revision=revision, by="weft config edit", confirm=confirm)
    except Exception:
        kept = _keep(machine, changed)
        print(f"weft: your text is in {kept}", file=sys.stderr)
        raise
    _print_saved(view, output)


@config.command(short_help="Print the settings as a file.")
@_MACHINE
@click.option("--running", is_flag=True, help="Those that run, instead of those that are saved.")
@click.pass_obj
def export(face: Face, machine: str, running: bool) -> None:
    """Print the settings of MACHINE as a TOML file, secrets included."""
    print(face.client().export_config(machine, running=running), end="")


@config.command("import", short_help="Take settings from a file.")
@_MACHINE
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), default="-")
@_CONFIRM
@format_option
@click.pass_obj
def import_(face: Face, machine: str, file: str, confirm: float | None, output: str) -> None:
    """Make what is in FILE (default: standard input) the settings of MACHINE."""
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as err:
        raise Invalid(f"{file}: not UTF-8 text") from err
    _print_saved(face.client().import_config(machine, text, confirm=confirm), output)


@config.command(short_help="Show what has changed.")
@_MACHINE
@click.argument("before", type=click.IntRange(min=1), required=False, metavar="[REVISION")
@click.argument("after", type=click.IntRange(min=1), required=False, metavar="[REVISION]]")
@format_option
@click.pass_obj
def diff(face: Face, machine: str, before: int | None, after: int | None, output: str) -> None:
    """Show what runs and is not saved, or what has changed since a revision, or from one to another."""
    changes = face.client().config_diff(machine, before, after)
    if output == "json":
        print_json(changes)
        return
    for change in changes:
        for mark, value in (("-", change["before"]), ("+", change["after"])):
            if value is not None:
                print(f"{mark} {change['name']} = {_dump_value(value)}")


@config.command(short_help="List the last revisions.")
@_MACHINE
@format_option
@click.pass_obj
def history(face: Face, machine: str, output: str) -> None:
    """List the last revisions of the settings of MACHINE, the newest first."""
    revisions = face.client().config_history(machine)
    if output == "json":
        print_json(revisions)
        return
    rows = [(r["revision"], dump_time(r["time"]), r["by"], r["why"] + _dump_fit(r)) for r in revisions]
    print_table(("REVISION", "TIME", "BY", "CHANGE"), rows)


@config.command(short_help="Go back to a revision.")
@_MACHINE
@click.argument("revision", type=click.IntRange(min=1), required=False)
@format_option
@click.pass_obj
def revert(face: Face, machine: str, revision: int | None, output: str) -> None:
    """Make an earlier REVISION of the settings of MACHINE the newest one.

    Without one, what is on trial is taken back, or the machine runs with what is saved again.
    """
    _print_saved(face.client().revert_config(machine, revision), output)


@config.command(short_help="Save what runs.")
@_MACHINE
@format_option
@click.pass_obj
def commit(face: Face, machine: str, output: str) -> None:
    """Save the settings that MACHINE runs with, after a change made inside it."""
    _print_saved(face.client().commit_config(machine), output)


@click.command(short_help="Put appliances back to their factory state.")
@click.option("--failsafe", is_flag=True, help="Start it without its floppy, which stays as it is.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.argument("names", nargs=-1, required=True, type=MACHINE, metavar="NAME...")
@wait_option
@format_option
@click.pass_obj
def reset(face: Face, failsafe: bool, yes: bool, names: tuple[str, ...], wait: bool, output: str) -> None:
    """Empty the floppies of appliances, and start those again that run.

    On a terminal it asks first. With --failsafe nothing is lost: they run with factory settings until their next start.
    """
    if not failsafe and not yes and sys.stdin.isatty():
        click.confirm(f"All settings and revisions of {', '.join(names)} will be lost. Go on?", abort=True, err=True)
    client = face.client()
    for_each(names, lambda name: client.reset_machine(name, failsafe=failsafe, wait=wait), output)


def _keep(machine: str, text: str) -> Path:
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix=f"{machine}-", suffix=".toml", delete=False) as file:
        file.write(text)
    return Path(file.name)


def _print_saved(view: Mapping[str, Any], output: str) -> None:
    if output == "json":
        print_json(view)
    else:
        print(f"{view['machine']} revision {view['revision']}")
        _print_notes(view)


def _print_notes(view: Mapping[str, Any]) -> None:
    if (until := view.get("on_trial_until")) is not None:
        how = f"weft config confirm {view['machine']} keeps it"
        print(f"note: on trial until {dump_time(until)}: {how}", file=sys.stderr)
    for note in view["notes"]:
        print(f"note: {note}", file=sys.stderr)


def _dump_setting(setting: Mapping[str, Any]) -> str:
    value = setting["value"]
    if value is None:
        return "-"
    return _dump_value(value) if setting["is_set"] else f"({_dump_value(value)})"


def _dump_default(setting: Mapping[str, Any]) -> str:
    if setting["default"] is None:
        return "(required)" if setting["required"] else "-"
    return _dump_value(setting["default"])


def _dump_limits(setting: Mapping[str, Any]) -> str:
    low, high = setting["minimum"], setting["maximum"]
    span = f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"
    parts = [*([span] if span != ".." else []), " ".join(setting["choices"]), setting["pattern"] or ""]
    return ", ".join(part for part in parts if part) or "-"


def _dump_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, list):
        return str(value)
    parts = list(map(str, value))
    return ("; " if any("," in part for part in parts) else ",").join(parts)


def _dump_fit(revision: Mapping[str, Any]) -> str:
    return "" if revision["fits"] else " (does not fit the schema)"
