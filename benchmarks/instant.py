"""Instant: how soon copies of machines and rooms are there, one and many at once.

`--only` picks sections. Times are taken as a user waits for them; the first round, which fills caches, does not count.
"""

import argparse
from collections.abc import Callable

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say
from benchmarks.instants import forks

SECTIONS: dict[str, Callable[[BenchFabric, argparse.Namespace, Report], None]] = {
    "fork": forks.measure_fork,
    "room": forks.measure_room,
    "many": forks.measure_many,
}


def parse_sections(text: str) -> list[str]:
    """Names with commas between them. Raises ArgumentTypeError."""
    names = text.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(SECTIONS)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description="Forks: how soon, one and many at once.")
    parser.add_argument(
        "--only", type=parse_sections, default=list(SECTIONS), help="sections, with commas between them"
    )
    parser.add_argument("--count", type=int, default=20, help="rounds of each kind")
    parser.add_argument("--many", type=int, default=25, help="forks at once")
    options = parser.parse_args()
    report = Report("instant", vars(options))
    for name in options.only:
        say(name)
        with open_bench_fabric() as fabric:
            SECTIONS[name](fabric, options, report)
    report.publish()


if __name__ == "__main__":
    main()
