"""The whole tree, and what there is of each room in it."""

from collections.abc import Mapping

from weft.filetree import images, networks, readiness, rooms, storage
from weft.filetree.api import Api
from weft.filetree.commands import ask, runs
from weft.filetree.events import event_file, log_file
from weft.filetree.fabric_commands import FABRIC
from weft.filetree.fabric_files import fabric_files
from weft.filetree.files import commands, text
from weft.filetree.host import host_files
from weft.filetree.kinds import Kind, kind_folder
from weft.filetree.machines import clone_file, machine_folder
from weft.filetree.nodes import Fixed, Folder, Make, parse_aname
from weft.filetree.room import Room
from weft.filetree.views import dump_link, dump_status
from weft.ninep.tree import Node
from weft.ninep.words import NOT_DIR, NinepError


class FabricTree:
    """A fabric as a tree. What is attached to by the name of a folder, like `machine/web`, is a root of its own."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.fabric_files = fabric_files(api)
        self._rooms: dict[str, Room] = {}

    def room(self, name: str) -> Room:
        """A room, with what is kept of it: the same for all who are attached."""
        return self._rooms.setdefault(name, Room(self.api.in_room(name)))

    async def close(self) -> None:
        """It is served no more, and what was begun by it ends."""
        for room in self._rooms.values():
            await room.close()

    def files(self) -> Mapping[str, Make]:
        """What is at its root."""
        return root_files(self)

    async def attach(self, user: str, aname: str) -> Node:
        part, reads_on = parse_aname(aname)
        node: Node = Fixed(None, "/", self.files())
        for name in filter(None, part.split("/")):
            node = await node.walk(name)
        if not isinstance(node, Folder):
            raise NinepError(NOT_DIR)
        node.uproot(reads_on=reads_on)
        return node


class RoomTree(FabricTree):
    """The room that its API asks about, alone."""

    def files(self) -> Mapping[str, Make]:
        return room_files(self.room(self.api.room))


def root_files(tree: FabricTree) -> Mapping[str, Make]:
    """What is at the root: the room that is asked about, and what rooms have in common."""
    room = tree.room(tree.api.room)
    return {
        "ctl": commands(runs(room.api, FABRIC)),
        **room_files(room),
        "image": kind_folder(tree.api, images.IMAGES),
        "kernel": kind_folder(tree.api, images.KERNELS),
        "room": kind_folder(tree.api, _rooms(tree)),
        "file": tree.fabric_files.folder,
        "host": lambda parent, name: Fixed(parent, name, host_files(tree.api)),
    }


def _rooms(tree: FabricTree) -> Kind:
    return Kind(
        lambda client: client.rooms(),
        rooms.dump_room,
        rooms.WHOLE,
        rooms.EACH,
        more=lambda _api, name: room_files(tree.room(name)),
    )


def room_files(room: Room) -> Mapping[str, Make]:
    """What there is of a room."""

    async def show_status() -> str:
        return "".join(map(dump_status, await room.views()))

    async def show_links() -> str:
        return "".join(map(dump_link, await ask(room.api, lambda client: client.ports())))

    async def show_export() -> str:
        return str((await ask(room.api, lambda client: client.export_room(room.api.room)))["text"])

    return {
        "clone": clone_file(room),
        "status": text(show_status),
        "event": event_file(room.events()),
        "log": log_file(room.api),
        "link": text(show_links),
        "export": text(show_export),
        "trace": room.traces.file,
        "machine": machine_folder(room),
        "network": kind_folder(room.api, networks.NETWORKS),
        "volume": kind_folder(room.api, storage.VOLUMES),
        "snapshot": kind_folder(room.api, storage.SNAPSHOTS),
        "pool": kind_folder(room.api, readiness.POOLS),
        "template": kind_folder(room.api, readiness.TEMPLATES),
    }
