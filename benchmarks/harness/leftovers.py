"""What a fabric has on the host at one moment, so that two moments can be compared."""

import json
from collections import Counter
from pathlib import Path

from benchmarks.harness.fabric import BenchFabric

Snapshot = dict[str, Counter[str]]
_PASSING = ("-wal", "-shm", ".pcap", ".log", ".txt")
"""Files that come and go with a database's connections, and those that are the benchmark's own."""


def take_snapshot(fabric: BenchFabric) -> Snapshot:
    """Processes, links, filters, control groups and files by kind, each as often as it is there."""
    links = [str(link["ifname"]) for link in fabric.links()]
    return {
        "processes": Counter(_namespace_processes(fabric)) + Counter(_monitors(fabric)),
        "links": Counter(f"{link['ifname']} ({link.get('ifalias', '')})" for link in fabric.links()),
        "filters": Counter(entry for link in links for entry in _filters(fabric, link)),
        "cgroups": Counter(fabric.cgroups()),
        "files": Counter(_files(fabric.home)),
    }


def compare_snapshots(before: Snapshot, after: Snapshot) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """(what is there in addition, what is missing) by kind; kinds without a difference are left out."""
    more = {kind: sorted((after[kind] - before[kind]).elements()) for kind in before}
    less = {kind: sorted((before[kind] - after[kind]).elements()) for kind in before}
    return {kind: found for kind, found in more.items() if found}, {
        kind: found for kind, found in less.items() if found
    }


def _namespace_processes(fabric: BenchFabric) -> list[str]:
    """What runs in the fabric's network namespace: the keeper, the daemon's gate, name servers."""
    own = Path(f"/proc/{fabric.keeper}/ns/net").stat().st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if (entry / "ns" / "net").stat().st_ino == own:
                found.append(f"{(entry / 'comm').read_text().strip()} in the namespace")
        except OSError:  # ended just now, or a zombie
            continue
    return found


def _monitors(fabric: BenchFabric) -> list[str]:
    """The processes around QEMUs, by machine: their command lines name the fabric's home."""
    marker = f"{fabric.home}/machines/"
    found = []
    for line in fabric.processes():
        if marker in line and "bwrap" in line.split(" ", 1)[0]:
            found.append(f"QEMU of {line.partition(marker)[2].partition('/')[0]}")
    return found


def _filters(fabric: BenchFabric, link: str) -> list[str]:
    listed = json.loads(fabric.ask_inside("tc", "-json", "filter", "show", "dev", link, "ingress") or "[]")
    return [f"{link} slot {entry['pref']}" for entry in listed if entry.get("options", {}).get("actions")]


def _files(home: Path) -> list[str]:
    paths = (path for path in home.rglob("*") if not path.name.endswith(_PASSING))
    return [str(path.relative_to(home)) for path in paths if path.is_file() or path.is_socket()]
