"""filetree: how soon an event is read from the fabric's files after it happened.

Promise: 10 ms at most, of one reader and of many. An event has the time at which it was published, to a microsecond, by
the clock that the reader looks at as well. Each is caused by a change of a machine's labels. In turns with them the
daemon is asked for its version, which shows what the host adds to whatever takes a moment.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.harness.fabric import open_bench_fabric
from benchmarks.harness.report import Report, percentile, say, summarize
from weft.client import Client
from weft.filetree.words import split_words
from weft.ninep.client import NinepClient, RemoteFile, open_client

LIMIT = 10.0
PAUSE = 0.02
"""Seconds between two events: so that each finds everybody waiting."""


async def measure(home: Path, client: Client, readers: int, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each event until each reader has it, and that a question for the version takes."""
    lags: list[float] = []
    questions: list[float] = []
    async with open_client(f"unix!{home / '9p.sock'}") as files, open_readers(files, readers) as opened:
        for number in range(count):
            reading = [asyncio.create_task(read_lag(file)) for file in opened]
            await asyncio.sleep(PAUSE)
            await asyncio.to_thread(client.update_machine, "m", {"labels": {"n": str(number)}})
            lags += await asyncio.gather(*reading)
            questions.append(await asyncio.to_thread(time_version, client))
    return lags, questions


def time_version(client: Client) -> float:
    """Milliseconds that the answer takes."""
    begin = time.perf_counter()
    client.version()
    return (time.perf_counter() - begin) * 1000


@asynccontextmanager
async def open_readers(files: NinepClient, count: int) -> AsyncIterator[list[RemoteFile]]:
    """`event`, open so many times."""
    opened = [await files.walk("event") for _ in range(count)]
    for file in opened:
        await file.open()
    yield opened
    for file in opened:
        await file.clunk()


async def read_lag(file: RemoteFile) -> float:
    """Milliseconds that the event which a read waits for is old when it is there."""
    line = await file.read()
    return (time.time() - float(split_words(line.decode())[1])) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="Events through blocking reads of the fabric's files.")
    parser.add_argument("--count", type=int, default=300, help="events for each number of readers")
    parser.add_argument("--readers", type=int, default=20, help="how many wait at once, beside a run with one")
    options = parser.parse_args()
    report = Report("filetree", vars(options))
    with open_bench_fabric() as fabric:
        fabric.client.create_machine({"name": "m", "image": "base"}, start=False)
        for readers in (1, options.readers):
            lags, questions = asyncio.run(measure(fabric.home, fabric.client, readers, options.count))
            say(f"  {readers} readers: p99 {percentile(lags, 99):.2f} ms")
            report.figures[f"ms_{readers}"] = {**summarize(lags), "p95": percentile(lags, 95)}
            report.figures[f"version_ms_{readers}"] = {**summarize(questions), "p95": percentile(questions, 95)}
            report.promise(f"event to the end of the read, {readers} readers, p99, ms", percentile(lags, 99), LIMIT)
    report.publish()


if __name__ == "__main__":
    main()
