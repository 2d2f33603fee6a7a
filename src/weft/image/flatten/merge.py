"""Layers laid over each other in memory: the rules of the OCI image specification, decided without touching a file.

The specification leaves open what happens to paths that lead through a link, name what is not there, or climb out.
Here they are resolved as `umoci` does it: within the image, with its root as the top. What cannot be done that way
is refused; decision 0014 has the list.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from weft.image.flatten.limits import MAX_NAME, MAX_PATH
from weft.image.flatten.members import Extent, Kind, Member, show
from weft.model.errors import Invalid

WHITEOUT, OPAQUE, AUFS = b".wh.", b".wh..wh..opq", b".wh..wh."
"""Markers, which the specification took over from AUFS. What else begins like the last is AUFS's own: left out."""

MAX_LINKS = 255
"""As many symbolic links as are followed in one path."""

MAX_TIME, MAX_OWNER = (1 << 32) - 1, (1 << 32) - 1
MAX_MAJOR, MAX_MINOR = (1 << 12) - 1, (1 << 20) - 1
"""What squashfs, or Linux, has room for."""

XATTR_KINDS = (b"user.", b"trusted.", b"security.")
"""What squashfs can keep. Others, such as `system.posix_acl_access`, are dropped."""
XATTR_OVERLAY = b"trusted.overlay."
"""Dropped too: the root is the lower side of an overlay, which would take these for its own."""

Path = tuple[bytes, ...]


@dataclass(slots=True, eq=False)
class Inode:
    """What names stand for; with hard links, several do.

    Where content is: in which layer, counted from 0, from which byte of its tar on, and which parts of it are there."""

    kind: Kind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    user: bytes = b""
    group: bytes = b""
    mtime: int = 0
    size: int = 0
    target: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] | None = None
    layer: int = -1
    data: int = 0
    extents: tuple[Extent, ...] | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """A name: what it stands for, the last layer that had it or something below it, and what a folder has in it."""

    inode: Inode
    layer: int
    children: dict[bytes, "Entry"]

    @property
    def is_folder(self) -> bool:
        return self.inode.kind is Kind.FOLDER


class Merger:
    """The tree that layers make. Folders nobody described belong to root, with mode 0755 and time 0."""

    def __init__(self) -> None:
        self._root = Entry(Inode(Kind.FOLDER), 0, {})
        self._layer = 0
        # Where paths of this layer lead, as long as nothing went and no link came: most members lie where the last did.
        self._folders: dict[Path, Entry] = {}

    def add_layer(self, members: Iterable[Member]) -> None:
        """Lay the next layer over those before. Raises Invalid for what cannot be."""
        self._layer += 1
        self._folders.clear()
        for member in members:
            self._add(member)

    def __iter__(self) -> Iterator[tuple[bytes, Inode]]:
        """Every path and what it stands for, folders before what is in them, in the order of the names' bytes.

        The root comes first, and is `b""`."""
        left = [(b"", self._root)]
        while left:
            path, entry = left.pop()
            yield path, entry.inode
            before = path + b"/" if path else b""
            left += [(before + name, entry.children[name]) for name in sorted(entry.children, reverse=True)]

    def _add(self, member: Member) -> None:
        path = split_path(member.name)
        if not path:
            self._describe_root(member)
            return
        name = path[-1]
        if name.startswith(WHITEOUT) and member.kind is Kind.FILE:
            self._hide(path[:-1], name, member)
        elif AUFS not in member.name or not any(part.startswith(AUFS) for part in path):
            self._put(self._open_folder(path[:-1], member), name, member)

    def _describe_root(self, member: Member) -> None:
        if member.kind is not Kind.FOLDER:
            raise Invalid(f"{show(member.name)!r} would make the root something else than a folder")
        self._root.inode = self._inode_of(member)

    def _hide(self, folder: Path, name: bytes, member: Member) -> None:
        """A marker hides what layers below have, wherever it stands among the members of its own."""
        parent = self._find(self._resolve(folder, member))
        if parent is None or not parent.is_folder:
            return
        self._folders.clear()
        if name == OPAQUE:
            self._prune(parent)
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise Invalid(f"the marker {show(member.name)} hides nothing that has a name")
        entry = parent.children.get(hidden)
        if entry is not None and entry.layer < self._layer:
            del parent.children[hidden]
        elif entry is not None:
            self._prune(entry)

    def _prune(self, entry: Entry) -> None:
        """Take out what is not of this layer."""
        left = [entry]
        while left:
            children = left.pop().children
            for name in [name for name, child in children.items() if child.layer < self._layer]:
                del children[name]
            left += children.values()

    def _open_folder(self, path: Path, member: Member) -> Entry:
        """The folder at a path, made when it is missing, and marked as of this layer with all above it."""
        if (known := self._folders.get(path)) is not None:
            return known
        entry = self._root
        for name in self._resolve(path, member):
            if (child := entry.children.get(name)) is None:
                child = entry.children[name] = Entry(Inode(Kind.FOLDER), self._layer, {})
            elif not child.is_folder:
                raise Invalid(f"{show(member.name)} lies in {show(name)}, which is not a folder")
            child.layer = self._layer
            entry = child
        self._folders[path] = entry
        return entry

    def _resolve(self, path: Path, member: Member) -> Path:
        """A path without links in it: these are followed as if the image's root were the file system's.

        What is not there is no link; neither is what lies in a file."""
        left, links = list(reversed(path)), 0
        trail: list[Entry | None] = [self._root]
        names: list[bytes] = []
        while left:
            name = left.pop()
            if name == b"..":
                if names:
                    names.pop()
                    trail.pop()
                continue
            above = trail[-1]
            entry = above.children.get(name) if above is not None else None
            if entry is None or entry.inode.kind is not Kind.SYMLINK:
                names.append(name)
                trail.append(entry)
                continue
            links += 1
            if links > MAX_LINKS:
                raise Invalid(f"{show(member.name)} leads through too many symbolic links")
            if entry.inode.target.startswith(b"/"):
                trail, names = [self._root], []
            left += [part for part in reversed(entry.inode.target.split(b"/")) if part not in (b"", b".")]
        if sum(map(len, names)) + len(names) > MAX_PATH:
            raise Invalid(f"{show(member.name)} leads to a path that is too long")
        return tuple(names)

    def _find(self, path: Path) -> Entry | None:
        entry: Entry | None = self._root
        for name in path:
            entry = entry.children.get(name) if entry is not None else None
        return entry

    def _put(self, parent: Entry, name: bytes, member: Member) -> None:
        old = parent.children.get(name)
        if old is not None and old.is_folder and member.kind is Kind.FOLDER:
            old.inode, old.layer = self._inode_of(member), self._layer
            return
        if old is not None:
            del parent.children[name]  # a folder with all that is in it
        if old is not None or member.kind is Kind.SYMLINK:
            self._folders.clear()
        inode = self._find_target(member) if member.kind is Kind.HARD_LINK else self._inode_of(member)
        parent.children[name] = Entry(inode, self._layer, {})

    def _find_target(self, member: Member) -> Inode:
        """What a hard link names: the last part of its target is not followed when it is a symbolic link."""
        path = split_path(member.target)
        entry = self._find((*self._resolve(path[:-1], member), *path[-1:]))
        if entry is None or entry.is_folder:
            what = "is not there" if entry is None else "is a folder"
            raise Invalid(f"{show(member.name)} is a hard link to {show(member.target)}, which {what}")
        return entry.inode

    def _inode_of(self, member: Member) -> Inode:
        if member.kind is Kind.SYMLINK and not 0 < len(member.target) <= MAX_PATH:
            raise Invalid(f"the symbolic link {show(member.name)} has no possible target")
        if not (0 <= member.major <= MAX_MAJOR and 0 <= member.minor <= MAX_MINOR):
            raise Invalid(f"{show(member.name)} is a device with numbers that Linux does not have")
        if not (0 <= member.uid <= MAX_OWNER and 0 <= member.gid <= MAX_OWNER):
            raise Invalid(f"{show(member.name)} has an owner that Linux cannot have")
        return Inode(
            kind=member.kind,
            mode=0o777 if member.kind is Kind.SYMLINK else member.mode & 0o7777,
            uid=member.uid,
            gid=member.gid,
            user=member.user,
            group=member.group,
            mtime=min(max(member.mtime, 0), MAX_TIME),
            size=member.size,
            target=member.target if member.kind is Kind.SYMLINK else b"",
            major=member.major,
            minor=member.minor,
            xattrs=keep_xattrs(member.xattrs) if member.xattrs else None,
            layer=self._layer - 1,
            data=member.data,
            extents=member.extents,
        )


def split_path(name: bytes) -> Path:
    """The parts of a name. A leading slash, empty parts and dots go; `..` leads up, but not out of the root.

    Raises Invalid for names that Linux does not have."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    if len(name) > MAX_PATH or any(len(part) > MAX_NAME for part in parts):
        raise Invalid(f"the name {show(name[:60])}… is too long")
    return tuple(parts)


def keep_xattrs(xattrs: dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    """Those that the root can and should have."""
    kept = {
        name: value
        for name, value in xattrs.items()
        if name.startswith(XATTR_KINDS) and name not in XATTR_KINDS and not name.startswith(XATTR_OVERLAY)
    }
    return kept or None
