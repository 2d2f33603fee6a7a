"""`pool/` and `template/`: what lets machines be there at once."""

from typing import Any

from weft.client.client import Client
from weft.filetree.commands import Command, table
from weft.filetree.grammar import Given
from weft.filetree.kinds import Kind
from weft.filetree.views import View
from weft.filetree.words import dump_row


def _set_pool(client: Client, _subject: str, given: Given) -> object:
    spec: dict[str, Any] = {"image": given["name"], "size": given["n"], "cpus": given["cpus"] or 1}
    return client.set_pool(spec | ({"memory": given["memory"]} if given["memory"] else {}), wait=not given["nowait"])


def _create_template(client: Client, _subject: str, given: Given) -> object:
    keys = ("memory", "cpus", "nics", "profile", "kernel", "floppy")
    return client.create_template({"image": given["image"], **{key: given[key] for key in keys if given[key]}})


ALL_POOLS = table(
    Command(
        "set", "NAME N [memory=SIZE] [cpus=N] [nowait]", "Keeps so many copies of the image NAME ready.",
        ("pool set",), _set_pool,
    ),
)  # fmt: skip
EACH_POOL = table(
    Command("remove", "", "Takes it away.", ("pool rm",), lambda client, name, _given: client.remove_pool(name)),
)
ALL_TEMPLATES = table(
    Command(
        "make", "IMAGE [memory=SIZE] [cpus=N] [nics=N] [profile=microvm|q35] [kernel=KERNEL] [floppy]",
        "Makes a template for machines like this, unless it is there.", ("template create",), _create_template,
    ),
    Command(
        "prune", "[all]", "Removes those that no machine will ever go on from, or all.", ("template prune",),
        lambda client, _subject, given: client.prune_templates(all=given["all"]),
    ),
)  # fmt: skip
EACH_TEMPLATE = table(
    Command("remove", "", "Removes it.", ("template rm",), lambda client, key, _given: client.remove_template(key)),
)


def dump_pool(view: View) -> str:
    """image, copies that are to be ready, those that are, memory, cpus, created, why there are fewer."""
    numbers = [view["size"], view["ready"], view["memory"], view["cpus"], int(view["created"])]
    return dump_row([view["image"], *numbers, view.get("reason")])


def dump_template(view: View) -> str:
    """key, image, kernel, profile, memory, cpus, nics, machines that run of it, bytes on disk, last used, why it is
    stale."""
    names = [view[key] for key in ("key", "image", "kernel", "profile")]
    numbers = [view[key] for key in ("memory", "cpus", "nics", "machines", "size")]
    return dump_row([*names, *numbers, int(view.get("used") or 0), view.get("stale")])


POOLS = Kind(lambda client: client.pools(), dump_pool, ALL_POOLS, EACH_POOL, key="image")
TEMPLATES = Kind(lambda client: client.templates(), dump_template, ALL_TEMPLATES, EACH_TEMPLATE, key="key")
