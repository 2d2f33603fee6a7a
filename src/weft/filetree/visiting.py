"""The tree as a machine gets it that was given parts of it: what it attaches to is the name of a part.

What the API would refuse it anyway is not in its tree, and each part asks with the visit's header.
"""

import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from weft.filetree.api import open_api
from weft.filetree.machines import machine_files
from weft.filetree.nodes import Fixed, Make, parse_aname
from weft.filetree.room import Room
from weft.filetree.root import FabricTree, room_files, root_files
from weft.model.expose import TreePart, Visit
from weft.ninep.limits import Limits
from weft.ninep.server import NinepServer
from weft.ninep.tree import Node
from weft.ninep.words import NOT_FOUND, NinepError

LIMITS = Limits(fids=512, pending=32)
"""Of one connection: a guest may be greedy."""
_EVERYBODYS = frozenset({"template"})
_OF_THE_ROOM = frozenset({"config", "ns"})
"""What needs more than the machine's own part."""


class VisitorTree:
    """What there is for one connection. `trees` has a tree that asks as each visit."""

    def __init__(self, trees: Mapping[Visit, FabricTree]) -> None:
        self._trees = trees

    async def attach(self, user: str, aname: str) -> Node:
        """A part by its name; without one the first that was given."""
        part, reads_on = parse_aname(aname)
        for visit, tree in self._trees.items():
            if part in ("", visit.given.part):
                root = Fixed(None, "/", _choose_files(visit, tree))
                root.uproot(reads_on=reads_on)
                return root
        raise NinepError(NOT_FOUND)


def _choose_files(visit: Visit, tree: FabricTree) -> Mapping[str, Make]:
    if visit.given.part is TreePart.FABRIC:
        return root_files(tree)
    room = tree.room(visit.room)
    if visit.given.part is TreePart.ROOM:
        return _without(room_files(room), _EVERYBODYS)
    return _own_files(room, visit.machine)


def _own_files(room: Room, machine: str) -> Mapping[str, Make]:
    return _without(machine_files(room, machine), _OF_THE_ROOM)


def _without(files: Mapping[str, Make], names: frozenset[str]) -> Mapping[str, Make]:
    return {name: make for name, make in files.items() if name not in names}


async def receive(home: Path, connection: socket.socket, visits: Sequence[Visit]) -> None:
    """Serve a machine's connection until it ends. Our own API is asked in the machine's name."""
    async with AsyncExitStack() as stack:
        trees = {visit: FabricTree(await stack.enter_async_context(open_api(home, visit=visit))) for visit in visits}
        for tree in trees.values():
            stack.push_async_callback(tree.close)
        await NinepServer(VisitorTree(trees), limits=LIMITS).serve_socket(connection)
