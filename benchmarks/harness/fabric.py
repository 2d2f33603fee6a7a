"""A fabric of the benchmark's own: set up with prepared images, looked into, taken down without leftovers."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.harness.report import say
from weft.client import Client

WEFT = Path(sys.executable).parent / "weft"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "weft"
PREPARED = Path(os.environ.get("WEFT_TEST_HOME", CACHE / "test-home"))
"""A home with a kernel and the images; `make prepare` makes it."""
PATIENCE = 120.0
"""Seconds any single step may take: an emulated machine on a loaded host can be very slow."""
T = TypeVar("T")


class BenchFabric:
    """One fabric in a folder of its own. Root is needed: a benchmark looks into the fabric's namespace."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.client = Client(home)

    def weft(self, *args: str) -> subprocess.CompletedProcess[bytes]:
        """Run `weft ARGS` as a user would; it must succeed."""
        return subprocess.run([WEFT, "--home", self.home, *args], capture_output=True, check=True, timeout=PATIENCE)

    def run_machine(self, name: str, image: str, **spec: Any) -> dict[str, Any]:
        """Start a machine and wait until it is ready; its view."""
        return self.client.create_machine({"name": name, "image": image, **spec})

    def execute(self, machine: str, script: str) -> str:
        """What a shell script prints in a machine. Raises RuntimeError when it fails."""
        return execute(self.client, machine, script)

    @property
    def keeper(self) -> int:
        """The process that holds the fabric's namespace."""
        return int(json.loads((self.home / "run" / "keeper.json").read_text())["pid"])

    def inside(self, *argv: str) -> list[str]:
        """The command line that runs `argv` in the fabric's network namespace."""
        return ["nsenter", f"--target={self.keeper}", "--net", "--", *argv]

    def ask_inside(self, *argv: str) -> str:
        """What a program prints there."""
        done = subprocess.run(self.inside(*argv), capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
        return done.stdout

    def links(self) -> list[dict[str, Any]]:
        """All links of the namespace with their counters, as `ip` shows them."""
        found: list[dict[str, Any]] = json.loads(self.ask_inside("ip", "-json", "-statistics", "link", "show"))
        return found

    def tap(self, machine: str, nic: int = 0) -> str:
        """The tap of a machine's NIC."""
        alias = f"weft machine {machine} nic {nic}"
        names = (str(link["ifname"]) for link in self.links() if link.get("ifalias") == alias)
        return next(name for name in names if name.startswith("t"))

    def drops(self) -> dict[str, int]:
        """Frames that links say they dropped, those with none left out."""
        counted = {}
        for link in self.links():
            seen = link["stats64"]
            counted[str(link["ifname"])] = int(seen["rx"]["dropped"]) + int(seen["tx"]["dropped"])
        return {name: count for name, count in counted.items() if count}

    @property
    def cgroup_name(self) -> str:
        return f"weft-{hashlib.sha256(bytes(self.home)).hexdigest()[:8]}"

    def processes(self) -> list[str]:
        """The command line of every process that names this fabric's home in it."""
        marker, found = os.fsencode(self.home), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes()
                    if marker in command:
                        found.append(command.replace(bytes(1), b" ").decode(errors="replace"))
        return found

    def cgroups(self) -> list[str]:
        """Control groups of machines of this fabric."""
        return [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{self.cgroup_name}/*") if path.is_dir()]

    def close(self) -> None:
        """Take everything down."""
        self.client.shutdown(machines=True)
        wait_for(lambda: not (self.home / "weft.sock").exists(), "the daemon ends")
        wait_for(lambda: not self.processes() and not self.cgroups(), "nothing of the fabric is left")
        shutil.rmtree(self.home)


def execute(client: Client, machine: str, script: str) -> str:
    """What a shell script prints in a machine of any room. Raises RuntimeError when it fails."""
    output = b""
    with client.open_exec(machine, ["sh", "-c", script]) as session:
        for _, data in session:
            output += data
    text = output.decode(errors="replace")
    if session.exit is None or session.exit.shell_status:
        raise RuntimeError(f"in {machine}: {script[:200]}: {session.exit}: {text}")
    return text


@contextmanager
def open_bench_fabric() -> Iterator[BenchFabric]:
    """An empty fabric whose daemon answers; gone when left."""
    if os.geteuid() != 0:
        raise SystemExit("benchmarks look into the fabric's namespace: run them as root")
    home = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    for kind in ("images", "kernels"):
        if not (PREPARED / kind).is_dir():
            raise SystemExit(f"{PREPARED / kind} is missing: run `make prepare`")
        shutil.copytree(PREPARED / kind, home / kind, copy_function=_link)
    fabric = BenchFabric(home)
    say(f"a fabric in {home}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # on its way out, what was started goes
    try:
        fabric.client.version()
        yield fabric
    finally:
        fabric.close()


def wait_for(condition: Callable[[], T], what: str, *, seconds: float = PATIENCE, pause: float = 0.02) -> T:
    """Until `condition` gives something true; that. Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(pause)
    return value


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
