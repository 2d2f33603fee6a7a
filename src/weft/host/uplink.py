"""The way out: pasta carries connections between the fabric's namespace and the host, as plain sockets of its user.

The host's own network is not touched, and no privilege on it is needed. What may use the way is the ruleset's
business (weft.plan.ruleset).
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.host.namespace import Namespace
from weft.host.pids import ExitWatch, ProcessId, stop_processes, watch_exit
from weft.host.process import Latched, start_latched
from weft.host.records import find_record, is_of, is_on_record, was_of, write_record
from weft.model.errors import Unavailable

UPLINK = "uplink"
"""The link's name inside."""

RESOLVER = "169.254.1.53"
"""Queries sent to this address inside reach the host's own resolver, wherever that listens."""

_RECORD = "uplink.json"
_START_TIMEOUT = 10.0
_POLL = 0.01

_OPTIONS = (
    "--foreground",
    "--quiet",
    "--config-net",
    "--ipv4-only",
    "--no-dhcp",
    "--no-map-gw",  # or the gateway's address would lead to the host's loopback
    *("--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"),
    *("--ns-ifname", UPLINK),
    *("--dns-forward", RESOLVER),
)


@dataclass(frozen=True, slots=True)
class Uplink:
    """A running uplink."""

    process: ProcessId
    record: Path

    @property
    def on_record(self) -> bool:
        """Whether it still is what is on record, be it there or not."""
        return is_on_record(self.record, self.process)

    async def wait_end(self) -> None:
        """Until it has ended."""
        await watch_exit(self.process).wait()

    async def stop(self) -> None:
        """End it; its link goes with it."""
        await stop_processes([self.process], term_for=1.0)
        self.record.unlink(missing_ok=True)


def has_ended(run_dir: Path, namespace: Namespace) -> bool:
    """Whether the uplink on record in `run_dir` was there, in this very namespace, and has ended by itself."""
    return was_of(run_dir / _RECORD, namespace.mark)


def find_uplink(run_dir: Path) -> Uplink | None:
    """The living uplink on record in `run_dir`."""
    record = run_dir / _RECORD
    found = find_record(record)
    return Uplink(found[0], record) if found else None


async def start_uplink(
    namespace: Namespace, run_dir: Path, *, doors: Sequence[Path] = (), timeout: float = _START_TIMEOUT
) -> Uplink:
    """Adopt the uplink on record, or start one; returns when there is a default route inside, within `timeout` seconds.

    `doors` are those of the control group that it is to be in. Raises Unavailable, with the end of pasta's log.
    """
    if (uplink := find_uplink(run_dir)) is not None:
        if is_of(uplink.record, namespace.mark):
            return uplink
        await uplink.stop()  # it leads out of a namespace whose keeper is gone
    log = run_dir / "uplink.log"
    latched = await _spawn(namespace, log, doors)
    uplink = Uplink(latched.process, run_dir / _RECORD)
    write_record(uplink.record, uplink.process, namespace=namespace.mark)
    latched.release()
    try:
        await _wait_route(namespace, latched.watch, log, timeout)
    except BaseException:
        await uplink.stop()
        raise
    return uplink


async def set_forwarding(namespace: Namespace, on: bool) -> None:
    """Let the namespace route at all: wanted once the rules are loaded and a network has an uplink."""
    await namespace.set_sysctl("ipv4/ip_forward", "1" if on else "0")


async def _spawn(namespace: Namespace, log: Path, doors: Sequence[Path]) -> Latched:
    log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    net = await namespace.open("/proc/self/ns/net")
    try:
        argv = ["pasta", *_OPTIONS, *_plan_target(namespace, net)]
        return start_latched(argv, fds=[net], doors=doors, stdout=log_fd, stderr=log_fd)
    finally:
        os.close(net)
        os.close(log_fd)


def _plan_target(namespace: Namespace, net: int) -> Sequence[str]:
    if namespace.rootless:
        return [str(namespace.keeper.process.pid)]
    # As root pasta gives up the right to look at the keeper's /proc entries before it does, so it gets the
    # namespace as a descriptor; and as nobody, its choice, it could not enter.
    return ["--runas", "0:0", "--no-netns-quit", "--netns-only", "--netns", f"/proc/self/fd/{net}"]


async def _wait_route(namespace: Namespace, watch: ExitWatch, log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not await _find_route(namespace):
        if watch.done or time.monotonic() > deadline:
            said = [line for line in log.read_text(errors="replace").splitlines() if "syslog" not in line]
            reason = said[-1] if said else "it said nothing"
            raise Unavailable(f"pasta gives no uplink: {reason}", detail="\n".join(said[-20:]))
        await asyncio.sleep(_POLL)


async def _find_route(namespace: Namespace) -> bool:
    fd = await namespace.open("/proc/self/net/route")
    with os.fdopen(fd) as file:
        rows = [line.split() for line in file]
    return any(row[:2] == [UPLINK, "00000000"] for row in rows)
