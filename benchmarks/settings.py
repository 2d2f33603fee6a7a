"""settings: an appliance's settings applied while it runs, and a power cut at every step of writing them.

Promises: `weft config set` on a running machine takes 200 ms at most (median). Of 200 writers of a floppy that are
killed behind one of their system calls that change files, each call in its turn, none loses the last good revision.
"""

import argparse
import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.appliance import NAME, SCHEMA, add_appliance
from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize
from weft.image.floppy import create_floppy
from weft.image.settings import load_history, load_saved, save
from weft.model.errors import WeftError
from weft.plan.settings import Fit
from weft.plan.settings_file import Stamp

LIMIT = 200.0
OLD, NEW = 1400, 1300
FIRST = 25
"""More revisions than are kept, so that a save also deletes one."""
CALLS = (
    "write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,"
    "rename,renameat,renameat2,unlink,unlinkat,link,linkat,fsync,fdatasync,sync_file_range,chmod,fchmod,fchmodat,fchownat"
)
"""Whatever changes a file or a folder, or has it on disk."""
HELD_MS = 3
"""How long a writer stands still behind each of these calls, so that it is killed before the next."""
STEP = re.compile(rb"^\d+ +(<\.\.\. )?(%s)[ (]" % CALLS.replace(",", "|").encode())


class Writer:
    """One save under strace, in a pid namespace of its own: whoever kills its first process kills all of it at once."""

    def __init__(self, floppy: Path) -> None:
        reader, writer = os.pipe()
        trace = ["strace", "-f", "-q", "-o", f"/dev/fd/{writer}", "-e", f"trace={CALLS}"]
        trace += ["-e", f"inject={CALLS}:delay_exit={HELD_MS * 1000}"]
        python = [sys.executable, "-m", "benchmarks.harness.writer", str(floppy), str(FIRST), str(NEW)]
        self._process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child=SIGKILL", *trace, *python],
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        self._trace = os.fdopen(reader, "rb")

    def run(self, cut: int | None) -> list[bytes]:
        """The calls that were seen until the end, or until everything was killed behind the `cut`th."""
        steps = []
        for line in self._trace:
            if STEP.match(line):
                steps.append(line.strip())
                if len(steps) == cut:
                    self._process.send_signal(signal.SIGKILL)
                    break
        self._trace.close()
        self._process.wait(60)
        return steps


async def _make_floppy(folder: Path) -> Path:
    floppy = folder / "before.img"
    await create_floppy(floppy)
    for number in range(FIRST):
        await save(floppy, SCHEMA, Fit({"lan.mtu": OLD}), Stamp(revision=number), "a benchmark")
    return floppy


def make_floppy(folder: Path) -> Path:
    """A floppy with as many revisions as are kept."""
    return asyncio.run(_make_floppy(folder))


async def _judge(floppy: Path) -> str:
    """What is wrong with a floppy after a cut; empty when it has the old revision or the new one, and takes another."""
    try:
        saved, history = await load_saved(floppy), await load_history(floppy)
        found = (saved.document.stamp.revision, saved.document.values.get("lan.mtu"))
        if saved.damage or not saved.document.whole or found not in ((FIRST, OLD), (FIRST + 1, NEW)):
            return f"settings: {saved.damage or found}"
        if FIRST not in history or not all(document.whole for document in history.values()):
            return f"history: {sorted(history)}"
        stamp = await save(floppy, SCHEMA, Fit({"lan.mtu": NEW}), saved.document.stamp, "a benchmark")
        left = sorted(path.name for path in floppy.parent.iterdir())
        return "" if stamp.revision > FIRST and left == [floppy.name] else f"left behind: {left}"
    except WeftError as err:
        return str(err)


def judge(floppy: Path) -> str:
    """The same, for who has no loop."""
    return asyncio.run(_judge(floppy))


def cut_power(before: Path, folder: Path, cut: int | None) -> tuple[list[bytes], bool, str]:
    """One save on a copy, cut behind its `cut`th step: the steps, whether the new revision came, what is wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    floppy = folder / "floppy.img"
    shutil.copyfile(before, floppy)
    old = floppy.read_bytes()
    steps = Writer(floppy).run(cut)
    return steps, floppy.read_bytes() != old, judge(floppy)


def check_order(steps: list[bytes]) -> bool:
    """Whether the draft is on disk before it gets its name, and the name afterwards."""
    renames = [number for number, step in enumerate(steps) if b"rename" in step and b".img" in step]
    syncs = [number for number, step in enumerate(steps) if b"fsync" in step]
    (rename,) = renames
    return any(number < rename for number in syncs) and any(number > rename for number in syncs)


def measure_cuts(report: Report, count: int) -> None:
    """Kill writers behind every step."""
    with tempfile.TemporaryDirectory(prefix="weft-cuts-") as name:
        before, folder = make_floppy(Path(name)), Path(name) / "cut"
        steps, _, wrong = cut_power(before, folder, None)
        if wrong or not check_order(steps):
            raise RuntimeError(f"a save that was not cut: {wrong or 'not in order'}")
        outcomes: dict[str, int] = {"old": 0, "new": 0}
        lost = []
        for number in range(count):
            cut = 1 + number * len(steps) // count
            _, is_new, wrong = cut_power(before, folder, cut)
            outcomes["new" if is_new else "old"] += 1
            lost += [f"step {cut}: {wrong}"] if wrong else []
            if number % 20 == 19:
                say(f"  {number + 1} of {count} cuts, {len(lost)} lost")
    report.figures["cuts"] = {"steps": len(steps), "outcomes": outcomes, "lost": lost}
    report.promise(f"last good revision lost, of {count} writers that were killed", len(lost), 0)


def measure_live(report: Report, fabric: BenchFabric, count: int) -> None:
    """Change a setting of a machine that runs, again and again, by the command and by the API."""
    add_appliance(fabric.home)
    fabric.run_machine("gate", NAME)
    samples: dict[str, list[float]] = {"command": [], "request": [], "weft_ps_beside": []}
    for number in range(count):
        begin = time.perf_counter()
        fabric.weft("config", "set", "gate", f"lan.mtu={1400 + number}")
        middle = time.perf_counter()
        fabric.client.change_config("gate", {"lan.mtu": 1300 + number})
        samples["command"].append(1000 * (middle - begin))
        end = time.perf_counter()
        fabric.weft("ps")
        samples["request"].append(1000 * (end - middle))
        samples["weft_ps_beside"].append(1000 * (time.perf_counter() - end))
        if f"mtu {1300 + number} " not in fabric.execute("gate", "ip link show eth0"):
            raise RuntimeError("the setting was not applied")
    ms: dict[str, Any] = {name: summarize(values) for name, values in samples.items()}
    report.figures["live_ms"] = ms
    report.promise("weft config set on a running machine, median ms", ms["command"]["p50"], LIMIT)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="changes of a running machine")
    parser.add_argument("--cuts", type=int, default=200)
    options = parser.parse_args()
    report = Report("settings", vars(options))
    with open_bench_fabric() as fabric:
        measure_live(report, fabric, options.count)
    measure_cuts(report, options.cuts)
    report.publish()


if __name__ == "__main__":
    main()
