"""Two builds of the kernel, one digest.

The second build differs from the first, which may come from the cache, in everything that must not matter: folder and
length of its path, number of jobs, umask, and the time. Prints JSON; the exit status says whether
the digests agree. Takes as long as one or two kernel builds.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from weft.image.cache import cache_home
from weft.image.kernel import KernelPlan, build_cached, plan_kernel
from weft.image.progress import ignore_progress
from weft.image.store import record_digest


async def build_oddly(plan: KernelPlan) -> tuple[str, float]:
    """Digest of a build under unusual conditions, and the seconds it took."""
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="weft-a-folder-with-a-rather-long-name-") as folder:
        start = time.monotonic()
        vmlinux = await build_cached(plan, Path(folder), jobs=1, progress=ignore_progress)
        return record_digest(vmlinux), time.monotonic() - start


async def compare(source: Path | None, fragment: Path | None, cache: Path) -> dict[str, object]:
    """Both digests and how long each build took; a cached one takes none."""
    plan = await plan_kernel(source, fragment)
    start = time.monotonic()
    first = record_digest(await build_cached(plan, cache, jobs=None, progress=ignore_progress))
    first_seconds = time.monotonic() - start
    second, second_seconds = await build_oddly(plan)
    return {
        "same": first == second,
        "digests": [first, second],
        "seconds": [round(first_seconds, 1), round(second_seconds, 1)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="a source tree or tarball instead of the distribution's")
    parser.add_argument("--fragment", type=Path, help="instead of kernel/fragment.config")
    parser.add_argument("--cache", type=Path, default=cache_home(), help="where the first build is kept")
    options = parser.parse_args()
    result = asyncio.run(compare(options.source, options.fragment, options.cache))
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["same"] else 1)


if __name__ == "__main__":
    main()
