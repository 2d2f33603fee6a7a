"""roots: what it takes of the host to serve diskless machines their root, each with changes of its own.

Machines with the kernel of the tests share an image of many files; each reads and changes something, so that no server
is as it was when it started. There is no promise for it; a machine that does not get its root is a failure.
"""

import argparse
import io
import json
import tarfile
import tempfile
from pathlib import Path

from tests.multiboot.building import build_kernels

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric, wait_for
from benchmarks.harness.report import Report, say, summarize
from weft.host.pids import ProcessId
from weft.host.usage import find_additional, find_usage

MB = 1 << 20
FOLDER = 100
"""Files in each folder of the image."""


def make_root(count: int) -> bytes:
    """A tar with so many files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(count):
            info = tarfile.TarInfo(f"d{number // FOLDER}/f{number}")
            info.size, info.mode = 9, 0o664
            tar.addfile(info, io.BytesIO(b"a content"))
    return buffer.getvalue()


def start_machine(fabric: BenchFabric, name: str) -> None:
    """Until it has read from its root, and changed it."""
    fabric.run_machine(name, "nine", kernel="9pc")
    log = fabric.home / "machines" / name / "serial.log"
    wait_for(lambda: b"\nready" in log.read_bytes(), f"{name} is up")
    with fabric.client.open_console(name) as console:
        console.send_input(b"write /d0/f1 of its own\rcat /d0/f0\r")
        wait_for(lambda: b"a content" in log.read_bytes(), f"{name} has its root")


def find_program(record: Path) -> int:
    """The one behind the walls."""
    data = json.loads(record.read_text())
    (program,) = ProcessId(int(data["pid"]), int(data["start_time"])).children()
    return program.pid


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of servers of roots.")
    parser.add_argument("--count", type=int, default=10, help="machines that run at once")
    parser.add_argument("--files", type=int, default=20_000, help="files of the image")
    options = parser.parse_args()
    report = Report("roots", vars(options))
    with open_bench_fabric() as fabric, tempfile.TemporaryDirectory() as folder:
        fabric.client.import_kernel(str(build_kernels(Path(folder)).aout), name="9pc")
        fabric.client.import_image([make_root(options.files)], lambda *_: None, name="nine", kind="plan9")
        names = [f"glenda{number}" for number in range(options.count)]
        for name in names:
            start_machine(fabric, name)
        say(f"  {len(names)} machines have their roots")
        servers = [find_program(fabric.home / "machines" / name / "root.json") for name in names]
        porter = find_program(fabric.home / "run" / "roots" / "default" / "porter.json")
        report.figures["resident_mb"] = summarize(
            [usage.resident / MB for pid in servers if (usage := find_usage(pid))]
        )
        report.figures["additional_mb"] = summarize([found / MB for pid in servers if (found := find_additional(pid))])
        report.figures["porter_additional_mb"] = round((find_additional(porter) or 0) / MB, 2)
    report.promise("machines without their root", options.count - len(servers), 0)
    report.publish()


if __name__ == "__main__":
    main()
