"""Container images: `weft run -d` of a 5 MB and a 200 MB image that are there, against bare QEMU with the same root.

Promises: 1.3 times bare QEMU at most, each; and the large image takes at most 1.2 times as long as the small one. The
images have one static program, and the rest of their size in files that do not compress. All take turns.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.host.registries import BUSYBOX, Sample, make_layer, make_sample

from benchmarks.harness.bare import find_twin, time_bare_boot
from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize

MACHINE, LIMIT, SPREAD = "machine", 1.3, 1.2
SIZES = {"small": 5 << 20, "large": 200 << 20}
FILE = 1 << 20
CONFIG = {"Entrypoint": ["/bin/busybox"], "Cmd": ["sleep", "1000"]}


def make_image(size: int) -> Sample:
    """An image of so many bytes: busybox, and files of a megabyte."""
    chance = random.Random(size)
    program = BUSYBOX.read_bytes()
    left = max(0, size - len(program))
    files = {f"data/{number}": chance.randbytes(min(FILE, left - start)) for number, start in _cut(left)}
    return make_sample([make_layer({"bin/busybox": program}), make_layer(files)], CONFIG, kind="tar")


def _cut(size: int) -> list[tuple[int, int]]:
    return list(enumerate(range(0, size, FILE)))


def add_images(fabric: BenchFabric, folder: Path) -> None:
    for name, size in SIZES.items():
        layout = make_image(size).write_layout(folder / name)
        fabric.weft("image", "import", "-t", name, str(layout))


def time_command(fabric: BenchFabric, image: str) -> float:
    """Seconds that `weft run -d` takes: it returns when the agent says that the entry point runs."""
    begin = time.perf_counter()
    fabric.weft("run", "-d", "--name", MACHINE, image)
    return time.perf_counter() - begin


def measure(fabric: BenchFabric, count: int) -> dict[str, list[float]]:
    """Seconds of each kind. The first round, which fills caches and makes the network, does not count."""
    samples: dict[str, list[float]] = {f"{kind}_{name}": [] for name in SIZES for kind in ("run", "bare")}
    for number in range(count + 1):
        for name in SIZES:
            run = time_command(fabric, name)
            twin = find_twin(fabric, MACHINE)
            fabric.client.remove_machine(MACHINE, force=True)
            bare = time_bare_boot(twin, fabric.home / "bare", fabric.keeper)
            say(f"  {name}: weft run {run:.3f} s, bare {bare:.3f} s")
            if number:
                samples[f"run_{name}"].append(run)
                samples[f"bare_{name}"].append(bare)
    return samples


def promise(report: Report, medians: Mapping[str, float]) -> None:
    for name in SIZES:
        report.promise(f"weft run / bare QEMU, {name} image", medians[f"run_{name}"] / medians[f"bare_{name}"], LIMIT)
    report.promise("weft run, large / small image", medians["run_large"] / medians["run_small"], SPREAD)


def main() -> None:
    parser = argparse.ArgumentParser(description="weft run of container images against bare QEMU.")
    parser.add_argument("--count", type=int, default=15, help="boots of each kind")
    options = parser.parse_args()
    report = Report("oci_boot", vars(options))
    with open_bench_fabric() as fabric, tempfile.TemporaryDirectory() as folder:
        add_images(fabric, Path(folder))
        samples = measure(fabric, options.count)
    report.figures = {"seconds": {name: summarize(values, 3) for name, values in samples.items()}}
    promise(report, {name: statistics.median(values) for name, values in samples.items()})
    report.publish()


if __name__ == "__main__":
    main()
