"""`floppy/` and `firewall/` of a machine: an appliance's settings, and what a firewall does."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from weft.client.telling import Call
from weft.filetree.api import Api
from weft.filetree.commands import ask, runs
from weft.filetree.files import Save, commands, text
from weft.filetree.machine_commands import FIREWALL, SETTINGS
from weft.filetree.nodes import Fixed, Make
from weft.filetree.specs import dump_pairs
from weft.filetree.views import dump_json
from weft.filetree.words import join_words

BY = "a file"
Dump = Callable[[Any], str]


def shows(api: Api, call: Call, dump: Dump = dump_json, save: Save | None = None) -> Make:
    """A text of what the API answers."""

    async def show() -> str:
        return dump(await ask(api, call))

    return text(show, save)


def floppy_folder(api: Api, machine: str) -> Make:
    """Settings as they are saved and as they run, and what can be done with them."""

    async def save(content: str) -> None:
        await ask(api, lambda client: client.import_config(machine, content, by=BY))

    files: Mapping[str, Make] = {
        "ctl": commands(runs(api, SETTINGS, machine)),
        "settings": shows(api, lambda client: client.config(machine, running=False), dump_settings),
        "running": shows(api, lambda client: client.config(machine, running=True), dump_settings),
        "settings.toml": shows(api, lambda client: client.export_config(machine), bytes.decode, save),
        "schema": shows(api, lambda client: client.config_schema(machine)),
        "history": shows(api, lambda client: client.config_history(machine)),
        "diff": shows(api, lambda client: client.config_diff(machine)),
    }
    return lambda parent, name: Fixed(parent, name, files)


def firewall_folder(api: Api, machine: str) -> Make:
    """What a firewall's rules let through, and its tunnel's clients."""
    files: Mapping[str, Make] = {
        "ctl": commands(runs(api, FIREWALL, machine)),
        "rules": shows(api, lambda client: client.firewall_rules(machine), dump_rows),
        "connections": shows(api, lambda client: client.firewall_connections(machine), dump_rows),
        "leases": shows(api, lambda client: client.firewall_leases(machine), dump_rows),
        "clients": shows(api, lambda client: client.firewall_clients(machine), dump_rows),
    }
    return lambda parent, name: Fixed(parent, name, files)


def dump_settings(view: Mapping[str, Any]) -> str:
    """A line for each, as `set` in `ctl` takes it: KEY=VALUE, or KEY+=ITEM for each item of a list."""
    pairs = [pair for setting in view["settings"] for pair in dump_pairs(setting["name"], setting["value"])]
    return "".join(f"{join_words([pair])}\n" for pair in pairs)


def dump_rows(rows: list[Mapping[str, Any]]) -> str:
    """A line for each, of KEY=VALUE."""
    return "".join(join_words(f"{key}={_dump(value)}" for key, value in row.items()) + "\n" for row in rows)


def _dump(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
