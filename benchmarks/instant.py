"""Instant: how soon machines, inserts, copies and rooms are there, what copies cost, and that damage is refused.

Seven sections, each of which `--only` picks. Times of weft are taken as a user waits for them. What is compared takes
turns within one run; the first round, which fills caches, does not count. Copies of a machine are compared with its
cold boot, and with a bare QEMU that goes on from a moment of the same machine, to its agent's answer.
"""

import argparse

from benchmarks.harness.sections import Section, run_sections
from benchmarks.instants import damage, forks, idle, starts

SECTIONS: dict[str, Section] = {
    "run": starts.measure_run,
    "insert": starts.measure_insert,
    "fork": forks.measure_fork,
    "room": forks.measure_room,
    "many": forks.measure_many,
    "idle": idle.measure_idle,
    "damage": damage.measure_damage,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Templates, forks, snapshots: how soon, how much, how safe.")
    parser.add_argument("--count", type=int, default=20, help="rounds of starts, inserts and forks")
    parser.add_argument("--many", type=int, default=25, help="forks at once")
    parser.add_argument("--idle", type=int, default=100, help="idle machines")
    parser.add_argument("--damages", type=int, default=100, help="damaged snapshots")
    run_sections("instant", parser, SECTIONS)


if __name__ == "__main__":
    main()
