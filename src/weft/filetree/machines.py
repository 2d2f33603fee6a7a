"""`machine/`: a directory for each machine, and for each that is being described."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from weft.client.client import is_live
from weft.filetree import specs
from weft.filetree.commands import ask, runs, shows
from weft.filetree.consoles import console_control, console_file
from weft.filetree.drafts import Draft
from weft.filetree.events import event_file
from weft.filetree.files import OpenCommands, Run, commands, opened, says, text
from weft.filetree.floppies import firewall_folder, floppy_folder
from weft.filetree.machine_commands import MACHINE
from weft.filetree.nodes import CHANGE, READ_WRITE, Entry, Fixed, Listed, Make
from weft.filetree.ports import port_folder
from weft.filetree.recipes import dump_machine_recipe
from weft.filetree.room import Room
from weft.filetree.streams import awaited
from weft.filetree.views import dump_processes, dump_stats, dump_status, dump_wait
from weft.ninep.tree import OpenFile
from weft.ninep.words import NinepError, OpenMode


def machine_folder(room: Room) -> Make:
    """`machine`."""

    async def names() -> Sequence[str]:
        return [*await room.machines(), *room.drafts.names]

    def make(parent: Entry, name: str) -> Entry:
        if (draft := room.drafts.find(name)) is not None:
            return Fixed(parent, name, _draft_files(room, draft), CHANGE, lambda: room.drafts.remove(name))
        return Fixed(parent, name, machine_files(room, name), CHANGE, lambda: _remove(room, name))

    return lambda parent, name: Listed(parent, name, names, make, {"clone": clone_file(room)}, CHANGE)


def clone_file(room: Room) -> Make:
    """Opening it makes a draft, and gives the file that is its `ctl`, also when it has become a machine."""

    async def opens(node: Entry, mode: OpenMode) -> OpenFile:
        draft = await room.drafts.add(room.machines)
        return OpenCommands(node, f"{draft.name}\n".encode(), _draft_run(room, draft))

    return opened(READ_WRITE, opens)


def machine_files(room: Room, name: str) -> Mapping[str, Make]:
    """What there is of one machine."""
    api = room.api

    async def wait() -> str:
        while is_live(view := await ask(api, lambda client: client.wait_machine(name))):
            pass
        return dump_wait(view)

    return {
        "ctl": commands(runs(api, MACHINE, name), says(name)),
        "status": shows(api, lambda client: client.machine(name), dump_status),
        "view": shows(api, lambda client: client.machine(name)),
        "config": text(lambda: _show_config(room, name)),
        "ns": text(lambda: _show_recipe(room, name)),
        "cons": console_file(room.consoles, name),
        "consctl": console_control(room.consoles, name),
        "kmesg": shows(api, lambda client: client.open_logs(name), lambda log: log.decode(errors="surrogateescape")),
        "event": event_file(room.events(name)),
        "wait": awaited(wait),
        "stats": shows(api, lambda client: client.stats([name]), dump_stats),
        "history": shows(api, lambda client: client.history(name)),
        "ps": shows(api, lambda client: client.processes(name), dump_processes),
        "elastic": shows(api, lambda client: client.elastic_account(name), lambda view: view["text"] + "\n"),
        "exec": room.programs(name).folder,
        "port": port_folder(api, name),
        "floppy": floppy_folder(api, name),
        "firewall": firewall_folder(api, name),
    }


def _draft_run(room: Room, draft: Draft) -> Run:
    async def run(words: list[str]) -> None:
        if draft.made:
            await runs(room.api, MACHINE, draft.name)(words)
        else:
            await room.drafts.run(draft, words)

    return run


def _draft_files(room: Room, draft: Draft) -> Mapping[str, Make]:
    async def show() -> str:
        return draft.show()

    return {"ctl": commands(_draft_run(room, draft), says(draft.name)), "config": text(show)}


async def _show_config(room: Room, name: str) -> str:
    return "".join(f"{line}\n" for line in specs.dump_lines({"name": name, **await _find_part(room, name)}))


async def _show_recipe(room: Room, name: str) -> str:
    part = await _find_part(room, name)
    ports = await ask(room.api, lambda client: client.ports(name))
    return dump_machine_recipe(name, part, ports)


async def _find_part(room: Room, name: str) -> dict[str, Any]:
    """What a fabric file says of it. Raises NinepError for an appliance that is inserted or parked."""
    file = yaml.safe_load((await ask(room.api, lambda client: client.export_room(room.api.room)))["text"])
    parts = file["rooms"][room.api.room].get("machines") or {}
    if name not in parts:
        raise NinepError(f"wrong-state: {name} is an appliance of a chain: see port/N/chain of what it is in front of")
    part = parts[name] or {}
    removed = (await ask(room.api, lambda client: client.machine(name))).get("remove")
    return {**(part if isinstance(part, dict) else {"image": part}), **({"remove": True} if removed else {})}


async def _remove(room: Room, name: str) -> None:
    """Whether or not it runs: a directory is removed or not."""
    await ask(room.api, lambda client: client.remove_machine(name, force=True))
