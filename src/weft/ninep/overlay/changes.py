"""What a machine has changed of its root, on record: one row for each file that is new, or not as the image has it.

A row takes the place of the image's file of the same number, wherever it is; so a folder that is called otherwise, or a
file that is gone, costs one row and no copy. SQLite makes each change whole, at whatever moment the server ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from weft.ninep.pack import MOST_FILES, Packed
from weft.ninep.words import Mode

FIRST_NEW = MOST_FILES
"""Numbers below are those of the image's files. No number is given twice."""
_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    parent INTEGER, -- NULL: the image has it, and it is no more
    name TEXT, mode INTEGER, mtime INTEGER, uid TEXT, gid TEXT, muid TEXT, version INTEGER,
    base INTEGER -- the image's file whose content it has; NULL: its own
);
CREATE UNIQUE INDEX IF NOT EXISTS place ON file (parent, name);
INSERT INTO sqlite_sequence SELECT 'file', {FIRST_NEW} WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence);
"""
_COLUMNS = ("parent", "name", "mode", "mtime", "uid", "gid", "muid", "version", "base")
_FIELDS = f"id, {', '.join(_COLUMNS)}"
_PUT = f"""
INSERT INTO file ({_FIELDS}) VALUES (?{", ?" * len(_COLUMNS)})
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in _COLUMNS)}
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A file as it is now. `version` is at least that of its qid, and what its qid begins with in the next run."""

    id: int
    parent: int
    name: str
    mode: int
    mtime: int
    uid: str
    gid: str
    muid: str
    version: int = 0
    base: int | None = None

    @classmethod
    def of(cls, file: Packed) -> "Record":
        """A file that is as the image has it."""
        base = None if file.is_dir else file.number
        return cls(file.number, file.parent, file.name, file.mode, file.mtime, file.uid, file.gid, file.uid, base=base)

    @property
    def is_dir(self) -> bool:
        return bool(self.mode & Mode.DIR)

    @property
    def owns_content(self) -> bool:
        return self.base is None and not self.is_dir

    def touched(self, now: int, user: str) -> "Record":
        """Changed now, by this user."""
        return replace(self, mtime=now, muid=user, version=self.version + 1)


class Changes:
    """The rows of one machine, in the file at `path`. Which files have some is known without a look there."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._ids: set[int] = set()
        self._parents: set[int] = set()
        """Those of which some child has a row, or had one in this run."""
        self._learn()

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is changed meanwhile is changed all, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._learn()
            raise
        self._db.execute("COMMIT")

    def find(self, id: int) -> Record | None:
        """The row of a file that has one and is there."""
        return self._find("id = ? AND parent IS NOT NULL", id) if id in self._ids else None

    def find_child(self, parent: int, name: str) -> Record | None:
        return self._find("parent = ? AND name = ?", parent, name) if parent in self._parents else None

    def children(self, parent: int) -> list[Record]:
        if parent not in self._parents:
            return []
        return [Record(*row) for row in self._db.execute(f"SELECT {_FIELDS} FROM file WHERE parent = ?", (parent,))]

    def has(self, id: int) -> bool:
        """Whether a file of the image is otherwise now, or gone."""
        return id in self._ids

    def owners(self) -> Iterator[int]:
        """The files that have contents of their own."""
        rows = self._db.execute("SELECT id FROM file WHERE base IS NULL AND parent IS NOT NULL")
        return (id for (id,) in rows)

    def count_new(self) -> int:
        """How many files there are that the image does not have."""
        return int(self._db.execute("SELECT count(*) FROM file WHERE id >= ?", (FIRST_NEW,)).fetchone()[0])

    def add(self, record: Record) -> Record:
        """Put a new file on record; its number is chosen."""
        id = self._db.execute(_PUT, (None, *_values(record))).lastrowid
        assert id is not None
        self._note(id, record.parent)
        return replace(record, id=id)

    def put(self, record: Record) -> None:
        """Put a file on record as it is now."""
        self._db.execute(_PUT, (record.id, *_values(record)))
        self._note(record.id, record.parent)

    def drop(self, id: int) -> None:
        """A file is gone."""
        self._db.execute("DELETE FROM file WHERE id = ?", (id,))
        self._parents.discard(id)
        if id < FIRST_NEW:
            self._db.execute("INSERT INTO file (id) VALUES (?)", (id,))
            self._ids.add(id)
        else:
            self._ids.discard(id)

    def sync(self) -> None:
        """Have everything on stable storage."""
        self._db.execute("PRAGMA wal_checkpoint(FULL)")

    def _learn(self) -> None:
        """What is known without a look is what the rows say."""
        rows = self._db.execute("SELECT id, parent FROM file").fetchall()
        self._ids = {id for id, _ in rows}
        self._parents = {parent for _, parent in rows if parent is not None}

    def _note(self, id: int, parent: int) -> None:
        self._ids.add(id)
        self._parents.add(parent)

    def _find(self, condition: str, *values: object) -> Record | None:
        row = self._db.execute(f"SELECT {_FIELDS} FROM file WHERE {condition}", values).fetchone()
        return Record(*row) if row else None


def _values(record: Record) -> tuple[object, ...]:
    return tuple(getattr(record, column) for column in _COLUMNS)
