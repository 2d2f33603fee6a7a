"""What a machine may load from its network beside what is made for it: files and folders of the host, and by which
names it asks for them. As text: `[NAME=]FILE`, or `[NAME=]FOLDER/` for all that is in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from weft.model.errors import Invalid
from weft.model.options import join_path

MAX_NAME = 127
"""Characters of a name: what a BOOTP answer has room for (RFC 951, 3)."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""What no firmware, and nobody who tells it, has to quote; and what leads out of no folder."""
_HERE = ("/", "./", "../")
"""A path begins so that is not to be taken for a name, whatever is in it."""


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file, or all files of a folder. `name` is relative, and of a folder what theirs begin with: mostly nothing."""

    path: str
    name: str
    is_folder: bool

    def name_of(self, part: str) -> str:
        """What one of a folder's files is asked for as."""
        return f"{self.name}/{part}" if self.name else part


def parse_boot_file(text: str) -> BootFile:
    """One of a spec, whose path is absolute. Raises Invalid."""
    name, path = _split(text)
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"boot file {path!r} has to be an absolute path")
    is_folder = path.endswith("/")
    if name is None:
        name = "" if is_folder else PurePosixPath(path).name
    if name or not is_folder:
        _check_name(name.removesuffix("/") if is_folder else name)
    return BootFile(path, name.removesuffix("/"), is_folder)


def place_boot_file(text: str, folder: str) -> str:
    """One that people have written, whose path is relative to `folder`, as it is in a spec."""
    name, path = _split(text)
    if not path:
        return text
    slash = "/" if path.endswith(("/", "/.", "/..")) or path in (".", "..") else ""
    place = join_path(folder, path).rstrip("/") + slash
    return place if name is None else f"{name}={place}"


def find_loader(files: Iterable[str]) -> str | None:
    """The name of what the firmware is to boot: the first that is no folder."""
    return next((file.name for file in map(parse_boot_file, files) if not file.is_folder), None)


def check_names(files: Iterable[BootFile]) -> None:
    """Raises Invalid where two cannot be there at once."""
    names: list[str] = []
    for file in files:
        if file.is_folder:
            continue
        if file.name in names:
            raise Invalid(f"two boot files are called {file.name!r}", hint="NAME=FILE gives one another name")
        names.append(file.name)
    for name in names:
        if above := [str(folder) for folder in PurePosixPath(name).parents if str(folder) in names]:
            raise Invalid(f"boot file {above[0]!r} is no folder that {name!r} could be in")


def _split(text: str) -> tuple[str | None, str]:
    name, equals, path = text.partition("=")
    return (None, text) if text.startswith(_HERE) or not equals else (name, path)


def _check_name(name: str) -> None:
    if not all(_PART.fullmatch(part) for part in name.split("/")):
        hint = "letters, digits, ._+-, folders by /"
        raise Invalid(f"boot file {name!r} has a name that firmware may not take", hint=hint)
    if len(name) > MAX_NAME:
        raise Invalid(f"boot file {name!r} has a name of more than {MAX_NAME} characters")
