"""Making a pack: files get their numbers, and all that stands before their contents is written at once.

Sizes are known before, so whoever writes the contents goes through them once, in the order of the numbers. Files that
share a content, as hard links do, name the same source.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from weft.ninep.pack import ENTRY, HEAD, MAGIC, PAGE, ROOT, Packed
from weft.ninep.words import MAX_NAME, Mode


@dataclass(slots=True)
class Planned:
    """A file that is to be packed, and what is in it. `source` tells whoever writes the contents where to find it."""

    name: str
    mode: int
    mtime: int = 0
    uid: str = "none"
    gid: str = "none"
    size: int = 0
    source: Hashable = None
    children: "list[Planned]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Packing:
    """What stands before the contents, and then the sources of these, in order, with their bytes."""

    head: bytes
    contents: tuple[tuple[Hashable, int], ...]


def plan_pack(root: Planned) -> Packing:
    """The pack of a tree. Raises ValueError for a name that is too long."""
    places: dict[Hashable, int] = {}
    contents: list[tuple[Hashable, int]] = []
    files, end = [], 0
    for file, planned in _number(root):
        if planned.size and planned.source not in places:
            places[planned.source] = end
            contents.append((planned.source, planned.size))
            end += planned.size
        files.append((file, places.get(planned.source, 0) if planned.size else 0))
    return Packing(_dump_head(files), tuple(contents))


def _number(root: Planned) -> Iterator[tuple[Packed, Planned]]:
    """All files, level by level, those of one folder side by side."""
    waiting, number, free = [(root, ROOT)], ROOT, ROOT + 1
    while waiting:
        level, waiting = waiting, []
        for planned, parent in level:
            inside = sorted(planned.children, key=lambda child: child.name.encode())
            children = range(free, free + len(inside))
            free += len(inside)
            waiting += [(child, number) for child in inside]
            yield _pack(planned, number, parent, children), planned
            number += 1


def _pack(planned: Planned, number: int, parent: int, children: range) -> Packed:
    return Packed(
        number=number,
        parent=parent,
        name=planned.name,
        mode=planned.mode,
        mtime=planned.mtime,
        uid=planned.uid,
        gid=planned.gid,
        children=children,
        size=0 if planned.mode & Mode.DIR else planned.size,
    )


def _dump_head(files: Sequence[tuple[Packed, int]]) -> bytes:
    """`files` are in the order of their numbers, each with the place of its content behind the head."""
    texts = _Texts(text for file, _ in files for text in (file.name, file.uid, file.gid))
    end = HEAD.size + len(files) * ENTRY.size + len(texts.data)
    start = end + -end % PAGE
    entries = b"".join(_dump_entry(file, texts, start + place) for file, place in files)
    return b"".join((HEAD.pack(MAGIC, len(files), len(texts.data)), entries, texts.data, bytes(start - end)))


def _dump_entry(file: Packed, texts: "_Texts", data: int) -> bytes:
    return ENTRY.pack(
        file.parent,
        texts.places[file.name],
        texts.places[file.uid],
        texts.places[file.gid],
        file.mode,
        file.mtime,
        file.children.start,
        len(file.children),
        data,
        file.size,
    )


class _Texts:
    """Each text once, a byte with its length before it."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.places: dict[str, int] = {}
        data = bytearray()
        for text in texts:
            if text not in self.places:
                self.places[text] = len(data)
                encoded = text.encode()
                if len(encoded) > MAX_NAME:
                    raise ValueError(f"{text[:40]!r} has more than {MAX_NAME} bytes")
                data += bytes((len(encoded),)) + encoded
        self.data = bytes(data)
