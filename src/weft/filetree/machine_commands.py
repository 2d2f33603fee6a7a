"""What `machine/NAME/ctl` takes, and `port/N/ctl`, and what `floppy/ctl` does with an appliance's settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from weft.client.client import Client
from weft.filetree import specs
from weft.filetree.commands import Command, table
from weft.filetree.grammar import Given
from weft.model.errors import Invalid
from weft.model.options import parse_label
from weft.model.ranges import parse_cpus_wish, parse_memory_wish

BY = "a file"
"""Who asks for another size, in the history."""


def ignore(_what: str, _part: float | None) -> None:
    """Progress that nobody sees."""


def _scale(client: Client, name: str, given: Given) -> object:
    parsers = {"cpus": parse_cpus_wish, "memory": parse_memory_wish}
    wishes = {key: parse(given[key]) for key, parse in parsers.items() if given[key]}
    if not wishes:
        raise Invalid("nothing to change: say cpus= or memory=")
    sizes: dict[str, Any] = {f"add_{key}" if wish.is_change else key: wish.size for key, wish in wishes.items()}
    return client.scale_machine(name, **sizes, wait=not given["nowait"], by=BY)


def _snapshot(client: Client, name: str, given: Given) -> object:
    labels = dict(map(parse_label, given["labels"]))
    return client.create_snapshot(name, ignore, name=given["name"], labels=labels)


def _insert(client: Client, port: str, given: Given) -> object:
    spec = {"appliance": given["appliance"], "before": port, "lifetime": given["for"], "position": given["at"]}
    spec |= {key: given[key] for key in ("name", "mode", "fail", "memory", "cold")}
    spec = {key: value for key, value in spec.items() if value is not None and value is not False}
    settings = read_settings(given["settings"])
    return client.create_insert(spec | ({"settings": settings} if settings else {}), wait=not given["nowait"])


def _change_insert(client: Client, _port: str, given: Given) -> object:
    changes = {"fail": given["fail"], "lifetime": given["for"]}
    return client.change_insert(given["name"], {key: value for key, value in changes.items() if value is not None})


def _update(client: Client, name: str, given: Given) -> object:
    draft: specs.Draft = {}
    specs.add_line(draft, [given["key"], *given["values"]])
    changes = specs.make_changes(draft, given["before"])
    return client.update_machine(name, changes, restart=given["restart-now"], wait=not given["nowait"])


def _unlabel(client: Client, name: str, given: Given) -> object:
    kept = {key: value for key, value in given["before"]["labels"].items() if key not in given["keys"]}
    return client.update_machine(name, {"labels": kept})


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """Settings from KEY=VALUE, and KEY+=ITEM for lists. Raises Invalid."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.rstrip("+"):
            raise Invalid(f"{word!r} is not KEY=VALUE")
        specs.add_setting(found, name, value)
    return found


MACHINE: Mapping[str, Command] = table(
    Command(
        "start", "[failsafe] [nowait]", "Starts it, and waits until it is ready.", ("start",),
        lambda client, name, given: client.start_machine(name, wait=not given["nowait"], failsafe=given["failsafe"]),
    ),
    Command(
        "stop", "[timeout=SECONDS] [nowait]", "Asks it to power off; one that does not is killed.", ("stop",),
        lambda client, name, given: client.stop_machine(name, wait=not given["nowait"], timeout=given["timeout"]),
    ),
    Command(
        "restart", "[timeout=SECONDS] [nowait]", "Stops and starts it; its chain stays.", ("restart",),
        lambda client, name, given: client.restart_machine(name, wait=not given["nowait"], timeout=given["timeout"]),
    ),
    Command(
        "kill", "[nowait]", "Ends it at once.", ("kill",),
        lambda client, name, given: client.kill_machine(name, wait=not given["nowait"]),
    ),
    Command(
        "remove", "[force]", "Removes it if it does not run; with `force`, stops it first.", ("rm",),
        lambda client, name, given: client.remove_machine(name, force=given["force"]),
    ),
    Command(
        "scale", "[cpus=COUNT] [memory=AMOUNT] [nowait]",
        "Gives it so many processors or so much memory, or with `+` and `-` more or less, while it runs.", ("scale",),
        _scale,
    ),
    Command(
        "update", "[restart-now] [nowait] KEY VALUES...",
        "Gives a part of its spec another value; with `restart-now` also one that it has from a start on.",
        ("update", "elastic set"), _update, lambda client, name: client.machine(name),
    ),
    Command(
        "unlabel", "KEYS...", "Takes labels away.", ("update",), _unlabel, lambda client, name: client.machine(name),
    ),
    Command(
        "fork", "[name=NAME] [count=N] [remove] [shadow]", "Makes copies that go on from where it is.", ("fork",),
        lambda client, name, given: client.fork_machine(
            name, copy=given["name"], count=given["count"] or 1, remove=given["remove"], shadow=given["shadow"]
        ),
    ),
    Command(
        "snapshot", "[name=NAME] [LABELS...]", "Takes a snapshot; labels are KEY=VALUE.", ("snapshot create",),
        _snapshot,
    ),
    Command(
        "suspend", "", "Puts it on disk with its memory.", ("suspend",),
        lambda client, name, _given: client.suspend_machine(name, ignore),
    ),
    Command(
        "resume", "[nowait]", "Lets it go on from there.", ("resume",),
        lambda client, name, given: client.resume_machine(name, wait=not given["nowait"]),
    ),
    Command(
        "reset", "[failsafe] [timeout=SECONDS] [nowait]", "Empties its floppy: factory state.", ("reset",),
        lambda client, name, given: client.reset_machine(
            name, failsafe=given["failsafe"], wait=not given["nowait"], timeout=given["timeout"]
        ),
    ),
)  # fmt: skip
"""Commands for a machine."""

PORT: Mapping[str, Command] = table(
    Command(
        "insert",
        "APPLIANCE [name=NAME] [mode=inline|copy|routed] [fail=open|closed] [at=N] [for=SECONDS] [memory=SIZE] [cold]"
        " [nowait] [SETTINGS...]",
        "Slips an image or a parked appliance in; settings are KEY=VALUE.", ("insert",), _insert,
    ),
    Command(
        "eject", "NAME [keep] [drain=SECONDS]", "Takes an insert out; with `keep` its machine stays, parked.",
        ("eject",),
        lambda client, _port, given: client.eject(given["name"], keep=given["keep"], drain=given["drain"]),
    ),
    Command(
        "policy", "NAME [fail=open|closed] [for=SECONDS]", "Changes what becomes of an insert.", ("policy",),
        _change_insert,
    ),
)  # fmt: skip
"""Commands for a port: of a machine, or of a network's gateway."""

SETTINGS: Mapping[str, Command] = table(
    Command(
        "set", "[trial=SECONDS] SETTINGS...", "Gives settings other values, all or none; a list has KEY+=ITEM.",
        ("config set",),
        lambda client, name, given: client.change_config(
            name, read_settings(given["settings"]), confirm=given["trial"]
        ),
    ),
    Command(
        "unset", "[trial=SECONDS] KEYS...", "Gives settings their defaults back.", ("config unset",),
        lambda client, name, given: client.change_config(name, {}, given["keys"], confirm=given["trial"]),
    ),
    Command(
        "confirm", "", "What is on trial stays.", ("config confirm",),
        lambda client, name, _given: client.confirm_config(name),
    ),
    Command(
        "commit", "", "Saves what runs.", ("config commit",),
        lambda client, name, _given: client.commit_config(name),
    ),
    Command(
        "revert", "[N]", "Goes back to a revision; without one, to what is saved.", ("config revert",),
        lambda client, name, given: client.revert_config(name, given["n"]),
    ),
)  # fmt: skip
"""Commands for an appliance's settings."""

FIREWALL: Mapping[str, Command] = table(
    Command(
        "block", "ADDRESS [for=SECONDS]", "Lets nothing from an address through.", ("firewall block",),
        lambda client, name, given: client.block_address(name, given["address"], seconds=given["for"]),
    ),
    Command(
        "unblock", "ADDRESS", "Takes a block away.", ("firewall unblock",),
        lambda client, name, given: client.unblock_address(name, given["address"]),
    ),
    Command(
        "remove", "PEER", "Takes a client of its tunnel away.", ("firewall client rm",),
        lambda client, name, given: client.remove_firewall_client(name, given["peer"]),
    ),
)  # fmt: skip
"""Commands for a firewall; clients are added by its `clone`, whose answer has a key."""
