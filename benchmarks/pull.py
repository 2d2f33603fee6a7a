"""Pulling an image from a registry on the loopback, against `skopeo copy` of the same to a folder.

Promise: at least 0.7 times skopeo's speed. Both fetch every blob and compare it with its digest; skopeo does not wait
until its files are on disk, Weft does. The two take turns, each into an empty place. Beside it: the whole pull, with
the root file system that a machine boots from, which skopeo does not make.
"""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.host.registries import LocalRegistry, make_layer, make_sample, open_registry

from benchmarks.harness.report import Report, say, summarize
from weft.image.oci.blobs import BlobStore
from weft.image.oci.pull import fetch_content, find_manifest, pull_image
from weft.image.oci.registry import Access
from weft.image.oci.registry import open_registry as open_remote
from weft.image.progress import ignore_progress
from weft.image.store import ImageStore
from weft.model.reference import parse_reference

LIMIT = 1 / 0.7
FILE = 1 << 20


def make_content(size: int) -> dict[str, bytes]:
    """Files that half compress, always the same."""
    chance = random.Random(size)
    return {f"data/{number}": chance.randbytes(FILE // 2) + bytes(FILE // 2) for number in range(size // FILE)}


def put_image(registry: LocalRegistry, size: int, layers: int) -> str:
    """An image whose layers together are about `size` bytes on the line."""
    contents = list(make_content(2 * size).items())
    share = len(contents) // layers
    return registry.put(
        make_sample(make_layer(dict(contents[n * share : (n + 1) * share])) for n in range(layers)), "big"
    )


async def fetch(reference: str, home: Path) -> None:
    """Every blob, verified, on disk."""
    parsed, blobs = parse_reference(reference), BlobStore(home)
    async with open_remote(parsed, Access()) as remote:
        manifest, _ = await find_manifest(remote, parsed)
        await fetch_content(remote, blobs, manifest, ignore_progress)


async def pull(reference: str, home: Path) -> None:
    """An image that could be run."""
    await pull_image(parse_reference(reference), ImageStore(home), BlobStore(home), Access(), ignore_progress)


def copy(reference: str, folder: Path) -> None:
    """The same by skopeo."""
    command = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false"]
    subprocess.run([*command, f"docker://{reference}", f"dir:{folder}"], check=True)


def measure(reference: str, place: Path, count: int) -> dict[str, list[float]]:
    """Seconds of each kind; the first round, which fills caches, does not count."""
    works: dict[str, Callable[[Path], None]] = {
        "skopeo": lambda target: copy(reference, target),
        "weft": lambda target: asyncio.run(fetch(reference, target)),
        "weft_with_root": lambda target: asyncio.run(pull(reference, target)),
    }
    samples: dict[str, list[float]] = {name: [] for name in works}
    for number in range(count + 1):
        for name, work in works.items():
            os.sync()  # what others wrote is not paid for by whoever comes next
            begin = time.perf_counter()
            work(place / name)
            seconds = time.perf_counter() - begin
            shutil.rmtree(place / name)
            if number:
                samples[name].append(seconds)
                say(f"  {name} {seconds:.3f} s")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description="Pull from a loopback registry against skopeo copy.")
    parser.add_argument("--count", type=int, default=7, help="pulls of each kind")
    parser.add_argument("--size", type=int, default=200, help="of the image on the line, in MB")
    parser.add_argument("--layers", type=int, default=5)
    options = parser.parse_args()
    report = Report("pull", vars(options))
    with (
        tempfile.TemporaryDirectory(prefix="weft-bench-") as folder,
        open_registry(Path(folder) / "registry") as registry,
    ):
        reference = put_image(registry, options.size * 1_000_000, options.layers)
        samples = measure(reference, Path(folder), options.count)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    report.figures = {
        "seconds": {name: summarize(values, 3) for name, values in samples.items()},
        "speed_against_skopeo": round(medians["skopeo"] / medians["weft"], 3),
        "speed_with_root": round(medians["skopeo"] / medians["weft_with_root"], 3),
    }
    report.promise("pull / skopeo copy to a folder, medians", medians["weft"] / medians["skopeo"], LIMIT)
    report.publish()


if __name__ == "__main__":
    main()
