"""Working in a served directory without a server between."""

from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import Access, Mode, OpenMode

READ = OpenMode(Access.READ)
WRITE = OpenMode(Access.WRITE)
READ_WRITE = OpenMode(Access.READ_WRITE)


async def walk(node: Node, path: str) -> Node:
    for name in filter(None, path.split("/")):
        node = await node.walk(name)
    return node


async def read_file(node: Node, path: str, count: int = 1 << 20) -> bytes:
    opened = await (await walk(node, path)).open(READ)
    try:
        return await opened.read(0, count)
    finally:
        await opened.close()


async def make_file(node: Node, name: str, data: bytes = b"", perm: int = 0o644) -> None:
    opened = await node.create(name, perm, WRITE)
    if data:
        assert await opened.write(0, data) == len(data)
    await opened.close()


async def make_directory(node: Node, name: str, perm: int = 0o755) -> Node:
    opened = await node.create(name, Mode.DIR | perm, READ)
    await opened.close()
    return opened.node


async def list_names(node: Node, path: str = "") -> list[str]:
    opened = await (await walk(node, path)).open(READ)
    assert isinstance(opened, OpenDir)
    return sorted(entry.name for entry in await opened.entries())


async def open_file(node: Node, path: str, mode: OpenMode = READ) -> OpenFile:
    return await (await walk(node, path)).open(mode)
