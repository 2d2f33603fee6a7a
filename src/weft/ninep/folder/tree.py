"""A directory of the host, to attach to."""

import resource
from pathlib import Path
from typing import Self

from weft.ninep.folder.node import FolderNode
from weft.ninep.folder.root import Root
from weft.ninep.tree import Node
from weft.ninep.words import NOT_DIR, NinepError

_MOST_OPEN = 16384


class FolderTree:
    """A directory of the host. Whoever attaches may do what the server's own user may.

    `aname` is a directory in it, by its path, which then is the root. The tree has a descriptor until it is closed.
    """

    def __init__(
        self, folder: Path | int, *, read_only: bool = False, user: str | None = None, max_open: int | None = None
    ) -> None:
        """`folder` is a path or an open descriptor; `user` is what the server's own user is called; `max_open` files
        are open at once, by default as many as half of the descriptors that the process may have. Raises OSError.
        """
        self._root = Root(folder, read_only=read_only, user=user, max_open=max_open or find_max_open())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing may be open any more."""
        self._root.close()

    async def attach(self, user: str, aname: str) -> Node:
        """The root, or a directory below it. Raises NinepError."""
        node = FolderNode(self._root, self._root.place)
        for name in filter(None, aname.split("/")):
            node = await node.walk(name)
        if not node.qid.is_dir:
            raise NinepError(NOT_DIR)
        return node.as_root()


def find_max_open() -> int:
    """The other half of the descriptors is for connections, and what requests need for a moment."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft // 2, _MOST_OPEN)
