"""Being an ordinary user, for tests that run as root: no privilege, no group, and a /dev/net/tun of a mode one chooses.

All changes are in a mount namespace of its own: some hosts keep /dev/net/tun to root, and a checkout, or the Python it
runs with, may be below a folder that only root may enter.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

AS_ROOT = os.geteuid() == 0
UID = 70001
REPOSITORY = Path(__file__).parents[1]
PLACES = (REPOSITORY, Path(sys.base_prefix))
"""What every test needs to reach."""

BECOME = [
    *("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"),
    *("--no-new-privs", "--inh-caps=-all", "--"),
]
"""Before a command: run it as that user."""


def private_mounts(stage: Path, tun_mode: str = "666") -> list[str]:
    """Before a command: run it where the node has that mode, and the checkout can be reached by anybody.

    `stage` is an empty folder that is used for it.
    """
    script = "\n".join(["set -e", *_plan_mounts(stage, tun_mode), 'exec "$@"'])
    return ["unshare", "--mount", "--", "sh", "-c", script, "sh"]


def _plan_mounts(stage: Path, tun_mode: str) -> Iterator[str]:
    quoted = shlex.quote(str(stage))
    yield f"mount -t tmpfs none {quoted}"
    yield f"mknod -m {tun_mode} {quoted}/tun c 10 200"
    yield f"mount --bind {quoted}/tun /dev/net/tun"
    hidden = [(place, closed) for place in PLACES if (closed := _find_closed(place))]
    for number, (place, _) in enumerate(hidden):
        yield f"mkdir {quoted}/{number} && mount --rbind {shlex.quote(str(place))} {quoted}/{number}"
    for closed in dict.fromkeys(closed for _, closed in hidden):
        yield f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}"
    for number, (place, _) in enumerate(hidden):
        path = shlex.quote(str(place))
        yield f"mkdir -p {path} && mount --rbind {quoted}/{number} {path}"


def _find_closed(place: Path) -> Path | None:
    """The topmost folder above a place that only its owner may enter."""
    return next((parent for parent in reversed(place.parents) if not parent.stat().st_mode & 0o001), None)
