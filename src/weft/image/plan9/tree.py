"""From the tree that layers make to the files of a Plan 9 root, which has neither links nor devices.

A symbolic link becomes what it leads to, when that is within the image; folders become further folders of the same
contents. What cannot be there is left out, and counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from weft.image.flatten.limits import Budget
from weft.image.flatten.members import Kind
from weft.image.flatten.merge import MAX_LINKS, Inode
from weft.model.errors import NoRoom
from weft.ninep.packing import Planned
from weft.ninep.words import Mode

LOOSE, NAMELESS, SPECIAL = "links that lead nowhere", "files whose names are no text", "devices and pipes"
"""What is left out."""
_LONGEST_OWNER = 64


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder in the making: where its content is in the image, and in which folder it lies itself."""

    planned: Planned
    path: bytes
    above: "_Place | None" = None

    def is_within(self, path: bytes) -> bool:
        """Whether it is this folder, or lies in it."""
        place: _Place | None = self
        while place is not None and place.path != path:
            place = place.above
        return place is not None


class RootPlan:
    """Plans a root. `left_out` counts what has no place there."""

    def __init__(self, tree: Iterable[tuple[bytes, Inode]], budget: Budget) -> None:
        self._budget = budget
        self._inodes = dict(tree)
        self._names: dict[bytes, list[bytes]] = {}
        for path in self._inodes:
            folder, _, name = path.rpartition(b"/")
            if name:
                self._names.setdefault(folder, []).append(name)
        self.left_out: Counter[str] = Counter()

    def plan(self) -> Planned:
        """The whole tree. Raises NoRoom when it is larger than an image may be."""
        root = _plan_file("", self._inodes[b""])
        waiting, count = [_Place(root, b"")], 0
        counted: set[Inode] = set()
        while waiting:
            place = waiting.pop()
            for name in self._names.get(place.path, ()):
                found = self._find(place, name)
                if isinstance(found, str):
                    self.left_out[found] += 1
                    continue
                path, inode = found
                count += 1
                self._check(count)
                if inode not in counted:
                    counted.add(inode)
                    self._budget.take_content(inode.size)
                child = _plan_file(name.decode(), inode)
                place.planned.children.append(child)
                if inode.kind is Kind.FOLDER:
                    waiting.append(_Place(child, path, place))
        return root

    def _find(self, place: _Place, name: bytes) -> tuple[bytes, Inode] | str:
        """What stands for this name of a folder, and where it is in the image; or why it is left out."""
        path = b"/".join(filter(None, (place.path, name)))
        inode: Inode | None = self._inodes[path]
        if not _is_text(name):
            return NAMELESS
        if inode is not None and inode.kind is Kind.SYMLINK:
            path = self._resolve(path)
            inode = self._inodes.get(path)
            if inode is None or inode.kind is Kind.SYMLINK or (inode.kind is Kind.FOLDER and place.is_within(path)):
                return LOOSE
        if inode is None or inode.kind not in (Kind.FILE, Kind.FOLDER):
            return SPECIAL
        return path, inode

    def _resolve(self, path: bytes) -> bytes:
        """Where a path leads, with the image's root as the top; a link, when it leads through too many."""
        left, links = path.split(b"/")[::-1], 0
        real: list[bytes] = []
        while left:
            name = left.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                del real[-1:]
                continue
            here = b"/".join([*real, name])
            inode = self._inodes.get(here)
            if inode is None or inode.kind is not Kind.SYMLINK:
                real.append(name)
                continue
            links += 1
            if links > MAX_LINKS:
                return here
            if inode.target.startswith(b"/"):
                real = []
            left += inode.target.split(b"/")[::-1]
        return b"/".join(real)

    def _check(self, count: int) -> None:
        if count > self._budget.limits.members:
            hint = "links to folders become folders"
            raise NoRoom(f"the root has more than {self._budget.limits.members} files", hint=hint)


def _plan_file(name: str, inode: Inode) -> Planned:
    is_folder = inode.kind is Kind.FOLDER
    return Planned(
        name=name,
        mode=(Mode.DIR if is_folder else 0) | inode.mode & 0o777,
        mtime=inode.mtime,
        uid=_owner(inode.user, inode.uid),
        gid=_owner(inode.group, inode.gid),
        size=inode.size,
        source=inode,
    )


def _owner(name: bytes, number: int) -> str:
    """By name, where the tar says one that can be."""
    return name.decode() if 0 < len(name) <= _LONGEST_OWNER and _is_text(name) else str(number)


def _is_text(name: bytes) -> bool:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    return not any(character < " " or character == "\x7f" for character in text)
