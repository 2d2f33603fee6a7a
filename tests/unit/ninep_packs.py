"""Packs for tests: a tree that is given as paths and contents."""

from collections.abc import Mapping
from pathlib import Path

from weft.ninep.packing import Planned, plan_pack
from weft.ninep.words import Mode

FOLDER, FILE = Mode.DIR | 0o775, 0o664


def write_pack(path: Path, files: Mapping[str, bytes | None], *, mtime: int = 1000) -> Path:
    """A pack of these files; None is a folder. Folders on the way are made."""
    packing = plan_pack(plan_tree(files, mtime))
    path.write_bytes(packing.head + b"".join(files[str(source)] or b"" for source, _ in packing.contents))
    return path


def plan_tree(files: Mapping[str, bytes | None], mtime: int) -> Planned:
    folders = {"": Planned("", FOLDER, mtime, "sys", "sys")}

    def folder(name: str) -> Planned:
        if name not in folders:
            parent, _, last = name.rpartition("/")
            folders[name] = Planned(last, FOLDER, mtime, "sys", "sys")
            folder(parent).children.append(folders[name])
        return folders[name]

    for name, data in files.items():
        parent, _, last = name.rpartition("/")
        if data is None:
            folder(name)
        else:
            folder(parent).children.append(Planned(last, FILE, mtime, "sys", "sys", len(data), name))
    return folders[""]
