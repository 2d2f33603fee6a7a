"""`volume/` and `snapshot/`: what machines keep on disk."""

from collections.abc import Mapping
from typing import Any

from weft.client.client import Client
from weft.filetree.api import Api
from weft.filetree.commands import Command, table
from weft.filetree.grammar import Given
from weft.filetree.kinds import Kind
from weft.filetree.machine_commands import ignore
from weft.filetree.nodes import Make
from weft.filetree.streams import stream
from weft.filetree.views import View
from weft.filetree.words import dump_row
from weft.model.options import parse_label


def _create_volume(client: Client, _subject: str, given: Given) -> object:
    spec: dict[str, Any] = {"name": given["name"], "labels": dict(map(parse_label, given["labels"]))}
    return client.create_volume(spec | ({"size": given["size"]} if given["size"] else {}))


ALL_VOLUMES = table(
    Command("create", "NAME [size=SIZE] [LABELS...]", "Makes a volume.", ("volume create",), _create_volume),
    Command(
        "prune", "", "Removes all that no machine uses.", ("volume prune",),
        lambda client, _subject, _given: client.prune_volumes(),
    ),
)  # fmt: skip
EACH_VOLUME = table(
    Command(
        "resize", "SIZE", "Makes it larger.", ("volume resize",),
        lambda client, name, given: client.resize_volume(name, given["size"]),
    ),
    Command(
        "remove", "", "Removes it, if no machine uses it.", ("volume rm",),
        lambda client, name, _given: client.remove_volume(name),
    ),
)  # fmt: skip
EACH_SNAPSHOT = table(
    Command(
        "restore", "[name=NAME] [replace]", "Makes the machine of it again, or another one.", ("restore",),
        lambda client, name, given: client.restore(name, ignore, name=given["name"], replace=given["replace"]),
    ),
    Command(
        "remove", "", "Removes it.", ("snapshot rm",), lambda client, name, _given: client.remove_snapshot(name)
    ),
)  # fmt: skip


def dump_volume(view: View) -> str:
    """name, size, bytes that it takes of the disk, created, machines that use it."""
    users = dict.fromkeys(user["machine"] for user in view["users"])
    return dump_row([view["name"], view["size"], view["stored"], int(view["created"]), ",".join(users)])


def dump_snapshot(view: View) -> str:
    """name, machine, image, memory, cpus, bytes that it takes of the disk, created, why it cannot be read."""
    names, numbers = (view["name"], view["machine"], view["image"]), (view["memory"], view["cpus"], view["stored"])
    return dump_row([*names, *numbers, int(view["created"] or 0), view.get("broken")])


def _snapshot_files(api: Api, name: str) -> Mapping[str, Make]:
    return {"archive": stream(lambda: api.open(lambda client: client.open_snapshot(name)))}


VOLUMES = Kind(lambda client: client.volumes(), dump_volume, ALL_VOLUMES, EACH_VOLUME)
SNAPSHOTS = Kind(lambda client: client.snapshots(), dump_snapshot, {}, EACH_SNAPSHOT, more=_snapshot_files)
"""They are taken by a machine's `ctl`."""
