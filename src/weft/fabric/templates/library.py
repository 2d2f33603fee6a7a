"""Templates as they are kept: each in a folder of its own, and in memory while machines want it.

HOME/templates/KEY/template.json    what it is for; it is put there last and taken away first
                   moment/          the moment itself, which is refused when anything of it is damaged
"""

import asyncio
import logging
import os
import shutil
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from weft.fabric.moments.folders import load_moment, save_moment
from weft.fabric.moments.moment import Moment
from weft.fabric.records.record import Record
from weft.model.errors import Invalid, NotFound, Unavailable
from weft.model.template import ORIGIN, TemplateSpec

log = logging.getLogger(__name__)

RECORD, MOMENT = "template.json", "moment"
SHORTEST_KEY = 4
"""Fewer digits than this are taken for an image's name, never for a key."""
UNUSED = 600.0
"""Seconds after which a template that no machine has any more leaves the host's memory."""


class TemplateRecord(Record):
    """What a template is for. `spec` leaves nothing to the image; `digest` is of its root file; `took`: seconds."""

    key: str
    spec: TemplateSpec
    digest: str
    created: float
    took: float


@dataclass(slots=True)
class _Loaded:
    moment: Moment
    used: float


class Library:
    """The templates in one folder. `clock` gives seconds since the epoch."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._loaded: dict[str, _Loaded] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.making = asyncio.Lock()
        """Held while one is made: one at a time."""
        self.users: dict[str, Callable[[], Iterable[str]]] = {}
        """For each room the keys of templates that its machines run on."""

    def list(self) -> list[TemplateRecord]:
        """All there are, by image and age. What is not whole is not there."""
        try:
            folders = [entry for entry in self._folder.iterdir() if entry.is_dir()]
        except OSError:
            return []
        found = [self.find(folder.name) for folder in folders]
        return sorted((one for one in found if one), key=lambda one: (one.spec.image, one.created))

    def find(self, key: str) -> TemplateRecord | None:
        """The one with this key."""
        try:
            record = TemplateRecord.model_validate_json((self._folder / key / RECORD).read_bytes())
        except (OSError, ValidationError):
            return None
        return record if record.key == key else None

    def get(self, reference: str) -> TemplateRecord:
        """The one whose key begins so, or the only one of an image. Raises NotFound, or Invalid for several."""
        found = [one for one in self.list() if len(reference) >= SHORTEST_KEY and one.key.startswith(reference)]
        found = found or [one for one in self.list() if one.spec.image == reference]
        if not found:
            raise NotFound(f"no template {reference!r}", hint="weft template ls shows what is there")
        if len(found) > 1:
            raise Invalid(
                f"{len(found)} templates are meant by {reference!r}", hint="weft template ls shows their keys"
            )
        return found[0]

    async def put(self, record: TemplateRecord, moment: Moment) -> None:
        """Keep a template, in memory too: the moment is the library's from here on. Raises NoRoom, Unavailable."""
        async with self._locks[record.key]:
            moment.origin = f"{ORIGIN}{record.key}"
            self._loaded[record.key] = _Loaded(moment, self._clock())
            folder = self._folder / record.key
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                await save_moment(moment, folder / MOMENT)
                fresh = folder / f"{RECORD}.new"
                fresh.write_text(record.model_dump_json(indent=2) + "\n")
                fresh.replace(folder / RECORD)
            except OSError as err:
                self.remove(record.key)
                raise Unavailable(f"{folder} cannot be written: {err.strerror}") from err
            except BaseException:
                self.remove(record.key)
                raise
        await asyncio.to_thread(_drop_pages, folder / MOMENT)

    async def load(self, key: str) -> Moment | None:
        """The moment of a template that is there, from memory or from its folder.

        Raises Unavailable when it is damaged, NoRoom.
        """
        async with self._locks[key]:
            if key not in self._loaded:
                if self.find(key) is None:
                    return None
                moment = await load_moment(self._folder / key / MOMENT)
                await asyncio.to_thread(_drop_pages, self._folder / key / MOMENT)
                moment.origin = f"{ORIGIN}{key}"
                self._loaded[key] = _Loaded(moment, self._clock())
            self._loaded[key].used = self._clock()
        with suppress(OSError):
            os.utime(self._folder / key / RECORD)
        return self._loaded[key].moment

    def remove(self, key: str) -> int:
        """Forget a template; how many bytes of disk that gives back. Machines that went on from it keep its memory."""
        size = self.size(key)
        with suppress(OSError):
            (self._folder / key / RECORD).unlink()
        shutil.rmtree(self._folder / key, ignore_errors=True)
        self.forget(key)
        return size

    def sweep(self) -> None:
        """Remove what a daemon left that died while it made or removed one."""
        with suppress(OSError):
            for folder in self._folder.iterdir():
                if self.find(folder.name) is None:
                    shutil.rmtree(folder, ignore_errors=True)

    def size(self, key: str) -> int:
        """Bytes of disk that it takes."""
        files = (self._folder / key).rglob("*")
        return sum(file.stat().st_blocks * 512 for file in files if file.is_file())

    def used(self, key: str) -> float | None:
        """When a machine last wanted it, in seconds since the epoch; None: none ever has."""
        record = self.find(key)
        if record is None:
            return None
        at = (self._folder / key / RECORD).stat().st_mtime
        return at if at > record.created + 1 else None

    def is_loaded(self, key: str) -> bool:
        """Whether it is in memory."""
        return key in self._loaded

    def trim(self, *, tight: bool = False) -> None:
        """Let go of the memory of those that no machine has and nobody has wanted for a while; if it is tight, at once.

        Those that machines run on are there anyway, and would be a second time if they were loaded again.
        """
        now, wanted = self._clock(), {key for keys in self.users.values() for key in keys()}
        for key, loaded in list(self._loaded.items()):
            if key not in wanted and (tight or now - loaded.used > UNUSED):
                self.forget(key)

    def forget(self, key: str) -> None:
        """Let go of its memory; it stays in its folder."""
        if loaded := self._loaded.pop(key, None):
            # Somebody may be about to give it to a machine.
            weakref.finalize(loaded.moment, os.close, loaded.moment.memory)


def _drop_pages(folder: Path) -> None:
    """Its memory is there already: the same from the file would be a second time."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def open_library(folder: Path, clock: Callable[[], float]) -> Library:
    """The templates in a folder, without what was left half made."""
    library = Library(folder, clock)
    library.sweep()
    return library
