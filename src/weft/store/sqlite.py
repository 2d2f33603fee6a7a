"""The embedded store: one SQLite file in WAL mode.

A committed write survives the death of the process at any instant. `synchronous=NORMAL` leaves out the fsync per
commit: a power cut may take the last moments, but then the machines they spoke of are gone as well.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from weft.model.errors import Exists, Unavailable, WrongState
from weft.store.contract import ABSENT, Change, Entry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 0);
"""


class SqliteStore:
    """`Store` on a file. A write takes some 50 µs and is done in the event loop: a thread would cost more."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises Unavailable when the file cannot be opened or is no database."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}")
        except sqlite3.Error as err:
            raise Unavailable(f"store {path}: {err}") from err
        self._watches: list[tuple[str, asyncio.Queue[Change | None]]] = []

    async def get(self, key: str) -> Entry | None:
        row = self._db.execute("SELECT key, value, revision FROM entries WHERE key = ?", (key,)).fetchone()
        return Entry(*row) if row else None

    async def list(self, prefix: str) -> list[Entry]:
        query = "SELECT key, value, revision FROM entries WHERE substr(key, 1, ?) = ? ORDER BY key"
        return [Entry(*row) for row in self._db.execute(query, (len(prefix), prefix))]

    async def put(self, key: str, value: bytes, *, expect: int | None = None) -> Entry:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._check(key, expect)
            self._db.execute("UPDATE counter SET revision = revision + 1")
            (revision,) = self._db.execute("SELECT revision FROM counter").fetchone()
            self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (key, value, revision))
        entry = Entry(key, value, revision)
        self._tell(Change(key, entry))
        return entry

    async def delete(self, key: str, *, expect: int | None = None) -> bool:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._check(key, expect)
            gone = self._db.execute("DELETE FROM entries WHERE key = ?", (key,)).rowcount > 0
        if gone:
            self._tell(Change(key, None))
        return gone

    async def watch(self, prefix: str) -> AsyncIterator[Change]:
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._watches.append((prefix, queue))
        try:
            while (change := await queue.get()) is not None:
                yield change
        finally:
            self._watches.remove((prefix, queue))

    async def close(self) -> None:
        for _, queue in self._watches:
            queue.put_nowait(None)
        self._db.close()

    def _check(self, key: str, expect: int | None) -> None:
        if expect is None:
            return
        row = self._db.execute("SELECT revision FROM entries WHERE key = ?", (key,)).fetchone()
        found = row[0] if row else ABSENT
        if found == expect:
            return
        if expect == ABSENT:
            raise Exists(f"{key} exists already")
        raise WrongState(f"{key} was changed by somebody else (revision {found}, expected {expect})")

    def _tell(self, change: Change) -> None:
        for prefix, queue in self._watches:
            if change.key.startswith(prefix):
                queue.put_nowait(change)
