"""Walking, reading and writing in a tree of nodes, without a server between."""

from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import Access, OpenMode

READS, BOTH = OpenMode(Access.READ), OpenMode(Access.READ_WRITE)
WRITES = OpenMode(Access.WRITE, truncate=True)


class Walks:
    """A tree, from its root on."""

    def __init__(self, root: Node) -> None:
        self.root = root

    async def walk(self, path: str) -> Node:
        node = self.root
        for name in filter(None, path.split("/")):
            node = await node.walk(name)
        return node

    async def open(self, path: str, mode: OpenMode = READS) -> OpenFile:
        return await (await self.walk(path)).open(mode)

    async def names(self, path: str) -> list[str]:
        """What is in a directory."""
        opened = await self.open(path)
        assert isinstance(opened, OpenDir)
        return [stat.name for stat in await opened.entries()]

    async def cat(self, path: str) -> str:
        """All of a file."""
        opened, content = await self.open(path), b""
        try:
            while piece := await opened.read(len(content), 8192):
                content += piece
        finally:
            await opened.close()
        return content.decode()

    async def echo(self, line: str, path: str) -> None:
        """What `echo LINE > PATH` does."""
        opened = await self.open(path, WRITES)
        try:
            await opened.write(0, f"{line}\n".encode())
        finally:
            await opened.close()
