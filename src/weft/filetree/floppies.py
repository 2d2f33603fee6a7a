"""`floppy/` and `firewall/` of a machine: an appliance's settings, and what a firewall does."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from weft.filetree.api import Api
from weft.filetree.commands import ask, runs, shows
from weft.filetree.files import commands, question
from weft.filetree.grammar import Grammar
from weft.filetree.machine_commands import FIREWALL, SETTINGS
from weft.filetree.nodes import Fixed, Make
from weft.filetree.specs import dump_pairs
from weft.filetree.streams import stream
from weft.filetree.words import dump_pair, join_words

BY = "a file"
CLIENT = Grammar("", "PEER [address=ADDRESS] [endpoint=PLACE]", "Adds a client; the answer is its file.")
"""What is written to a firewall's `clone`; the answer is a file for wg-quick, with a private key."""


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

    async def add(words: list[str]) -> str:
        given = CLIENT.read(words)
        peer, more = given["peer"], {key: given[key] for key in ("address", "endpoint")}
        return str((await ask(api, lambda client: client.add_firewall_client(machine, peer, **more)))["file"])

    files: Mapping[str, Make] = {
        "ctl": commands(runs(api, FIREWALL, machine)),
        "clone": question(add),
        "log": stream(lambda: _open_log(api, machine), lines=True),
        "rules": shows(api, lambda client: client.firewall_rules(machine), dump_rows),
        "connections": shows(api, lambda client: client.firewall_connections(machine), dump_rows),
        "leases": shows(api, lambda client: client.firewall_leases(machine), dump_rows),
        "clients": shows(api, lambda client: client.firewall_clients(machine), dump_rows),
    }
    return lambda parent, name: Fixed(parent, name, files)


@asynccontextmanager
async def _open_log(api: Api, machine: str) -> AsyncIterator[AsyncIterator[bytes]]:
    async with api.open(lambda client: client.firewall_log(machine, follow=True)) as pieces:
        yield _dump_log(pieces)


async def _dump_log(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield dump_rows([json.loads(line) for line in lines if line]).encode()


def dump_settings(view: Mapping[str, Any]) -> str:
    """A line for each that has a value, as `set` in `ctl` takes it: KEY=VALUE, or KEY+=ITEM for each item of a list."""
    given = [(setting["name"], setting["value"]) for setting in view["settings"] if setting["value"] is not None]
    pairs = [pair for name, value in given for pair in dump_pairs(name, value)]
    return "".join(f"{join_words([pair])}\n" for pair in pairs)


def dump_rows(rows: list[Mapping[str, Any]]) -> str:
    """A line for each, of KEY=VALUE."""
    return "".join(join_words(dump_pair(key, value) for key, value in row.items()) + "\n" for row in rows)
