"""What a store owes, whoever implements it; and what the embedded one owes when its process dies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from weft.model.errors import Exists, Unavailable, WrongState
from weft.store.contract import ABSENT, Change, Store
from weft.store.sqlite import SqliteStore


@pytest.fixture(params=[SqliteStore], ids=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Every implementation, opened from a folder of its own."""
    opened: Store = request.param(tmp_path / "store")
    yield opened
    await opened.close()


async def test_what_was_put_is_got(store: Store) -> None:
    assert await store.get("machines/web") is None
    put = await store.put("machines/web", b"\0one")
    assert (put.key, put.value) == ("machines/web", b"\0one")
    assert await store.get("machines/web") == put
    again = await store.put("machines/web", b"two")
    assert await store.get("machines/web") == again
    assert await store.get("machines") is None


async def test_revisions_grow_over_the_whole_store_and_are_never_used_twice(store: Store) -> None:
    revisions = [(await store.put(key, b"")).revision for key in ("a", "b", "a", "c")]
    await store.delete("c")
    revisions.append((await store.put("c", b"")).revision)
    assert revisions[0] > ABSENT
    assert all(one < next_one for one, next_one in pairwise(revisions))


async def test_a_list_is_what_begins_with_the_prefix_in_order(store: Store) -> None:
    for key in ("machines/web", "machines/db", "machines", "machinesx/a", "networks/lan", "machines/%", "machines/_a"):
        await store.put(key, key.encode())
    assert [entry.key for entry in await store.list("machines/")] == [
        "machines/%",
        "machines/_a",
        "machines/db",
        "machines/web",
    ]
    assert [entry.value for entry in await store.list("networks/")] == [b"networks/lan"]
    assert await store.list("machines/%x") == []
    assert len(await store.list("")) == 7


async def test_a_deleted_key_is_gone(store: Store) -> None:
    await store.put("a", b"1")
    assert await store.delete("a") is True
    assert await store.get("a") is None
    assert await store.delete("a") is False


async def test_only_one_of_two_makes_a_key(store: Store) -> None:
    first = await store.put("a", b"1", expect=ABSENT)
    with pytest.raises(Exists):
        await store.put("a", b"2", expect=ABSENT)
    assert await store.get("a") == first


async def test_only_one_of_two_changes_a_key(store: Store) -> None:
    seen = await store.put("a", b"1")
    won = await store.put("a", b"2", expect=seen.revision)
    with pytest.raises(WrongState):
        await store.put("a", b"3", expect=seen.revision)
    with pytest.raises(WrongState):
        await store.delete("a", expect=seen.revision)
    with pytest.raises(WrongState):
        await store.put("b", b"", expect=seen.revision)
    assert await store.get("a") == won
    assert await store.get("b") is None
    assert await store.delete("a", expect=won.revision) is True


async def test_a_refused_write_leaves_no_trace(store: Store) -> None:
    seen = await store.put("a", b"1")
    with pytest.raises(WrongState):
        await store.put("a", b"2", expect=seen.revision + 1)
    assert await store.get("a") == seen
    after = await store.put("a", b"3", expect=seen.revision)
    assert after.revision > seen.revision


async def test_a_watch_tells_changes_below_its_prefix_in_order(store: Store) -> None:
    await store.put("machines/old", b"")
    watching = asyncio.ensure_future(_collect(store, "machines/", 4))
    await asyncio.sleep(0)  # until the watch is begun
    web = await store.put("machines/web", b"1")
    await store.put("networks/lan", b"")
    newer = await store.put("machines/web", b"2")
    await store.delete("machines/nobody")
    await store.delete("machines/web")
    db = await store.put("machines/db", b"")
    assert await asyncio.wait_for(watching, 5) == [
        Change("machines/web", web),
        Change("machines/web", newer),
        Change("machines/web", None),
        Change("machines/db", db),
    ]


async def _collect(store: Store, prefix: str, count: int) -> list[Change]:
    found: list[Change] = []
    async for change in store.watch(prefix):
        found.append(change)
        if len(found) == count:
            break
    return found


async def test_closing_ends_every_watch(store: Store) -> None:
    watching = [asyncio.ensure_future(_collect(store, prefix, 99)) for prefix in ("", "machines/")]
    await asyncio.sleep(0)
    await store.put("machines/web", b"")
    await store.close()
    assert [len(found) for found in await asyncio.wait_for(asyncio.gather(*watching), 5)] == [1, 1]


async def test_a_file_keeps_everything_from_one_opening_to_the_next(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "weft.db")
    put = await first.put("a", b"1")
    await first.close()
    second = SqliteStore(tmp_path / "weft.db")
    assert await second.get("a") == put
    assert (await second.put("a", b"2")).revision > put.revision
    await second.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weft.db").write_bytes(b"not a database at all, but long enough to be looked at\n" * 50)
    with pytest.raises(Unavailable, match="file is not a database"):
        SqliteStore(tmp_path / "weft.db")
    with pytest.raises(Unavailable):
        SqliteStore(tmp_path / "no" / "weft.db")


WRITER = """
import asyncio, sys
from pathlib import Path
from weft.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    for number in range(1_000_000):
        entry = await store.put(f"keys/{number % 50}", b"%d" % number * 20)
        print(number, entry.revision, flush=True)

asyncio.run(main())
"""


def write_until_killed(file: Path, after: int) -> int:
    """The last write that a process told of, which is killed some time after it told of this many."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(after)]
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.stdout.read().splitlines(keepends=True)
    whole = [line for line in said if line.endswith(b"\n")]
    return int(whole[-1].split()[0])


@pytest.mark.parametrize("after", [1, 7, 60, 500, 2000])
async def test_a_process_killed_while_it_writes_loses_nothing_it_had_committed(tmp_path: Path, after: int) -> None:
    file = tmp_path / "weft.db"
    told = await asyncio.to_thread(write_until_killed, file, after)
    store = SqliteStore(file)
    entries = {entry.key: entry for entry in await store.list("keys/")}
    last = max(int(entry.value[: len(entry.value) // 20]) for entry in entries.values())
    assert last in (told, told + 1), "the last write may be done but not told; one that was told is there"
    for number in range(max(0, last - 49), last + 1):
        assert entries[f"keys/{number % 50}"].value == b"%d" % number * 20
    assert (await store.put("next", b"")).revision > max(entry.revision for entry in entries.values())
    await store.close()
