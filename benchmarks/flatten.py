"""Flattening: the layers of an image to a root, against `umoci raw unpack` of the same image.

Promise: at least half its speed on an image of 200 MB, with the same content and metadata. The two take turns. The
image is made of files of this host's /usr: several layers, gzip, with links, whiteouts and replaced files.
"""

import argparse
import asyncio
import gzip
import io
import itertools
import os
import random
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.host.umoci import Seen, look, unpack, write_layout

from benchmarks.harness.report import Report, say, summarize
from weft.image.flatten import write_root

LIMIT = 2.0
SOURCES = ("/usr/bin", "/usr/lib/python3", "/usr/lib/x86_64-linux-gnu", "/usr/share")
LEVEL = 6
"""Of gzip: what registries' layers mostly have."""


def find_files(size: int) -> list[Path]:
    """Files and links of this host, of all sizes, mixed as chance has it but always the same; `size` bytes together."""
    paths = [path for source in SOURCES for path in sorted(Path(source).rglob("*"))]
    random.Random(1).shuffle(paths)
    chosen, total = [], 0
    for path in paths:
        if total >= size:
            break
        if path.is_symlink() or (path.is_file() and path.stat().st_size < size // 10):
            chosen.append(path)
            total += path.lstat().st_size
    return sorted(chosen)


def make_layers(size: int, count: int) -> list[bytes]:
    """The first layer has half of the image; each of the others replaces, hides and adds some files."""
    files = find_files(size)
    cuts = [0, len(files) // 2, *(len(files) * (count + number) // (2 * count) for number in range(1, count))]
    cuts[-1] = len(files)
    layers = []
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        layers.append(gzip.compress(dump_layer(files[start:end], files[: start // 50], number), LEVEL, mtime=0))
    return layers


def dump_layer(files: list[Path], below: list[Path], number: int) -> bytes:
    """A layer with these files and their folders, which hides and replaces some of those below it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted({parent for path in files for parent in path.parents}):
            archive.add(folder, recursive=False)
        for path in files:
            archive.add(path, recursive=False)
        for path in below[number::7]:
            archive.addfile(tarfile.TarInfo(str(path.parent / f".wh.{path.name}")))
        for path in below[number + 1 :: 7]:
            info = tarfile.TarInfo(str(path))
            info.size = 5
            archive.addfile(info, io.BytesIO(b"other"))
    return buffer.getvalue()


def time_umoci(layout: Path, folder: Path) -> float:
    begin = time.perf_counter()
    if (error := unpack(layout, folder)) is not None:
        raise SystemExit(error)
    return time.perf_counter() - begin


def time_weft(layers: list[Path], path: Path) -> float:
    begin = time.perf_counter()
    asyncio.run(write_root(layers, path))
    return time.perf_counter() - begin


def drop(folder: Path, root: Path) -> None:
    subprocess.run(["rm", "-rf", folder], check=True)
    root.unlink()


def compare(folder: Path, root: Path, scratch: Path) -> int:
    """How many paths are not the same in both."""
    subprocess.run(["unsquashfs", "-q", "-n", "-d", scratch, root], check=True, capture_output=True)
    ours, theirs = look(scratch), look(folder)
    different = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    for name in different[:5]:
        say(f"  different: {name}: {short(ours.get(name))} / {short(theirs.get(name))}")
    return len(different)


def short(seen: Seen | None) -> str:
    return (
        "missing" if seen is None else f"{seen.kind} {seen.mode:o} {seen.owner} {seen.mtime} {len(seen.content)} bytes"
    )


def measure(scratch: Path, options: argparse.Namespace) -> Iterator[tuple[float, float, int]]:
    """Seconds of umoci and of Weft, and how many paths differ. The first round, which fills caches, does not count."""
    say("  making the image")
    layers = make_layers(options.size << 20, options.layers)
    layout = scratch / "layout"
    write_layout(layout, layers, "application/vnd.oci.image.layer.v1.tar+gzip")
    paths = []
    for number, layer in enumerate(layers):
        paths.append(scratch / f"layer{number}")
        paths[-1].write_bytes(layer)
    os.sync()
    for number in range(options.count + 1):
        folder, root = scratch / "umoci", scratch / "root.squashfs"
        umoci, weft = time_umoci(layout, folder), time_weft(paths, root)
        if number:
            yield umoci, weft, compare(folder, root, scratch / "unsquashed") if number == options.count else 0
        drop(folder, root)


def main() -> None:
    parser = argparse.ArgumentParser(description="Flattening against umoci raw unpack.")
    parser.add_argument("--count", type=int, default=10, help="runs of each kind")
    parser.add_argument("--size", type=int, default=200, help="MiB of files in the image")
    parser.add_argument("--layers", type=int, default=5)
    options = parser.parse_args()
    report = Report("flatten", vars(options))
    umoci, weft, different = [], [], 0
    with tempfile.TemporaryDirectory(prefix="weft-flatten-") as scratch:
        for theirs, ours, paths in measure(Path(scratch), options):
            say(f"  umoci {theirs:.2f} s, weft {ours:.2f} s")
            umoci.append(theirs)
            weft.append(ours)
            different += paths
    report.figures = {"seconds": {"umoci": summarize(umoci), "weft": summarize(weft)}}
    report.promise("weft / umoci raw unpack, medians", statistics.median(weft) / statistics.median(umoci), LIMIT)
    report.promise("paths that differ", different, 0)
    report.publish()


if __name__ == "__main__":
    main()
