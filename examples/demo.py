#!/usr/bin/env python3
"""The main job, on real traffic: a sniffer slipped in front of a running web server, and taken out again.

Two machines on one network: `client` fetches pages from `web`, a lighttpd, all the time, holds one connection open and
pings. While that goes on a sniffer is inserted in front of `web`, its view of the requests is printed live, and it is
ejected. The table at the end is counted by the machines themselves.

    make demo          or          .venv/bin/python examples/demo.py [--home DIR] [--keep]
"""

import argparse
import re
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from weft.client import Client
from weft.model.errors import NotFound, WeftError
from weft.model.units import dump_size

NETWORK = "demo"
SEEN_REQUESTS = 14
FETCH = """
trap 'echo "fetches $n broken $bad"; exit' INT
n=0; bad=0
while :; do
    for page in / /hello.html /news/ /status.json; do
        timeout 10 wget -q -O /dev/null http://web$page || bad=$((bad+1))
        n=$((n+1))
        sleep 0.1
    done
done
"""
HOLD = """
trap 'touch /tmp/stop' INT
( trap : INT; while [ ! -e /tmp/stop ]; do printf 'GET /held HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n'; sleep 0.5; done ) |
    ( trap : INT; nc web 80 > /tmp/answers )
echo "answers $(grep -c '^HTTP/1.1' /tmp/answers)"
"""
PING = "exec ping -i 0.02 -W 2 web"
REQUESTS = "tcp dst port 80 and tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420"
"""Segments to port 80 whose payload begins with `GET `."""


class Job(threading.Thread):
    """A shell script that runs in a machine until it is interrupted."""

    def __init__(self, weft: Client, machine: str, script: str) -> None:
        super().__init__(daemon=True)
        self._output = b""
        self._session = weft.open_exec(machine, ["sh", "-c", script])
        self._open = self._session.__enter__()
        self.start()

    def run(self) -> None:
        for _, data in self._open:
            self._output += data

    def finish(self) -> str:
        """Interrupt it; all that it printed."""
        self._open.send_signal(signal.SIGINT)
        self.join(30)
        self._session.__exit__(None, None, None)
        return self._output.decode(errors="replace")


def say(text: str = "") -> None:
    print(text, flush=True)


def clear_away(weft: Client) -> None:
    """What an earlier demo, interrupted, may have left on the demo's network."""
    for machine in weft.machines(all=True):
        if any(address["network"] == NETWORK for address in machine["networks"]):
            weft.remove_machine(machine["name"], force=True)
    with suppress(NotFound):
        weft.remove_network(NETWORK)


def set_up(weft: Client) -> None:
    """The network and the two machines."""
    weft.create_network({"name": NETWORK})
    for name, image in (("web", "web"), ("client", "base")):
        weft.create_machine({"name": name, "image": image, "nics": [{"network": NETWORK}]})
        address = weft.machine(name)["networks"][0]["address"]
        say(f"  {name:7} runs {image}, at {address}")


def watch_requests(weft: Client) -> None:
    """Print what the sniffer sees, while it is in the path."""
    argv = ["tcpdump", "-l", "-n", "-q", "-A", "-i", "eth0", "-Z", "root", "-c", str(SEEN_REQUESTS), REQUESTS]
    with weft.open_exec("eye", argv) as session:
        text = ""
        for channel, data in session:
            if channel != 1:
                continue
            text += data.decode(errors="replace")
            *lines, text = text.split("\n")
            for line in lines:
                if request := re.search(r"GET (\S+) HTTP", line):
                    say(f"      eye sees   client -> web   GET {request[1]}")


def demonstrate(weft: Client) -> list[tuple[str, str]]:
    """The demo itself; the rows of its table."""
    set_up(weft)
    jobs = [Job(weft, "client", script) for script in (FETCH, HOLD, PING)]
    time.sleep(1)
    say("  client fetches pages, holds a connection and pings, from now until the end")
    say()
    begin = time.monotonic()
    weft.create_insert({"appliance": "sniffer", "before": "web", "name": "eye"})
    inserted = time.monotonic() - begin
    say(f"  weft insert sniffer --before web --name eye      in the path after {inserted:.2f} s, nothing was running")
    watch_requests(weft)
    memory = {machine["name"]: machine for machine in weft.machines()}
    begin = time.monotonic()
    weft.eject("eye")
    ejected = time.monotonic() - begin
    say(f"  weft eject eye                                   out and gone after {ejected:.2f} s")
    time.sleep(1)
    fetched, held, pinged = (job.finish() for job in jobs)
    return [
        *count(fetched, held, pinged),
        ("time to insert", f"{inserted:.2f} s"),
        ("time to eject", f"{ejected:.2f} s"),
        *weigh(memory),
    ]


def count(fetched: str, held: str, pinged: str) -> list[tuple[str, str]]:
    """What the client's own tools counted."""
    sent, received = map(int, find(r"(\d+) packets transmitted, (\d+) packets received", pinged))
    fetches, broken = find(r"fetches (\d+) broken (\d+)", fetched)
    (answers,) = find(r"answers (\d+)", held)
    return [
        ("packets sent", str(sent)),
        ("packets lost", str(sent - received)),
        ("pages fetched", fetches),
        ("connections broken", broken),
        ("answers over the one connection held", answers),
    ]


def weigh(machines: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (
            f"memory of {name}",
            f"{dump_size(machine['memory'])} in the machine, {(machine['resident'] or 0) >> 20} MB on the host",
        )
        for name, machine in machines.items()
    ]


def find(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"demo: no {pattern!r} in {text!r}")
    return found.groups()


def main() -> None:
    parser = argparse.ArgumentParser(description="A sniffer, slipped in front of a running web server.")
    parser.add_argument("--home", type=Path, help="the fabric to use (default: yours)")
    parser.add_argument("--keep", action="store_true", help="leave client and web running")
    options = parser.parse_args()
    weft = Client(options.home)
    begin = time.monotonic()
    say()
    clear_away(weft)
    try:
        rows = demonstrate(weft)
    finally:
        if not options.keep:
            clear_away(weft)
    say()
    for name, value in rows:
        say(f"  {name:38} {value}")
    say(f"  {'the whole demo':38} {time.monotonic() - begin:.0f} s")
    say()
    say("  Now yours:  . .venv/bin/activate;  weft run -d --name web web;  weft sniff web;  weft --help")


if __name__ == "__main__":
    try:
        main()
    except WeftError as err:
        sys.exit(f"demo: {err.code}: {err}\n{err.detail or ''}")
