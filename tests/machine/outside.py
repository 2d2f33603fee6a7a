"""An outside world: a network namespace with a default route, and with servers at one address."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine.fabrics import wait_for

ADDRESS, ECHO = "203.0.113.1", 7
"""Where its servers are: pages at port 80, and what says again what it is told."""
_ECHO = """
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)
socketserver.ThreadingTCPServer(("", 7), Echo).serve_forever()
"""


@contextmanager
def open_outside(folder: Path) -> Iterator[list[str]]:
    """The beginning of the command lines of what is to run there. Its page says `outside`."""
    holder = subprocess.Popen(["unshare", "--net", "--", "sleep", "3600"])
    enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"]
    processes = [holder]
    try:
        _wire(holder.pid, enter)
        folder.mkdir()
        (folder / "index.html").write_text("outside\n")
        processes.append(_serve(enter, "-m", "http.server", "--directory", str(folder), "80"))
        processes.append(_serve(enter, "-c", _ECHO))
        wait_for(lambda: _ports(holder.pid) >= {80, ECHO}, "its servers listen")
        yield enter
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def _wire(pid: int, enter: list[str]) -> None:
    ours = Path("/proc/self/ns/net")
    wait_for(lambda: not ours.samefile(f"/proc/{pid}/ns/net"), "a namespace of its own")
    for command in (
        "link set lo up",
        "link add out0 type veth peer name out1",
        "addr add 198.51.100.2/24 dev out0",
        f"addr add {ADDRESS}/32 dev out0",
        "link set out0 up",
        "link set out1 up",
        "route add default via 198.51.100.1",
    ):
        subprocess.run([*enter, "ip", *command.split()], check=True)


def _ports(pid: int) -> set[int]:
    """Where somebody listens in a process's namespace: of /proc/net/tcp, local_address and st, where 0A is LISTEN."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}


def _serve(enter: list[str], *program: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*enter, sys.executable, *program], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
