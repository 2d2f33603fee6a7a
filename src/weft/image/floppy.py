"""Floppies: 1.44 MB images with FAT12, made by dosfstools and read and written by mtools; any system mounts them.

A floppy is never written to in place. A change is made on a copy beside it, which is on disk for good before it takes
the old one's name: whatever moment a writer dies at, there is the old floppy or the new one. Who has opened the old
one, such as a machine that runs, keeps it.
"""

import asyncio
import fcntl
import os
import re
import shutil
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from weft.host.durable import put_in_place
from weft.host.process import Completed, ProcessFailed, run
from weft.image.blank import is_blank, remember_blank, write_blank
from weft.model.errors import Exists, Invalid, NoRoom, NotFound, Unavailable
from weft.model.floppy import FLOPPY_BYTES, FloppyFile, FloppyView

LABEL = "WEFT"
_VOLUME_ID = "57454654"
"""With it and `--invariant` all new floppies are the same, byte for byte."""
_LABEL = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,10}")
_ENVIRONMENT = {"MTOOLS_DATE_STRING": "yyyy-mm-dd"}
_ROW = re.compile(r"(.{8}) (.{3}) +(<DIR>|\d+) +(\d{4}-\d\d-\d\d +\d+:\d\d)(?: +(.*))?")
_FOLDER = "Directory for ::/"
_RESERVED = set('*?[]:\\<>|"')
"""What FAT has no names with, or mtools a meaning for."""
_LOCK_SECONDS, _LOCK_PAUSE = 90.0, 0.01
"""A writer may wait for an appliance to apply what it writes, and to go back."""
_HINT = "weft floppy ls shows what is on it"


@dataclass(frozen=True, slots=True)
class Floppy:
    """A floppy that can be read: `image` is its file. `open_floppy` finds out whether it is one."""

    image: Path

    async def view(self) -> FloppyView:
        """What is on it, and how much would still fit."""
        text = await self._listing()
        label = re.search(r"^ Volume in drive : is (.*)$", text, re.MULTILINE)
        free = re.findall(r"([\d ]+) bytes free", text)
        room = int(free[-1].replace(" ", "")) if free else 0
        return FloppyView(
            floppy=str(self.image), label=label[1].strip() if label else "", free=room, files=_parse_listing(text)
        )

    async def list(self) -> list[FloppyFile]:
        """Everything on it, each folder before what is in it."""
        if is_blank(self.image):
            return []
        return _parse_listing(await self._listing())

    async def read(self, path: str) -> bytes:
        """A file's content. Raises NotFound."""
        inside = parse_inside(path)
        if is_blank(self.image):
            raise self._miss(inside)
        try:
            return (await self._mtools("mtype", f"::{inside}")).stdout
        except ProcessFailed as err:
            raise self._miss(inside) from err

    async def find(self, path: str) -> FloppyFile:
        """What is at this path; the case of letters does not count. Raises NotFound."""
        inside = parse_inside(path)
        for file in await self.list():
            if file.path.casefold() == inside.casefold():
                return file
        raise self._miss(inside)

    def _miss(self, inside: str) -> NotFound:
        return NotFound(f"floppy {self.image.name}: no file {inside}", hint=_HINT)

    async def _listing(self) -> str:
        try:
            return (await self._mtools("mdir", "-a", "-/", "::")).text
        except ProcessFailed:  # so it ends on an empty floppy, too
            pass
        try:
            return (await self._mtools("mdir", "-a", "::")).text
        except ProcessFailed as err:
            raise Invalid(f"floppy {self.image} is damaged: {err.message}") from err

    async def _mtools(self, program: str, *args: str, input: bytes | None = None) -> Completed:
        argv = [program, "-i", str(self.image), *args]
        return await run(argv, env=_ENVIRONMENT, input=input)


@dataclass(slots=True)
class Change:
    """Whether anything was done to a draft."""

    made: bool = False


@dataclass(frozen=True, slots=True)
class Draft(Floppy):
    """A floppy that is being changed."""

    change: Change = field(default_factory=Change)

    async def write(self, files: Mapping[str, bytes], there: Sequence[FloppyFile] | None = None) -> None:
        """Put files on it, in place of those of the same paths; their folders are made. Raises NoRoom, Invalid.

        `there` is what is on it, for who knows that already.
        """
        wanted = {parse_inside(path): data for path, data in files.items()}
        found = {file.path.casefold(): file for file in (await self.list() if there is None else there)}
        self.change.made = True
        for path in wanted:
            if (old := found.get(path.casefold())) and old.folder:
                raise Invalid(f"floppy {self.image.name}: {path} is a folder")
            await self._make_folders(path, found)
        for path, data in wanted.items():
            await self._write(path, data)
        await self._check_sizes(wanted)

    async def delete(self, *paths: str) -> None:
        """Take away files, or folders with all they hold. Raises NotFound."""
        found = [(await self.find(path)).path for path in paths]
        await self.remove(*found)

    async def remove(self, *paths: str) -> None:
        """The same for paths that are there."""
        if paths:
            self.change.made = True
            await self._mtools("mdeltree", *(f"::{path}" for path in paths))

    async def _make_folders(self, path: str, found: dict[str, FloppyFile]) -> None:
        for parent in reversed([str(parent) for parent in PurePosixPath(path).parents][:-1]):
            if (old := found.get(parent.casefold())) is None:
                await self._make_folder(parent)
                found[parent.casefold()] = FloppyFile(path=parent, folder=True)
            elif not old.folder:
                raise Invalid(f"floppy {self.image.name}: {parent} is a file, not a folder")

    async def _make_folder(self, path: str) -> None:
        try:
            await self._mtools("mmd", f"::{path}")
        except ProcessFailed as err:
            raise NoRoom(f"the floppy is full: no room for the folder {path}") from err

    async def _write(self, path: str, data: bytes) -> None:
        try:
            await self._mtools("mcopy", "-o", "-", f"::{path}", input=data)
        except ProcessFailed as err:
            if "full" in err.message or "No space" in (err.detail or ""):
                raise self._full(path, data) from err
            raise Invalid(f"floppy {self.image.name}: {path} cannot be written: {err.message}") from err

    async def _check_sizes(self, wanted: Mapping[str, bytes]) -> None:
        """mcopy ends with status 0 when the floppy was full before the file was whole."""
        sizes = {file.path.casefold(): file.size for file in await self.list()}
        for path, data in wanted.items():
            if sizes.get(path.casefold()) != len(data):
                raise self._full(path, data)

    def _full(self, path: str, data: bytes) -> NoRoom:
        return NoRoom(f"the floppy is full: {path} of {len(data)} bytes does not fit")


async def create_floppy(path: Path, *, label: str = LABEL, replace: bool = False) -> None:
    """Make an empty floppy. Raises Exists unless `replace`, Invalid for a label FAT does not have, Unavailable."""
    if not _LABEL.fullmatch(label):
        raise Invalid(f"label {label!r}: 1 to 11 of A-Z, 0-9, _ and -")
    async with _open_draft(path) as draft:
        await _format(draft, label)
        if path.exists() and not replace:
            raise Exists(f"{path} exists already", hint="--force makes a new floppy of it")
        put_in_place(draft, path)


async def _format(draft: Path, label: str) -> None:
    if label == LABEL and write_blank(draft):
        return
    argv = ["mkfs.vfat", "-C", "--invariant", "-F", "12", "-i", _VOLUME_ID, "-n", label, str(draft)]
    await run([*argv, str(FLOPPY_BYTES // 1024)])
    if label == LABEL:
        remember_blank(draft)


async def copy_floppy(path: Path, target: Path, *, replace: bool = False) -> None:
    """Make `target` a floppy like this one. Raises NotFound, Invalid, Exists unless `replace`."""
    await open_floppy(path)
    async with _open_draft(target) as draft:
        shutil.copyfile(path, draft)
        if target.exists() and not replace:
            raise Exists(f"{target} exists already", hint="--force overwrites it")
        put_in_place(draft, target)


async def open_floppy(path: Path) -> Floppy:
    """The floppy in this file. Raises NotFound, Invalid when it is something else or damaged."""
    _check_kind(path)
    if is_blank(path):
        return Floppy(path)
    done = await run(["fsck.vfat", "-n", str(path)], check=False)
    if done.status:
        lines = [line.strip() for line in (done.text + done.stderr.decode(errors="replace")).splitlines()]
        found = [line for line in lines if line and not line.startswith(("fsck.fat", "Leaving", str(path)))]
        raise Invalid(f"floppy {path} is damaged: {found[0] if found else f'status {done.status}'}")
    return Floppy(path)


@asynccontextmanager
async def open_change(path: Path) -> AsyncIterator[Draft]:
    """A draft to make changes on; they become the floppy when the context is left without an error.

    Until then it can be read, too. Without a change the floppy stays as it is.

    One writer at a time, in whatever process. Raises what `open_floppy` raises, and Unavailable.
    """
    path = path.resolve()
    async with _open_draft(path) as file:
        await open_floppy(path)
        shutil.copyfile(path, file)
        draft = Draft(file)
        yield draft
        if draft.change.made:
            _keep_owner(path, file)
            put_in_place(file, path)


def parse_inside(path: str) -> str:
    """A path on a floppy, without a leading slash. Raises Invalid for what FAT has no names for."""
    parts = [part for part in path.split("/") if part]
    bad = not parts or any(part in (".", "..") or part != part.rstrip(". ") for part in parts)
    if bad or any(char in _RESERVED or not char.isprintable() for char in path):
        raise Invalid(f"{path!r} is no path that a floppy can have")
    return "/".join(parts)


def _check_kind(path: Path) -> None:
    """Whether a file has the size and the boot sector of a 1.44 MB floppy."""
    try:
        with path.open("rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(32)
    except FileNotFoundError as err:
        raise NotFound(f"there is no floppy {path}", hint="weft floppy create makes one") from err
    except OSError as err:
        raise Unavailable(f"floppy {path} cannot be read: {err.strerror}") from err
    if size != FLOPPY_BYTES:
        raise Invalid(f"{path} is no 1.44 MB floppy: it has {size} bytes, not {FLOPPY_BYTES}")
    sector, cluster, reserved, fats, _, sectors = struct.unpack_from("<HBHBHH", head, 11)
    if (sector, sectors) != (512, FLOPPY_BYTES // 512) or not cluster or not reserved or fats not in (1, 2):
        raise Invalid(f"{path} is no floppy with FAT12", hint="weft floppy create makes one")


def _parse_listing(text: str) -> list[FloppyFile]:
    """What `mdir -a -/` prints: a block for each folder, with long names where a short one does not do."""
    found, folder = [], ""
    for line in text.splitlines():
        if line.startswith(_FOLDER):
            folder = line.removeprefix(_FOLDER).strip("/")
        elif (row := _ROW.fullmatch(line)) and (name := row[5] or _short_name(row[1], row[2])) not in (".", ".."):
            is_folder = row[3] == "<DIR>"
            path = f"{folder}/{name}" if folder else name
            size = 0 if is_folder else int(row[3])
            found.append(FloppyFile(path=path, size=size, modified=" ".join(row[4].split()), folder=is_folder))
    return sorted(found, key=lambda file: file.path)


def _short_name(stem: str, extension: str) -> str:
    return stem.rstrip() + (f".{extension.rstrip()}" if extension.strip() else "")


@asynccontextmanager
async def _open_draft(path: Path) -> AsyncIterator[Path]:
    """The place beside `path` where its successor is made, for this writer alone. What a dead one left is cleared."""
    draft = path.with_name(f".{path.name}.new")
    try:
        async with _locked(path.parent):
            draft.unlink(missing_ok=True)
            try:
                yield draft
            finally:
                draft.unlink(missing_ok=True)
    except OSError as err:
        raise Unavailable(f"floppy {path} cannot be written: {err.strerror or err}") from err


@asynccontextmanager
async def _locked(folder: Path) -> AsyncIterator[None]:
    """Writers in one folder come one after the other. The lock is on the folder itself, so it leaves nothing behind."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        async with asyncio.timeout(_LOCK_SECONDS):
            while not _try_lock(fd):  # noqa: ASYNC110 (flock has no other way to wait without a thread)
                await asyncio.sleep(_LOCK_PAUSE)
        yield
    except TimeoutError as err:
        raise Unavailable(f"somebody else writes to a floppy in {folder} for {_LOCK_SECONDS:g} s") from err
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _keep_owner(path: Path, draft: Path) -> None:
    facts = path.stat()
    draft.chmod(facts.st_mode & 0o7777)
    if (facts.st_uid, facts.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.chown(draft, facts.st_uid, facts.st_gid)
