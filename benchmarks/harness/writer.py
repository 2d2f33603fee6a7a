"""Saves one revision of settings on a floppy, as the daemon does: a process of its own, to be killed at any moment."""

import asyncio
import sys
from pathlib import Path

from benchmarks.harness.appliance import SCHEMA
from weft.image.settings import save
from weft.plan.settings import Fit
from weft.plan.settings_file import Stamp

if __name__ == "__main__":
    stamp = Stamp(revision=int(sys.argv[2]), by="benchmark", why="a power cut")
    asyncio.run(save(Path(sys.argv[1]), SCHEMA, Fit({"lan.mtu": int(sys.argv[3])}), stamp, "a benchmark"))
