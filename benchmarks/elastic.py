"""Elastic: how soon machines grow and shrink, by hand and by themselves, and that nothing is lost or killed on the way.

Sections, each of which `--only` picks. Times are as a user waits for them, through the API.
"""

import argparse

from benchmarks.elastics import processors, reacting, sizes
from benchmarks.harness.sections import Section, run_sections

SECTIONS: dict[str, Section] = {
    "cpus": processors.measure_cpus,
    "memory": sizes.measure_memory,
    "cycles": sizes.measure_cycles,
    "idle": sizes.measure_idle,
    "load": reacting.measure_load,
    "pressure": reacting.measure_pressure,
    "steady": reacting.measure_steady,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Elastic machines: how soon, how far, how safely.")
    parser.add_argument("--rounds", type=int, default=20, help="times that memory, or a processor, comes and goes")
    parser.add_argument("--cycles", type=int, default=100, help="times that everything comes and goes")
    parser.add_argument("--steps", type=int, default=10, help="steps of load, and of memory pressure")
    parser.add_argument("--minutes", type=int, default=20, help="how long a steady load is looked at")
    run_sections("elastic", parser, SECTIONS)


if __name__ == "__main__":
    main()
