"""ninep: a directory served over 9P by Weft, and by a server in C.

Promises: 64 KB reads in sequence at a fifth of the rate of diod at least, and walks (walk, stat, clunk) at a tenth; of
200 clients at once none is served less than half as much as another. diod speaks 9P2000.L alone, so it is asked what in
that means the same. The client is a small C program that does nothing but ask; servers take turns within one run.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.fabric import WEFT
from benchmarks.harness.report import Report, say, summarize

SOURCE = Path(__file__).parent / "harness" / "ninep.c"
FOLDERS, FILES = 10, 100
"""As the client knows them."""
LARGE = 64 << 20
COUNT = 65512
"""Bytes of a read: what fits into the largest message of diod, which has 64 KB with its head."""
LIMITS = {"read": 5.0, "walk": 10.0}
UNFAIR = 2.0
PATIENCE = 30


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two that are compared."""

    name: str
    dialect: str
    port: int
    aname: str


def make_tree(folder: Path) -> None:
    """What is served."""
    for number in range(FOLDERS):
        (folder / f"d{number}").mkdir()
        for other in range(FILES):
            (folder / f"d{number}" / f"f{other}").write_text(f"{number} {other}\n")
    (folder / "large").write_bytes(os.urandom(1 << 20) * (LARGE >> 20))


def make_client(folder: Path) -> Path:
    client = folder / "ninep"
    subprocess.run(["gcc", "-O2", "-o", client, SOURCE], check=True)
    return client


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def run_server(server: Server, argv: list[str]) -> Iterator[Server]:
    """Until the block ends. It is there when somebody can connect."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(server.port)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def serve_weft(tree: Path) -> tuple[Server, list[str]]:
    port = find_port()
    argv = [str(WEFT), "9p", "serve", str(tree), "--ro", "--listen", f"tcp!127.0.0.1!{port}"]
    return Server("weft", "9P2000", port, ""), argv


def serve_diod(tree: Path) -> tuple[Server, list[str]]:
    port = find_port()
    argv = ["diod", "-f", "-n", "-N", "-c", "/dev/null", "-e", str(tree), "-l", f"127.0.0.1:{port}", "-L", "/dev/null"]
    return Server("diod", "9P2000.L", port, str(tree)), argv


def ask(client: Path, server: Server, work: str, seconds: float, clients: int = 1) -> list[float]:
    """Rounds a second, of each client."""
    where = ["127.0.0.1", str(server.port), server.dialect, server.aname]
    argv = [str(client), *where, work, str(seconds), str(clients), str(COUNT)]
    told = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + PATIENCE)
    return [int(line) / seconds for line in told.stdout.split()]


def compare(report: Report, client: Path, servers: list[Server], options: argparse.Namespace) -> None:
    """One client after the other at each server in turn."""
    for work in LIMITS:
        rates: dict[str, list[float]] = {server.name: [] for server in servers}
        for _ in range(options.count):
            for server in servers:
                rates[server.name] += ask(client, server, work, options.seconds)
        report.figures[f"{work}s_per_second"] = {name: summarize(some, 0) for name, some in rates.items()}
        if "diod" in rates:
            ratio = statistics.median(rates["diod"]) / statistics.median(rates["weft"])
            report.promise(f"rate of {work}s, diod / weft, medians", ratio, LIMITS[work])
        say(f"  {work}: {rates}")


def crowd(report: Report, client: Path, server: Server, options: argparse.Namespace) -> None:
    """Many clients of Weft at once."""
    for work in LIMITS:
        rates = ask(client, server, work, options.seconds, options.clients)
        report.figures[f"{work}s_per_second_of_each_of_{options.clients}"] = summarize(rates)
        unfair = max(rates) / min(rates) if min(rates) else float("inf")
        report.promise(f"{options.clients} clients, {work}s: most served / least served", unfair, UNFAIR)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=7, help="turns of each server")
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    parser.add_argument("--clients", type=int, default=200)
    options = parser.parse_args()
    report = Report("ninep", vars(options))
    with tempfile.TemporaryDirectory(prefix="weft-ninep-") as scratch:
        tree, client = Path(scratch) / "tree", make_client(Path(scratch))
        tree.mkdir()
        make_tree(tree)
        with run_server(*serve_weft(tree)) as weft:
            if shutil.which("diod"):
                with run_server(*serve_diod(tree)) as diod:
                    compare(report, client, [diod, weft], options)
            else:
                say("  diod is not installed: Weft alone (apt-get install diod)")
                compare(report, client, [weft], options)
            crowd(report, client, weft, options)
    report.publish()


if __name__ == "__main__":
    main()
