"""`room/`: every room of the fabric, with its own machines and networks below it."""

from typing import Any

from weft.client.client import Client
from weft.filetree.commands import Command, table
from weft.filetree.grammar import Given
from weft.filetree.views import View
from weft.filetree.words import dump_row
from weft.model.units import parse_size

_NONE = "none"
"""What takes a guarantee or a bound away."""
_SIZES, _SHARES = ("memory", "max_memory"), ("cpus", "max_cpus")
RESOURCES = (
    "[description=TEXT] [isolation=normal|strict] [memory=AMOUNT] [max_memory=AMOUNT] [cpus=COUNT] [max_cpus=COUNT]"
    " [cpu_weight=N]"
)


def _read_resources(given: Given) -> dict[str, Any]:
    """Raises Invalid."""
    said = {key: given[key] for key in (*_SIZES, *_SHARES, "cpu_weight") if given[key] is not None}
    return {key: None if value == _NONE else _read(key, value) for key, value in said.items()}


def _read(key: str, value: Any) -> Any:
    return parse_size(value) if key in _SIZES else value


def _create(client: Client, _subject: str, given: Given) -> object:
    return client.create_room(
        given["name"],
        description=given["description"] or "",
        isolation=given["isolation"] or "normal",
        resources=_read_resources(given),
    )


def _set(client: Client, room: str, given: Given) -> object:
    return client.change_room(
        room, description=given["description"], isolation=given["isolation"], resources=_read_resources(given)
    )


WHOLE = table(
    Command("create", f"NAME {RESOURCES}", "Makes a room.", ("room create",), _create),
)
EACH = table(
    Command("set", RESOURCES, "Changes it; `none` takes a guarantee or a bound away.", ("room set",), _set),
    Command(
        "fork", "NAME [uplink] [shadow]", "Copies it at one instant.", ("fork",),
        lambda client, room, given: client.fork_room(
            room, given["name"], uplink=given["uplink"], shadow=given["shadow"]
        ),
    ),
    Command(
        "remove", "[force] [volumes]",
        "Removes it with its networks; `force`: with machines and inserts, `volumes`: with volumes and snapshots.",
        ("room rm",),
        lambda client, room, given: client.remove_room(room, force=given["force"], volumes=given["volumes"]),
    ),
)  # fmt: skip


def dump_room(view: View) -> str:
    """name, isolation, machines, those that run, networks, inserts, volumes, memory promised to those that run,
    created, fabric file, description or why it is broken."""
    counts = [view["machines"], view["running"], len(view["networks"]), view["inserts"], view["volumes"]]
    numbers = [*counts, view["memory"], int(view["created"])]
    names = [view.get("file"), view.get("broken") or view["description"]]
    return dump_row([view["name"], view["isolation"], *numbers, *names])
