"""Real fabrics for tests: the `weft` command on a home of its own, and a look at what it left behind."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weft.client import Client
from weft.client.starting import is_answering

WEFT = Path(sys.executable).parent / "weft"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "weft"
PREPARED = Path(os.environ.get("WEFT_TEST_HOME", CACHE / "test-home"))
"""A home with a kernel, all images and their templates; `make prepare` makes it."""
_IGNORED = shutil.ignore_patterns(".lock")
"""A lock is each store's own."""
PATIENCE = 120.0
"""Seconds any single command may take: machines under emulation on a loaded host can be five times slower."""

# Each fabric is a new one, and would try it out anew beside its machines. Tests of that say otherwise.
os.environ.setdefault("WEFT_HOTPLUG", "no")


class TestFabric:
    """One fabric in a folder of its own. `prefix` is put before every command: to be somebody, or somewhere, else."""

    __test__ = False

    def __init__(self, home: Path, *, prefix: Sequence[str] = ()) -> None:
        self.home = home
        self.argv = [*prefix, str(WEFT), "--home", str(home)]
        for kind in filter(_is_prepared, ("images", "kernels", "templates")):
            shutil.copytree(PREPARED / kind, home / kind, copy_function=share_file, ignore=_IGNORED)
        # With a prefix only a command may start the daemon: this process is the wrong one to.
        self.client = Client(home, start=not prefix)

    def run(self, *args: str, check: bool = True, input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run `weft ARGS`; with `check` it must succeed."""
        done = subprocess.run([*self.argv, *args], capture_output=True, input=input, timeout=PATIENCE, check=False)
        assert not check or done.returncode == 0, f"weft {' '.join(args)}: {done.returncode}: {done.stderr.decode()}"
        return done

    def text(self, *args: str) -> str:
        """What `weft ARGS` prints."""
        return self.run(*args).stdout.decode()

    def json(self, *args: str) -> Any:
        """What `weft ARGS --format json` prints, parsed."""
        return json.loads(self.run(*args, "--format", "json").stdout)

    def doctor(self) -> dict[str, dict[str, Any]]:
        """What `weft doctor` found, by the checks' names. Its status is 1 when anything at all is missing."""
        done = self.run("doctor", "--format", "json", check=False)
        return {check["name"]: check for check in json.loads(done.stdout)}

    def start(self, *args: str) -> "subprocess.Popen[bytes]":
        """Run `weft ARGS` in the background."""
        return subprocess.Popen(
            [*self.argv, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )

    def exec(self, machine: str, *argv: str, check: bool = True) -> str:
        """What a program in a machine prints."""
        return self.run("exec", machine, "--", *argv, check=check).stdout.decode()

    def chain(self, machine: str) -> list[tuple[str, str]]:
        """(name, state) of what stands in front of a machine, from the network side."""
        (port,) = self.client.ports(machine)
        return [(insert["name"], insert["state"]) for insert in port["chain"]]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind so far."""
        return [event for event in self.client.events() if event["kind"] == kind]

    def refusal(self, *args: str) -> str:
        """The code of the error that `weft ARGS` ends with, told in one line."""
        done = self.run(*args, check=False)
        words = done.stderr.decode()
        assert done.returncode in (1, 2) and not done.stdout, f"weft {' '.join(args)}: {done}"
        assert words.startswith("weft: ") and words.count("\n") == 1, words
        return words.split(": ")[1]

    def daemon_pid(self) -> int:
        """The process that serves this fabric."""
        return int(self.client.version()["pid"])

    def kill_daemon(self) -> None:
        """End the daemon with no time to say anything; while it dies it would still take what it is asked."""
        os.kill(self.daemon_pid(), signal.SIGKILL)
        wait_for(lambda: not is_answering(self.home), "the daemon is dead")

    def end_daemon(self, *, machines: bool = False) -> None:
        """Have the daemon end in order. Its process may be a child of ours, so it is not looked for."""
        self.client.shutdown(machines=machines)
        wait_for(lambda: not (self.home / "weft.sock").exists(), "the daemon ends")

    def close(self) -> None:
        """Take everything down."""
        self.end_daemon(machines=True)
        wait_for(lambda: not self.leftovers(), "nothing is left behind", say=self.leftovers)

    def leftovers(self) -> list[str]:
        """Processes and control groups of this fabric that still exist."""
        return [*self._processes(), *self._cgroups()]

    def _processes(self) -> list[str]:
        marker, found = os.fsencode(self.home), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if marker in command:
                    found.append(f"{entry.name}: {command.replace(bytes(1), b' ').decode(errors='replace')[:200]}")
        return found

    def _cgroups(self) -> list[str]:
        fabric_id = hashlib.sha256(bytes(self.home)).hexdigest()[:8]
        # Groups of other fabrics may go while we look: walk() does not mind.
        walk = os.walk("/sys/fs/cgroup")
        return [
            f"{path}/{name}"
            for path, names, _ in walk
            for name in names
            if path.endswith(f"/weft-{fabric_id}") or name.startswith(f"weft-{fabric_id}-")
        ]


@contextmanager
def open_fabric(home: Path, *, prefix: Sequence[str] = ()) -> Iterator[TestFabric]:
    """A fabric that is taken down whatever happens to the test."""
    fabric = TestFabric(home, prefix=prefix)
    try:
        yield fabric
    finally:
        fabric.close()


def share_file(source: str, target: str) -> None:
    """Payloads are linked; records are small, and a test may want them to belong to somebody else."""
    if source.endswith(".json"):
        shutil.copyfile(source, target)
    else:
        os.link(source, target)


def _is_prepared(kind: str) -> bool:
    """Templates may be missing: then each fabric makes its own."""
    return kind != "templates" or (PREPARED / kind).is_dir()


def wait_for(
    condition: Callable[[], Any], what: str, *, seconds: float = PATIENCE, say: Callable[[], Any] | None = None
) -> Any:
    """Until `condition` holds; its value. Fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}; {say() if say else ''}"
        time.sleep(0.02)
    return value
