"""Benchmarks in sections: `--only` picks some, and each has a fabric of its own."""

import argparse
from collections.abc import Callable, Mapping

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say

Section = Callable[[BenchFabric, argparse.Namespace, Report], None]


def run_sections(name: str, parser: argparse.ArgumentParser, sections: Mapping[str, Section]) -> None:
    """Measure what was asked for, and print the report."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [one for one in names if one not in sections]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(sections)}")
        return names

    parser.add_argument("--only", type=parse, default=list(sections), help="sections, with commas between them")
    options = parser.parse_args()
    report = Report(name, vars(options))
    for section in options.only:
        say(section)
        with open_bench_fabric() as fabric:
            sections[section](fabric, options, report)
    report.publish()
