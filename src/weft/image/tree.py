"""A root file system in memory, on its way from packages to a squashfs.

Nothing is unpacked on the host: no path of a package ever touches the host's file system, owners and modes are what
the tree says, and neither root nor a loop device is needed. `/bin`, `/sbin`, `/lib` and `/lib64` are merged into
`/usr` and `/usr/sbin` into `/usr/bin`, so every path has one spelling here: the one `normal_path` returns.
"""

import fnmatch
import io
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from weft.model.errors import Invalid

MERGED = {"bin": "usr/bin", "sbin": "usr/bin", "usr/sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
"""Folders that exist only as links, and where they lead."""

MAX_LINKS = 40
"""As many symbolic links as Linux follows in one path before it says ELOOP."""


@dataclass(frozen=True)
class File:
    data: bytes = field(repr=False)
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Symlink:
    target: str


@dataclass(frozen=True)
class Directory:
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


Node = File | Symlink | Directory


def normal_path(path: str) -> str:
    """The one spelling of a path: no leading slash, no dots, links of the merged `/usr` resolved."""
    clean = _clean(path)
    for link, target in MERGED.items():
        if clean == link or clean.startswith(link + "/"):
            return target + clean[len(link) :]
    return clean


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path).lstrip("/")


class Tree:
    """Paths and what is there. Parents appear by themselves; the last to write a path wins."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {link: Symlink(_link_text(link, to)) for link, to in MERGED.items()}

    def __contains__(self, path: str) -> bool:
        return normal_path(path) in self._nodes

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        return iter(sorted(self._nodes.items()))

    def find(self, path: str) -> Node | None:
        """What is at the path itself; links are not followed."""
        return self._nodes.get(normal_path(path))

    def has(self, path: str) -> bool:
        """Whether a program in the machine would find something there: links in the path are followed."""
        clean = normal_path(path)
        for _ in range(MAX_LINKS):
            link = next((part for part in _ways_to(clean) if isinstance(self._nodes.get(part), Symlink)), None)
            if link is None:
                return clean in self._nodes
            target = self._nodes[link]
            assert isinstance(target, Symlink)
            clean = normal_path(posixpath.join(posixpath.dirname("/" + link), target.target) + clean[len(link) :])
        return False

    def add(self, path: str, node: Node) -> None:
        """Put a node at a path. Raises Invalid when a parent is not a directory, or a full one would go."""
        clean = normal_path(path)
        if not clean or _clean(path) in MERGED:
            return
        parent = posixpath.dirname(clean)
        while parent and parent not in self._nodes:
            self._nodes[parent] = Directory()
            parent = posixpath.dirname(parent)
        if parent and not isinstance(self._nodes[parent], Directory):
            raise Invalid(f"/{clean}: /{parent} is not a directory")
        if not isinstance(node, Directory) and any(path.startswith(clean + "/") for path in self._nodes):
            raise Invalid(f"/{clean} is a directory with something in it")
        self._nodes[clean] = node

    def change(self, pattern: str, *, mode: int | None, owner: tuple[int, int] | None) -> bool:
        """Give all that matches a glob another mode or owner; links have neither. False when nothing matches."""
        paths = [
            path
            for path in fnmatch.filter(self._nodes, normal_path(pattern))
            if not isinstance(self._nodes[path], Symlink)
        ]
        for path in paths:
            node = self._nodes[path]
            assert not isinstance(node, Symlink)
            uid, gid = owner or (node.uid, node.gid)
            self._nodes[path] = replace(node, mode=node.mode if mode is None else mode, uid=uid, gid=gid)
        return bool(paths)

    @property
    def has_owners(self) -> bool:
        """Whether anything belongs to somebody other than root."""
        return any(not isinstance(node, Symlink) and (node.uid or node.gid) for node in self._nodes.values())

    def dump_tar(self) -> bytes:
        """The tree as a tar archive: sorted, all times zero. Equal trees give equal bytes."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for path, node in self:
                info, data = _tar_entry(path, node)
                archive.addfile(info, io.BytesIO(data) if data is not None else None)
        return buffer.getvalue()


def _ways_to(path: str) -> Iterator[str]:
    """A path and all above it, the uppermost first."""
    parts = path.split("/")
    return ("/".join(parts[: count + 1]) for count in range(len(parts)))


def _link_text(link: str, target: str) -> str:
    return posixpath.relpath("/" + target, "/" + posixpath.dirname(link))


def _tar_entry(path: str, node: Node) -> tuple[tarfile.TarInfo, bytes | None]:
    info = tarfile.TarInfo(path)
    match node:
        case File(data, mode, uid, gid):
            info.mode, info.uid, info.gid, info.size = mode, uid, gid, len(data)
            return info, data
        case Symlink(target):
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        case Directory(mode, uid, gid):
            info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, uid, gid
    return info, None
