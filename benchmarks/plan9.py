"""plan9: what a Plan 9 machine with everything in its kernel takes of the host.

Promise: 64 MB, which it gets unless it asks for more. Measured with the kernel of the tests, which has little in
it; `--kernel FILE` takes a real one, and `--said` is what that says when it is up.
"""

import argparse
import tempfile
import time
from pathlib import Path

from tests.multiboot.building import build_kernels

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric, wait_for
from benchmarks.harness.report import Report, say, summarize
from weft.host.usage import find_additional, find_usage

LIMIT = 64.0
MB = 1 << 20


def start_machine(fabric: BenchFabric, name: str, said: bytes) -> float:
    """Seconds until the kernel has said it."""
    begin = time.monotonic()
    fabric.run_machine(name, "plan9", kernel="9pc")
    log = fabric.home / "machines" / name / "serial.log"
    wait_for(lambda: said in log.read_bytes(), f"{name} says {said.decode()}")
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of Plan 9 machines.")
    parser.add_argument("--count", type=int, default=10, help="machines that run at once")
    parser.add_argument("--kernel", type=Path, help="a multiboot kernel; default: that of the tests")
    parser.add_argument("--said", default="\nready", help="what it says when it is up")
    options = parser.parse_args()
    report = Report("plan9", vars(options) | {"kernel": options.kernel and str(options.kernel)})
    with open_bench_fabric() as fabric, tempfile.TemporaryDirectory() as folder:
        kernel = options.kernel or build_kernels(Path(folder)).aout
        fabric.client.import_kernel(str(kernel.absolute()), name="9pc")
        names = [f"glenda{number}" for number in range(options.count)]
        seconds = [start_machine(fabric, name, options.said.encode()) for name in names]
        say(f"  {len(names)} machines are up")
        views = [fabric.client.machine(name) for name in names]
        usages = [usage for view in views if (usage := find_usage(view["pid"]))]
        additional = [found for view in views if (found := find_additional(view["pid"]))]
    report.figures["seconds_to_up"] = summarize(seconds)
    report.figures["resident_mb"] = summarize([usage.resident / MB for usage in usages])
    report.figures["additional_mb"] = summarize([found / MB for found in additional])
    report.promise("MB of memory that each has", max(view["memory"] for view in views) / MB, LIMIT)
    report.promise("MB of the host that each has, at most", max(usage.resident for usage in usages) / MB, LIMIT)
    report.promise("machines that did not come up", options.count - len(usages), 0)
    report.publish()


if __name__ == "__main__":
    main()
