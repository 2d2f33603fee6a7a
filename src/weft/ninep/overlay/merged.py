"""A machine's root: the image's files as a pack has them, and over them what the machine has changed.

A file's number is the path of its qid, and stays its own: an image's file keeps that of its entry through renames and
copies, a new one gets one that no other had. A folder's number leads to what is in it, so renaming one moves nothing.
"""

from collections.abc import Callable
from pathlib import Path

from weft.ninep.overlay.changes import FIRST_NEW, Changes, Record
from weft.ninep.overlay.contents import FILE_COST, Contents
from weft.ninep.overlay.live import Live
from weft.ninep.pack import ROOT, Pack
from weft.ninep.words import EXISTS, IN_USE, NOT_EMPTY, NOT_FOUND, Mode, NinepError, Qid, Stat

_VERSION = 0xFFFFFFFF


class Overlay:
    """The files of one machine. What it has changed is in `folder`, of at most `limit` bytes; the clock gives seconds
    since the epoch. Raises OSError, sqlite3.Error, as all its methods may, and these NinepError.
    """

    def __init__(self, pack: Pack, folder: Path, limit: int, clock: Callable[[], float]) -> None:
        self._pack, self._clock = pack, clock
        self.changes = Changes(folder / "changes.db")
        self._contents = Contents(folder / "files", limit)
        self._contents.sweep(self.changes.owners())
        self._contents.used += FILE_COST * self.changes.count_new()
        self._live: dict[int, Live] = {}

    def close(self) -> None:
        for live in self._live.values():
            live.close()
        self.changes.close()

    @property
    def used(self) -> int:
        """Bytes that are charged."""
        return self._contents.used

    def get(self, id: int) -> Record:
        """A file that is there."""
        if (record := self.find(id)) is None:
            raise NinepError(NOT_FOUND)
        return record

    def find(self, id: int) -> Record | None:
        if (record := self.changes.find(id)) is not None:
            return record
        if id >= FIRST_NEW or self.changes.has(id):
            return None
        return Record.of(self._pack.entry(id))

    def put(self, record: Record) -> None:
        self.changes.put(record)

    def find_child(self, folder: Record, name: str) -> Record | None:
        """The file of this name in a folder."""
        if (record := self.changes.find_child(folder.id, name)) is not None and record.id != ROOT:
            return record
        if folder.id >= FIRST_NEW:
            return None
        packed = self._pack.find(self._pack.entry(folder.id), name)
        if packed is None or self.changes.has(packed.number):
            return None
        return Record.of(packed)

    def children(self, folder: Record) -> list[Record]:
        """What is in a folder, by name."""
        found = [record for record in self.changes.children(folder.id) if record.id != ROOT]
        if folder.id < FIRST_NEW:
            numbers = self._pack.entry(folder.id).children
            found += [Record.of(self._pack.entry(number)) for number in numbers if not self.changes.has(number)]
        return sorted(found, key=lambda record: record.name)

    def qid(self, record: Record) -> Qid:
        live = self._live.get(record.id)
        version = live.version if live else record.version
        return Qid(Mode.qid_type(record.mode), version & _VERSION, record.id)

    def stat(self, record: Record) -> Stat:
        length, mtime = self._measure(record)
        return Stat(
            qid=self.qid(record),
            mode=record.mode,
            name="/" if record.id == ROOT else record.name,
            length=length,
            atime=mtime,
            mtime=mtime,
            uid=record.uid,
            gid=record.gid,
            muid=record.muid,
        )

    def open(self, record: Record) -> Live:
        """The content of a file, until it is told to `leave`."""
        live = self._live.get(record.id)
        if live is not None and record.mode & Mode.EXCLUSIVE:
            raise NinepError(IN_USE)
        if live is None:
            live = self._live[record.id] = Live(record, self, self._pack, self._contents)
        live.users += 1
        return live

    def leave(self, live: Live) -> None:
        live.users -= 1
        if not live.users:
            if self._live.get(live.id) is live:
                del self._live[live.id]
            live.close()

    def create(self, folder: Record, name: str, mode: int, user: str) -> Record:
        """A new file, empty."""
        if self.find_child(folder, name) is not None:
            raise NinepError(EXISTS)
        now = self._now()
        fresh = Record(0, folder.id, name, mode, now, user, folder.gid, user)
        self._contents.charge(FILE_COST)
        try:
            with self.changes.together():
                self.changes.put(folder.touched(now, user))
                return self.changes.add(fresh)
        except BaseException:
            self._contents.charge(-FILE_COST)
            raise

    def remove(self, record: Record, user: str) -> None:
        """Take a file away; who has it open keeps its content until then."""
        if record.is_dir and self.children(record):
            raise NinepError(NOT_EMPTY)
        with self.changes.together():
            self.changes.drop(record.id)
            self.changes.put(self.get(record.parent).touched(self._now(), user))
        if record.id >= FIRST_NEW:
            self._contents.charge(-FILE_COST)
        if (live := self._live.get(record.id)) is not None:
            live.forget()
        elif record.owns_content:
            self._contents.remove(record.id)

    def change(self, record: Record, changed: Record, user: str, *, timed: bool = False) -> None:
        """Have another name, mode, time or group on record; `timed`: the time was asked for."""
        with self.changes.together():
            self.changes.put(changed)
            if changed.name != record.name:
                self.changes.put(self.get(record.parent).touched(self._now(), user))
        if timed and changed.owns_content:
            self._contents.set_time(record.id, changed.mtime)

    def sync(self, record: Record) -> None:
        """Have a file on stable storage."""
        self.changes.sync()
        if (live := self._live.get(record.id)) is not None:
            live.sync()

    def _measure(self, record: Record) -> tuple[int, int]:
        """Length and time: those of a content of its own are the content's."""
        if record.base is not None:
            return self._pack.entry(record.base).size, record.mtime
        live = self._live.get(record.id)
        found = None if record.is_dir else self._contents.stat(record.id)
        return found or (live.size if live else 0, record.mtime)

    def _now(self) -> int:
        return int(self._clock())
