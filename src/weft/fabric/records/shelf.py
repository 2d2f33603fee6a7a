"""Shelves: the records of one kind, in memory and in the store."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.records.pool import CopyRecord, PoolRecord
from weft.fabric.records.room import RoomRecord
from weft.fabric.records.volume import VolumeRecord
from weft.model.errors import NotFound
from weft.store.contract import Store

R = TypeVar("R", MachineRecord, NetworkRecord, InsertRecord, VolumeRecord, PoolRecord, CopyRecord, RoomRecord)


class Shelf(Generic[R]):
    """All records of one kind, in memory and in the store."""

    def __init__(self, store: Store, prefix: str, kind: type[R]) -> None:
        self._store = store
        self._prefix = prefix
        self._kind: type[R] = kind
        self._records: dict[str, R] = {}

    @property
    def what(self) -> str:
        """The kind's name for messages: `machine`."""
        return self._prefix.rpartition("/")[2].rstrip("s")

    async def load(self) -> None:
        """Read everything the store has. Keys that go on behind a name are other shelves'."""
        for entry in await self._store.list(f"{self._prefix}/"):
            if "/" in entry.key.removeprefix(f"{self._prefix}/"):
                continue
            record = self._kind.model_validate_json(entry.value)
            self._records[record.name] = record

    def find(self, name: str) -> R | None:
        return self._records.get(name)

    def get(self, name: str) -> R:
        """The record. Raises NotFound."""
        record = self._records.get(name)
        if record is None:
            raise NotFound(f"{self.what} {name!r} does not exist", hint=self._closest(name))
        return record

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def _key(self, name: str) -> str:
        """A slash in a name, as images have, would be another shelf's key."""
        return f"{self._prefix}/{name.replace('/', '%2F')}"

    async def save(self, record: R) -> R:
        """Write through; afterwards this is the record."""
        await self._store.put(self._key(record.name), record.model_dump_json().encode())
        self._records[record.name] = record
        return record

    async def drop(self, name: str) -> None:
        """Forget it."""
        await self._store.delete(self._key(name))
        self._records.pop(name, None)

    def _closest(self, name: str) -> str | None:
        from difflib import get_close_matches

        close = get_close_matches(name, self._records, n=1)
        return f"did you mean {close[0]}?" if close else None
