"""Images of containers as machines: `weft run -d` of a small and a large one that are here, against bare QEMU.

Promise: from the command to the entry point started 1.3 times bare QEMU with the same root at most, and for an image of
200 MB no more than 20 % longer than for one of 5 MB. All four take turns. Both images have the same entry point, a
static busybox; the rest is files of this host. The guest's init starts the entry point before it answers, so both
clocks end with that answer: for bare QEMU on the agent's socket, for Weft when the command is through.
"""

import argparse
import gzip
import io
import itertools
import statistics
import tarfile
import tempfile
import time
from pathlib import Path

from tests.host.umoci import write_layout

from benchmarks.flatten import find_files
from benchmarks.harness.bare import Twin, find_twin, time_bare_boot
from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize

MACHINE, BUSYBOX = "machine", Path("/bin/busybox")
SIZES = {"small": 5 << 20, "large": 200 << 20}
LIMIT_BARE, LIMIT_SIZE = 1.3, 1.2
LAYERS, LEVEL = 4, 6
PROGRAM = {"Entrypoint": ["/bin/busybox"], "Cmd": ["sleep", "1000000"]}


def import_image(fabric: BenchFabric, name: str, size: int) -> None:
    """Make an image of so many bytes, and have it in the fabric."""
    rest = find_files(size - BUSYBOX.stat().st_size)
    cuts = [len(rest) * number // LAYERS for number in range(LAYERS + 1)]
    layers = [dump_layer(rest[start:end]) for start, end in itertools.pairwise(cuts)]
    layers.insert(0, dump_layer([], busybox=True))
    with tempfile.TemporaryDirectory(prefix="weft-oci-") as folder:
        layout = Path(folder) / "layout"
        write_layout(layout, layers, "application/vnd.oci.image.layer.v1.tar+gzip", PROGRAM)
        fabric.weft("image", "import", str(layout), "--tag", name)


def dump_layer(files: list[Path], *, busybox: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        if busybox:
            archive.add(BUSYBOX.resolve(), "bin/busybox")
        for path in files:
            archive.add(path, recursive=False)
    return gzip.compress(buffer.getvalue(), LEVEL, mtime=0)


def time_command(fabric: BenchFabric, image: str) -> tuple[float, Twin]:
    """Seconds that `weft run -d` takes, and what it started; the machine is gone afterwards."""
    begin = time.perf_counter()
    fabric.weft("run", "-d", "--name", MACHINE, image)
    seconds = time.perf_counter() - begin
    twin = find_twin(fabric, MACHINE)
    if twin.view["state"] != "running":  # it ends with its entry point
        raise SystemExit(f"the machine of {image} is {twin.view['state']}")
    fabric.client.remove_machine(MACHINE, force=True)
    return seconds, twin


def measure(fabric: BenchFabric, count: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each kind for each image. The first round, which fills caches, does not count."""
    samples = {name: {"weft": list[float](), "bare": list[float]()} for name in SIZES}
    for number in range(count + 1):
        for image in SIZES:
            weft, twin = time_command(fabric, image)
            bare = time_bare_boot(twin, fabric.home / "bare", fabric.keeper)
            if number:
                samples[image]["weft"].append(weft)
                samples[image]["bare"].append(bare)
                say(f"  {image}: weft {weft:.3f} s, bare {bare:.3f} s")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description="Container images as machines, against bare QEMU.")
    parser.add_argument("--count", type=int, default=20, help="boots of each kind and image")
    options = parser.parse_args()
    report = Report("oci_run", vars(options))
    with open_bench_fabric() as fabric:
        for name, size in SIZES.items():
            say(f"  making image {name}")
            import_image(fabric, name, size)
        sizes = {image["name"]: image["size"] for image in fabric.client.images() if image["name"] in SIZES}
        samples = measure(fabric, options.count)
    medians = {
        name: {kind: statistics.median(values) for kind, values in kinds.items()} for name, kinds in samples.items()
    }
    report.figures = {
        "seconds": {name: {k: summarize(v, 3) for k, v in kinds.items()} for name, kinds in samples.items()},
        "root_bytes": sizes,
    }
    for name, kinds in medians.items():
        report.promise(f"weft run of the {name} image / bare QEMU, medians", kinds["weft"] / kinds["bare"], LIMIT_BARE)
    report.promise("large / small image, medians", medians["large"]["weft"] / medians["small"]["weft"], LIMIT_SIZE)
    report.publish()


if __name__ == "__main__":
    main()
