"""The contract of a store: small values under keys like `machines/web`, each with a revision.

Nothing above may assume that the store is on this host or that only one process writes to it: hence the revisions,
compare-and-set and `watch`. One suite of tests holds every implementation to it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and the revision that wrote it. Revisions grow over the whole store and are never used twice."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """A key was written (`entry`) or deleted (None)."""

    key: str
    entry: Entry | None


ABSENT = 0
"""As `expect`: the key must not exist yet."""


class Store(Protocol):
    async def get(self, key: str) -> Entry | None:
        """The entry, or None."""

    async def list(self, prefix: str) -> list[Entry]:
        """All entries whose key starts with `prefix`, ordered by key."""

    async def put(self, key: str, value: bytes, *, expect: int | None = None) -> Entry:
        """Write, and return the new entry. With `expect` only if the key is still at that revision (or `ABSENT`).

        Raises Exists when it should have been absent, WrongState when the revision is another one.
        """

    async def delete(self, key: str, *, expect: int | None = None) -> bool:
        """Delete; whether it was there. Raises WrongState as `put` does."""

    def watch(self, prefix: str) -> AsyncIterator[Change]:
        """Changes below `prefix` from now on, in order. Ends when the store is closed."""

    async def close(self) -> None:
        """End all watches and release the store."""
